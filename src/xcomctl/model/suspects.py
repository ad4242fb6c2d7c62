"""Windows in which a phase reigned, and which task instances started in one that hands path strings over. Pure.

Settings are fixed when a process starts, so what was observed of a context at one moment holds for the whole life of the
scheduler that was alive then (its ``job`` row tells), and for its tasks, which are its forks. Where a context has processes
of its own and no scheduler (a Celery worker), it holds for the lives of those.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from xcomctl.model.phases import Phase
from xcomctl.model.requests import Record

#: Phases under which a reader of a reference gets its path.
HANDS_PATHS_OVER = (Phase.INLINE.value, Phase.MISCONFIGURED.value)


def instance_name(task_id: str, map_index: int) -> str:
    """``task`` or ``task[index]``."""
    return task_id if map_index < 0 else f"{task_id}[{map_index}]"


@dataclass(frozen=True)
class Observation(Record):
    """At a moment (ISO 8601) a context resolved a phase. ``source`` says who saw it: ``now``, or a journal's action.

    ``apart``: no scheduler lives there, so that what hosts tasks there comes and goes by itself: from ``since``, ``None``
    for not known, to ``until``, ``None`` for until now.
    """

    at: str
    phase: str
    context: str
    source: str = "now"
    apart: bool = False
    since: Optional[str] = None
    until: Optional[str] = None

    @property
    def moment(self) -> datetime.datetime:
        """When. Raises ``ValueError`` for a text that is no time."""
        return _moment(self.at)


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
    stands for its moment alone, and so tells nothing about any start: it makes no window. One that is ``apart`` goes by its
    own life; where its beginning is not known, by that of the scheduler's.
    """
    found = []
    for each in observations:
        if each.phase not in HANDS_PATHS_OVER:
            continue
        covering = [life for life in lives if life[0] <= each.moment and (life[1] is None or each.moment <= life[1])]
        if each.apart:
            first = min((start for start, _ in covering), default=each.moment)
            since = first if each.since is None else _moment(each.since)
            covering = [(since, None if each.until is None else _moment(each.until))]
        for start, end in covering:
            found.append(
                Window(start, end, each.phase, f"{each.context} was {each.phase} at {each.at} ({each.source})")
            )
    return found


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


@dataclass(frozen=True)
class Ran:
    """An instance: when its process started, once or, deferred and resumed, twice; ``ended`` is ``None`` while it runs."""

    name: str
    starts: tuple[datetime.datetime, ...]
    ended: Optional[datetime.datetime] = None


@dataclass(frozen=True)
class Suspects:
    """Instances that may have read a path string, each with the window that says so.

    ``started`` did so after the run's first reference was there. ``ran_on`` were there before it, and not over when it
    came. ``inside`` are all that started in a window, whatever the run held.
    """

    started: Mapping[str, Window] = field(default_factory=dict)
    ran_on: Mapping[str, Window] = field(default_factory=dict)
    inside: Mapping[str, Window] = field(default_factory=dict)


def suspects(ran: Iterable[Ran], bad: Sequence[Window], first: Optional[datetime.datetime]) -> Suspects:
    """Who may have read a path string. ``first`` is when the run's first reference was pushed, ``None`` for none."""
    started, ran_on, inside = {}, {}, {}
    for each in ran:
        for moment in each.starts:
            window = next((window for window in bad if window.holds(moment)), None)
            if window is None:
                continue
            inside[each.name] = window
            if first is None:
                continue
            if moment > first:
                started[each.name] = window
            elif each.ended is None or each.ended > first:
                ran_on[each.name] = window
    return Suspects(started, {name: window for name, window in ran_on.items() if name not in started}, inside)
