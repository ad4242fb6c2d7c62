"""Reads whole objects below one base path, decompressed as the backend does it."""

from __future__ import annotations

from xcomctl.model.references import Reference
from xcomctl.store.opened import Store


class Contents:
    """The contents of objects. Making it raises what making the file system raises."""

    def __init__(self, base_path: str) -> None:
        self._store = Store(base_path)

    def read(self, reference: Reference) -> bytes:
        """The JSON of an object; its suffix says how it is compressed. Raises what the file system raises."""
        with self._store.fs.open(f"{self._store.root}/{reference.relative}", "rb", compression="infer") as file:
            data: bytes = file.read()
            return data
