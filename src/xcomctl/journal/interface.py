"""What every journal has to offer, wherever it is kept."""

from __future__ import annotations

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from xcomctl.journal.errors import JournalError
from xcomctl.journal.lock import LEASE_S, Lock, LockState, held, locked
from xcomctl.journal.objects import Objects
from xcomctl.model.journal_entry import Actor, JournalEntry
from xcomctl.model.redaction import redact_mapping

#: Where a journal is kept: a file, a URL, or ``None`` for the user's own file.
Where = str | Path | None
#: The command that shows who holds the lock, and what was done last.
LOOK = "xcomctl journal --last 5"


@dataclass(frozen=True)
class DamagedLine:
    """A line, or an object, that is no entry: torn, or not ours. ``number`` counts from 1, ``text`` is as it stands.

    ``torn`` tells one without its end, which is what a killed writer leaves. ``name`` is that of an object.
    """

    number: int
    text: str
    reason: str
    torn: bool
    name: str = ""

    @property
    def place(self) -> str:
        """Where to look for it."""
        return f"object {self.name}" if self.name else f"line {self.number}"


class Journal(ABC):
    """Entries from the oldest to the newest, and one lock for each deployment that it is the journal of."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Where it is kept, for a person: a path, or a URL without secrets."""

    @abstractmethod
    def append(self, entry: JournalEntry) -> None:
        """Write one entry, without its secrets, and return when it will outlive a crash.

        Raises :class:`JournalError`: then what was done must be taken as not recorded.
        """

    @abstractmethod
    def read(self) -> Iterator[JournalEntry | DamagedLine]:
        """The entries from the oldest to the newest, one at a time, and what lies between them and is none.

        What is appended after the call began is not part of it. A journal that does not exist yet is empty. Raises
        :class:`JournalError` if it cannot be read.
        """

    def entries(self) -> Iterator[JournalEntry]:
        """The entries alone, what is damaged passed over. Raises as :meth:`read`."""
        return (line for line in self.read() if isinstance(line, JournalEntry))

    def lock(
        self, actor: Actor, action: str, deployment: str | None, lease_s: float = LEASE_S
    ) -> AbstractContextManager[Lock]:
        """Keep other changes of the deployment out as long as the block runs; ``None`` for one without a name.

        Raises :class:`~xcomctl.journal.errors.Locked` (exit code 6) on entry if another change is under way, and
        :class:`JournalError` if the lock cannot be asked for. Call :meth:`~xcomctl.journal.lock.Lock.renew` before
        each step that changes something. A ``took_over`` that is not ``None`` belongs in the journal.
        """
        return locked(self._locks(), self._look(), actor, action, deployment, lease_s)

    def locks(self) -> list[LockState]:
        """The locks that are held, or were left behind by a crashed change. Raises :class:`JournalError`."""
        return held(self._locks(), self._look())

    @abstractmethod
    def _locks(self) -> Objects:
        """Where the locks' states lie."""

    def _look(self) -> str:
        return f"{LOOK} --journal {shlex.quote(self.name)}"


def encoded(entry: JournalEntry) -> bytes:
    """The entry as one line of JSON, without its secrets and without the line's end.

    Raises :class:`JournalError` for one that holds more than plain JSON.
    """
    record = redact_mapping(entry.to_json())
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:  # a lone surrogate: UTF-8 cannot hold it, an escape can
        return json.dumps(record, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise JournalError(f"the entry {entry.action!r} is no plain JSON: {error}") from error


def decoded(number: int, data: bytes, *, whole: bool, name: str = "") -> JournalEntry | DamagedLine:
    """The entry that the data hold, or what is damaged. ``whole``: a line with its end, so that nothing was torn off.

    An entry that lacks only its line's end lost nothing.
    """
    what = "object" if name else "line"
    text = data.decode("utf-8", "backslashreplace").rstrip("\n")
    try:
        return JournalEntry.from_json(json.loads(data))
    except json.JSONDecodeError:
        return DamagedLine(number, text, f"the {what} is no JSON" if whole else f"the {what} is torn", not whole, name)
    except (ValueError, RecursionError) as error:
        return DamagedLine(number, text, str(error), not whole, name)
