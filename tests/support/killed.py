"""``python -m tests.support.killed WHEN COMMAND …``: xcomctl that is killed, with SIGKILL, by an entry of its journal.

``WHEN`` is a number: right after so many entries. Or it is ``ACTION:announced``, right after the entry that announces this
action, when nothing of it was done; or ``ACTION:unrecorded``, right before the one that says how it ended, when all of it was.
What is killed is the whole program as it runs; nothing of it is told that it will be.
"""

from __future__ import annotations

import os
import signal
import sys

from xcomctl.cli.main import main
from xcomctl.journal.local import LocalJournal
from xcomctl.model.journal_entry import JournalEntry

append = LocalJournal.append
when = sys.argv[1]
entries = 0


def append_and_die(journal: LocalJournal, entry: JournalEntry) -> None:
    """Append it, unless that comes too late; the last one that may be appended is the last thing that happens."""
    global entries
    if entry.verdict is not None and when == f"{entry.action}:unrecorded":
        os.kill(os.getpid(), signal.SIGKILL)
    append(journal, entry)
    entries += 1
    if when == str(entries) or (entry.verdict is None and when == f"{entry.action}:announced"):
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    LocalJournal.append = append_and_die  # type: ignore[assignment, method-assign]
    sys.exit(main(sys.argv[2:]))
