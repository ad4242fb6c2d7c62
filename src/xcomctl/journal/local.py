"""The journal in a local file: JSON lines, one entry each.

Appending takes a lock on the file, so that two writers never mix their lines, and returns when the line is on disk.
A line that a killed writer or a full disk left torn stays where it is, is reported by every reading, and does not
stop anything: the next entry starts on a line of its own.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xcomctl.errors import UserError
from xcomctl.model.journal_entry import Actor, JournalEntry, timestamp
from xcomctl.model.redaction import redact_mapping


class JournalError(UserError):
    """The journal cannot be read or written. ``hint`` says what mends it."""


@dataclass(frozen=True)
class DamagedLine:
    """A line that is no entry: torn, or not ours. ``number`` counts from 1, ``text`` is the line as it stands.

    ``torn`` tells a last line without its line end, which is what a killed writer leaves.
    """

    number: int
    text: str
    reason: str
    torn: bool


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


class LocalJournal:
    """A journal in one file, which need not exist yet."""

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = default_path() if path is None else Path(path)

    def append(self, entry: JournalEntry) -> None:
        """Write one entry, without its secrets, and return when it is on disk.

        The file is made readable by its owner alone; missing folders are made. Raises :class:`JournalError`: then
        the entry is not there as a whole, and what was done must be taken as not recorded.
        """
        try:
            text = json.dumps(redact_mapping(entry.to_json()), ensure_ascii=False, allow_nan=False)
            line = text.encode() + b"\n"
        except UnicodeEncodeError:
            line = json.dumps(redact_mapping(entry.to_json()), allow_nan=False).encode() + b"\n"
        except (TypeError, ValueError) as error:
            raise JournalError(f"the entry {entry.action!r} is no plain JSON: {error}") from error
        try:
            fresh = self._make_folders()
            with self._opened(os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                _write_all(descriptor, line)
                os.fsync(descriptor)
                if not size:
                    for folder in (self.path.parent, *fresh):
                        _sync_folder(folder)
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
                        yield _understood(number, line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise JournalError(f"cannot read the journal {self.path}: {error.strerror}") from error

    def entries(self) -> Iterator[JournalEntry]:
        """The entries alone, damaged lines passed over. Raises as :meth:`read`."""
        return (line for line in self.read() if isinstance(line, JournalEntry))

    def _make_folders(self) -> list[Path]:
        """Make the missing folders; the ones to flush then are the parents of those that were made."""
        missing = [folder for folder in (self.path.parent, *self.path.parent.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        return [folder.parent for folder in missing]

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _understood(number: int, line: bytes) -> JournalEntry | DamagedLine:
    torn = not line.endswith(b"\n")
    text = line.decode("utf-8", "backslashreplace").rstrip("\n")
    try:
        record: Any = json.loads(line)
        # A whole entry that lacks only its line end lost nothing.
        return JournalEntry.from_json(record)
    except json.JSONDecodeError:
        return DamagedLine(number, text, "the line is torn" if torn else "the line is no JSON", torn)
    except (ValueError, RecursionError) as error:
        return DamagedLine(number, text, str(error), torn)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
