"""Other Pythons that a machine may have, for what is streamed into contexts that we do not control."""

from __future__ import annotations

import os
from pathlib import Path

_PYENV = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")


def installed() -> list[Path]:
    """The interpreters of a pyenv, by version; empty on a machine without one."""
    return sorted(_PYENV.glob("versions/*/bin/python"))


def version_of(python: Path) -> tuple[int, ...]:
    """The version that such an interpreter's folder is named after."""
    return tuple(int(part) for part in python.parent.parent.name.split("."))
