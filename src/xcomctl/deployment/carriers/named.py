"""The files that a person names as one carrier."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcomctl.deployment.carriers.interface import Carrier


@dataclass(frozen=True)
class CarrierFiles:
    """One file, or Helm values of several, the one that wins last as with ``helm -f``.

    ``edit_winner`` has a setting that stands in several places edited in the one that wins.
    """

    paths: tuple[Path, ...]
    edit_winner: bool = False

    def __str__(self) -> str:
        """The files as messages name them."""
        return ", ".join(str(path) for path in self.paths)

    @property
    def options(self) -> str:
        """The options that name them, to be put behind a command that is printed."""
        words = [word for path in self.paths for word in ("--carrier", str(path))]
        return "".join(f" {shlex.quote(word)}" for word in (*words, *(["--edit-winner"] if self.edit_winner else [])))

    @property
    def resolved(self) -> str:
        """What the journal calls them, wherever the command is typed and through whichever link."""
        return ", ".join(str(path.resolve()) for path in self.paths)

    def open(self, wanted: Mapping[str, str] | None = None) -> Carrier:
        """The carrier; see :func:`xcomctl.deployment.carriers.opened.open_files`."""
        from xcomctl.deployment.carriers.opened import open_files  # ruamel.yaml is not cheap

        return open_files(self, wanted)
