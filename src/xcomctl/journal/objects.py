"""Small objects that are written once: what the lock, and a journal on a URL, are made of. Here: files in a folder.

Another kind of place is another class with these methods (:mod:`xcomctl.journal.remote` has the URLs).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from xcomctl.journal.errors import JournalError


class Objects(Protocol):
    """A flat place for small objects. Every method raises :class:`JournalError` for what cannot be read or written."""

    def names(self) -> list[str]:
        """The names of all objects, sorted, as they are at this moment."""
        ...

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """The objects' contents in the order of the names, ``None`` for one that is not there."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a whole object under a name that nobody else uses, and return when it will outlive a crash."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a whole object if there is none of that name: of several that try at once, one alone succeeds.

        ``False`` if there is one; it may be this very one, when the answer to an earlier try was lost on its way.
        """
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Remove the objects; one that is not there is no error."""
        ...


class FolderObjects:
    """Objects in a folder, one file each, which its owner alone may read. The folder need not exist yet.

    A file gets its name by a hard link from a finished, flushed, hidden one: it is there as a whole or not at all, and
    of two that want the same name one fails, over NFS too. A writer that is killed leaves at most a hidden file.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    def names(self) -> list[str]:
        """The names of all objects, sorted."""
        with self._told("read"):
            try:
                return sorted(each.name for each in self._folder.iterdir() if not each.name.startswith("."))
            except FileNotFoundError:
                return []

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        """The contents in the order of the names, ``None`` for what is not there."""
        for name in names:
            with self._told("read"):
                try:
                    yield (self._folder / name).read_bytes()
                except FileNotFoundError:
                    yield None

    def write(self, name: str, data: bytes) -> None:
        """Write a file under a name that nobody else uses."""
        if not self.create(name, data):
            raise JournalError(f"cannot write the journal {self._name}: there is a {name} already")

    def create(self, name: str, data: bytes) -> bool:
        """Write a file if there is none of that name."""
        hidden = self._folder / f".{name}.{secrets.token_hex(4)}"
        with self._told("write"):
            fresh = make_folders(self._folder)
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                try:
                    write_all(descriptor, data)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.link(hidden, self._folder / name)
            except FileExistsError:
                return False
            finally:
                hidden.unlink()
            for folder in (self._folder, *fresh):
                sync_folder(folder)
        return True

    def delete(self, names: Iterable[str]) -> None:
        """Remove the files."""
        with self._told("write"):
            for name in names:
                (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalError(
                f"cannot {what} the journal {self._name}: {error.strerror}",
                "free space, or name another with --journal",
            ) from error


def make_folders(folder: Path) -> list[Path]:
    """Make the folder and what is missing above it; the ones to flush then are the parents of those that were made."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    return [each.parent for each in missing]


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of the data, in however many pieces the system takes it."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
