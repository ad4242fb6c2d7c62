"""What the journal says of late: the last entry of each kind that a screen shows, read in one pass."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from xcomctl.journal.interface import Where
from xcomctl.journal.open import opened
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.refs import SCAN

REHEARSE, PREFLIGHT, PROBE, VERIFY = "rehearse", "preflight", "probe", "verify"
_KINDS = (SCAN, REHEARSE, PREFLIGHT, PROBE, VERIFY)
_LAST = 5


@dataclass
class Recent:
    """``latest`` holds the newest entry of each kind, ``last`` the newest few of any. ``error``: why there is none."""

    latest: dict[str, JournalEntry] = field(default_factory=dict)
    last: tuple[JournalEntry, ...] = ()
    path: str = ""
    error: str = ""

    @classmethod
    def read(cls, where: Where, deployment: str | None) -> Recent:
        """From the journal; of a named deployment only its own entries. A rehearsal counts for every deployment."""
        from xcomctl.errors import UserError

        found = cls()
        last: deque[JournalEntry] = deque(maxlen=_LAST)
        try:
            journal = opened(where)
            found.path = journal.name
            for entry in journal.entries():
                if entry.deployment != deployment and entry.action != REHEARSE:
                    continue
                last.append(entry)
                if entry.action in _KINDS:
                    found.latest[entry.action] = entry
        except UserError as error:
            found.error = error.message
        found.last = tuple(reversed(last))
        return found

    def to_json(self) -> dict[str, Any]:
        """The newest few as plain JSON values."""
        return {
            "path": self.path,
            "error": self.error,
            "last": [
                {"at": each.at, "action": each.action, "verdict": None if each.verdict is None else each.verdict.value}
                for each in self.last
            ],
        }


def age_s(entry: JournalEntry) -> float:
    """How old an entry is, in seconds."""
    return max(0.0, (datetime.now(UTC) - parse_time(entry.at)).total_seconds())
