"""Windows in which a phase reigned, and which task instances started in one that hands path strings over. Pure.

Settings are fixed when a process starts, so what was observed of a context at one moment holds for the whole life of the
scheduler that was alive then (its ``job`` row tells), and for its tasks, which are its forks.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Optional

from xcomctl.model.phases import Phase
from xcomctl.model.requests import Record

#: Phases under which a reader of a reference gets its path.
HANDS_PATHS_OVER = (Phase.INLINE.value, Phase.MISCONFIGURED.value)


@dataclass(frozen=True)
class Observation(Record):
    """At a moment (ISO 8601) a context resolved a phase. ``source`` says who saw it: ``now``, or a journal's action."""

    at: str
    phase: str
    context: str
    source: str = "now"

    @property
    def moment(self) -> datetime.datetime:
        """When. Raises ``ValueError`` for a text that is no time."""
        text = self.at
        return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


@dataclass(frozen=True)
class Window:
    """A phase from one moment to another; ``end`` is ``None`` for until now. ``because`` is what it rests on."""

    start: datetime.datetime
    end: Optional[datetime.datetime]
    phase: str
    because: str

    def holds(self, moment: datetime.datetime) -> bool:
        """Whether a moment lies in it."""
        return self.start <= moment and (self.end is None or moment <= self.end)


def windows(
    observations: Iterable[Observation], lives: Sequence[tuple[datetime.datetime, Optional[datetime.datetime]]]
) -> list[Window]:
    """The windows of the phases that hand path strings over.

    ``lives`` are those of the schedulers: start, and end (``None`` while it lives). An observation that no life covers
    stands for its moment alone, and so tells nothing about any start: it makes no window.
    """
    found = []
    for each in observations:
        if each.phase not in HANDS_PATHS_OVER:
            continue
        covering = [life for life in lives if life[0] <= each.moment and (life[1] is None or each.moment <= life[1])]
        for start, end in covering:
            found.append(
                Window(start, end, each.phase, f"{each.context} was {each.phase} at {each.at} ({each.source})")
            )
    return found
