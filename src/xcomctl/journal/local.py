"""The journal in a local file: JSON lines, one entry each.

Appending takes a lock on the file, so that two writers never mix their lines, and returns when the line is on disk.
A line that a killed writer or a full disk left torn stays where it is, is reported by every reading, and does not
stop anything: the next entry starts on a line of its own. The lock that keeps two *changes* apart lies in a folder
beside it.
"""

from __future__ import annotations

import fcntl
import getpass
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xcomctl import __version__
from xcomctl.journal.errors import JournalError
from xcomctl.journal.interface import LOOK, DamagedLine, Journal, decoded, encoded
from xcomctl.journal.objects import FolderObjects, make_folders, sync_folder, write_all
from xcomctl.model.journal_entry import Actor, JournalEntry, timestamp


def default_path(environment: Mapping[str, str] | None = None) -> Path:
    """``$XDG_STATE_HOME/xcomctl/journal.jsonl``, else ``~/.local/state/xcomctl/journal.jsonl``.

    A relative ``XDG_STATE_HOME`` is ignored, as the XDG specification asks.
    """
    variables = os.environ if environment is None else environment
    state = variables.get("XDG_STATE_HOME", "")
    default = Path(variables.get("HOME") or Path.home()) / ".local" / "state"
    return (Path(state) if Path(state).is_absolute() else default) / "xcomctl" / "journal.jsonl"


def this_actor() -> Actor:
    """Who runs this process. A user id without a name is given as ``uid 1000``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return Actor(user=user, host=socket.gethostname(), pid=os.getpid())


def now() -> str:
    """The present moment as an entry's ``at``."""
    return timestamp(datetime.now(UTC))


def entry_now(
    action: str,
    deployment: str | None,
    *,
    versions: Mapping[str, str] | None = None,
    at: str | None = None,
    **more: Any,
) -> JournalEntry:
    """An entry that this process makes now, or made ``at`` that moment. ``versions`` are those besides xcomctl's own."""
    return JournalEntry(
        action=action,
        actor=this_actor(),
        at=at or now(),
        deployment=deployment,
        versions={"xcomctl": __version__, **(versions or {})},
        **more,
    )


class LocalJournal(Journal):
    """A journal in one file, which need not exist yet."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_path() if path is None else Path(path)

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)

    def append(self, entry: JournalEntry) -> None:
        """Write one entry, without its secrets, and return when it is on disk.

        The file is made readable by its owner alone; missing folders are made. Raises :class:`JournalError`: then
        the entry is not there as a whole, and what was done must be taken as not recorded.
        """
        line = encoded(entry) + b"\n"
        try:
            fresh = make_folders(self.path.parent)
            with self._opened(os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                write_all(descriptor, line)
                os.fsync(descriptor)
                if not size:
                    for folder in (self.path.parent, *fresh):
                        sync_folder(folder)
        except OSError as error:
            raise JournalError(
                f"cannot write the journal {self.path}: {error.strerror}", "free space, or name another with --journal"
            ) from error

    def read(self) -> Iterator[JournalEntry | DamagedLine]:
        """The lines from the oldest to the newest, one at a time; blank lines are passed over.

        What is appended after the call began is not part of it. A missing file is an empty journal. Raises
        :class:`JournalError` if it cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                # Nobody is in the middle of a line while we hold this, so what is torn now is torn for good.
                fcntl.flock(file, fcntl.LOCK_SH)
                left = os.fstat(file.fileno()).st_size
                fcntl.flock(file, fcntl.LOCK_UN)
                number = 0
                while left > 0 and (line := file.readline(left)):
                    left -= len(line)
                    number += 1
                    if line.strip():
                        yield decoded(number, line, whole=line.endswith(b"\n"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise JournalError(f"cannot read the journal {self.path}: {error.strerror}") from error

    def _locks(self) -> FolderObjects:
        file = Path(os.path.realpath(self.path))  # the same lock by whichever link
        return FolderObjects(file.parent / f"{file.name}.locks", self.name)

    def _look(self) -> str:
        return LOOK if self.path == default_path() else super()._look()

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
