"""Which lines of a task's log tell of an XCom that could not be stored or read, or of a path taken for data. Pure."""

from __future__ import annotations

import re
from typing import Optional

from xcomctl.model.handed_over import path_in
from xcomctl.model.redaction import redact

#: What is true when the check of logs is OK.
LOGS_TITLE = "the logs of the run's tasks tell of no XCom error"
#: What to do about a line that tells. Clearing a task leaves the logs of its tries where they are.
LOGS_HINT = "look at these tasks' logs; once that is mended, verify another run: a try's log stays after a clear"
#: Instances whose logs are read, of every try, the failed ones first.
MOST_LOGS = 100
#: Lines that a check's data holds.
MOST_LINES = 50
#: Lines that are quoted of one log, and characters of a line.
LINES_OF_ONE = 3
_QUOTED = 200

#: Around where Airflow's reader looked for the log.
_SOURCES, _END_OF_GROUP = "::group::Log message source details", "::endgroup::"
#: How Airflow shows what a task returned: data, in which any word may stand.
_RETURNED = "Returned value was: "
#: What xcomctl's own tasks print.
_OWN = ("xcomctl-answer: ", "xcomctl-probe: ")
#: A frame of a traceback, and what an error is called. No pattern looks further than a word: lines are as long as values.
_FRAME = re.compile(r'^\s*File "[^"]{1,400}xcom')
_ERROR = re.compile(r"error\b|exception|traceback|denied|not found|no such")


def told(log: str) -> str:
    """What the task and its runner said: the log without what its reader put on top, which is there for a lost log too.

    Both lines begin with a group that says where the log was looked for, or what went wrong with that
    (``FileTaskHandler._read``). 2.x marks such lines with stars, and its API names the host before the group.
    """
    lines: list[str] = []
    inside = False
    for line in log.splitlines():
        if _SOURCES in line:
            inside = True
            if lines and not lines[-1].split()[1:]:
                lines.pop()
        elif inside:
            inside = _END_OF_GROUP not in line
        elif line.strip() and not line.startswith("*** "):
            lines.append(line)
    return "\n".join(lines)


def telling(log: str, base_path: str) -> list[str]:
    """The first few lines of a log that tell, cut short."""
    found = []
    for line in log.splitlines():
        if _tells(line, base_path):
            found.append(" ".join(line.split())[:_QUOTED])
            if len(found) == LINES_OF_ONE:
                break
    return found


def _tells(line: str, base_path: str) -> bool:
    if any(own in line for own in _OWN):
        return False
    if path_in(line, base_path) is not None:
        return True
    if _RETURNED in line:
        return False
    if _FRAME.search(line):
        return True
    lower = line.lower()
    if "airflowconfigexception" in lower:
        return True
    about = "xcom" in lower or "objectstorage" in lower
    return about and _ERROR.search(lower) is not None


def name_of_try(instance: str, number: int, latest: int) -> str:
    """How a try of an instance is called: the latest one by the instance's own name."""
    return instance if number == latest else f"{instance} try {number}"


class Logs:
    """The logs of a run's tries, read one after the other. ``tries`` is how many there are to read.

    Every try counts: what went wrong in one, and a retry healed, went wrong all the same.
    """

    def __init__(self, tries: int, base_path: str) -> None:
        self._tries, self._base_path = tries, base_path
        self._read = 0
        self._why = ""
        #: The lines that tell, each with its instance and try, without secrets.
        self.lines: list[str] = []

    def add(self, name: str, log: str) -> None:
        """One try's log as Airflow's reader gives it; one without a word of the task counts as not read."""
        text = told(log)
        self._read += bool(text)
        self.lines += [f"{name}: {redact(line)}" for line in telling(text, self._base_path)]

    def lost(self, why: str) -> None:
        """One that could not be read; the first reason is told."""
        self._why = self._why or redact(" ".join(why.split())[:_QUOTED])

    @property
    def clean(self) -> Optional[bool]:
        """Whether they are, ``None`` for not known."""
        if self.lines:
            return False
        return True if self._read == self._tries else None

    @property
    def said(self) -> str:
        """The same in a sentence."""
        if self.lines:
            return f"{len(self.lines)} lines; {self.lines[0]}"
        unread = self._tries - self._read
        if unread:
            why = f": {self._why}" if self._why else ""
            return f"the logs of {unread} of {self._tries} tries were not read{why}"
        return f"the logs of {self._read} tries tell of no XCom error, and hold no path under the base path"
