"""Folders of a local base path: an object store has none, so what a look makes it has to take away again."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path


def missing_folders(folder: Path) -> list[Path]:
    """The folders that would have to be made for this one, the deepest first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the deepest first, as far as nobody has put anything into them meanwhile."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue  # was never made
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return
            raise
