"""What the journal tells of a kill-switch that was begun, and what is to be done next. Pure.

Each step writes an entry ``killswitch.STEP`` without a verdict before the first thing that it changes, and one with a
verdict after the last. So whoever calls again after a crash knows what may have been done, and what has been.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Optional

from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import Phase
from xcomctl.model.verdicts import Verdict

ACTION = "killswitch"
PAUSE, REVERT, DEPLOY, CONFIRM = "pause", "revert", "deploy", "confirm"
WAIT, CLEAR, UNPAUSE, WATCH = "wait", "clear", "unpause", "watch"
#: The barrier of ``dual-read``; references back into the database, and once more what a late process still wrote.
SETTLE, REHYDRATE, LATE = "settle", "rehydrate", "late"


class Way(str, Enum):
    """Which kill-switch: ``soft`` leads to ``dual-read``, ``hard`` at once to ``inline``, ``exit`` from ``dual-read`` to
    ``inline`` once nothing is a reference any more."""

    SOFT = "soft"
    HARD = "hard"
    EXIT = "exit"

    @property
    def target(self) -> Phase:
        """The phase in which it ends."""
        return Phase.DUAL_READ if self is Way.SOFT else Phase.INLINE

    @property
    def steps(self) -> tuple[str, ...]:
        """Its steps, in their order."""
        revert = (REVERT, DEPLOY, CONFIRM)
        if self is Way.EXIT:
            return (SETTLE, REHYDRATE, *revert, WAIT, LATE, CLEAR, WATCH)
        return revert if self is Way.SOFT else (PAUSE, *revert, WAIT, REHYDRATE, CLEAR, UNPAUSE, WATCH)


@dataclass(frozen=True)
class Begun:
    """A kill-switch that was begun: ``plan`` tells it from others, ``since`` is when, ``entries`` are all of it."""

    way: Way
    plan: str
    since: str
    entries: tuple[JournalEntry, ...]

    @property
    def first(self) -> JournalEntry:
        """The entry with which it began."""
        return self.entries[0]

    def begun(self, step: str) -> tuple[JournalEntry, ...]:
        """The entries that announce a step, one for each time that it was begun."""
        return tuple(each for each in self._of(step) if each.verdict is None)

    def done(self, step: str) -> Optional[JournalEntry]:
        """The last entry that says a step was done, ``None`` while it was not."""
        return next((each for each in reversed(self._of(step)) if each.verdict is Verdict.OK), None)

    def stands(self, step: str) -> bool:
        """Whether a step was done, and since then neither it nor one before it was begun again."""
        last = self._last(step)
        if last < 0 or self.entries[last].verdict is not Verdict.OK:
            return False
        steps = self.way.steps
        return all(self._last(each) < last for each in steps[: steps.index(step)])

    @property
    def round(self) -> Begun:
        """The same with the entries since DAGs were paused alone: where they were put back and paused again, since then."""
        start, put_back = 0, True
        for position, entry in enumerate(self.entries):
            if put_back and entry.action == f"{ACTION}.{PAUSE}" and entry.verdict is None:
                start, put_back = position, False
            elif entry.action == f"{ACTION}.{UNPAUSE}" and entry.verdict is Verdict.OK:
                put_back = True
        return replace(self, entries=self.entries[start:])

    @property
    def unpaused(self) -> bool:
        """Whether DAGs may have been unpaused since they were last paused."""
        return self._last(UNPAUSE) > self._last(PAUSE)

    def _of(self, step: str) -> list[JournalEntry]:
        return [each for each in self.entries if each.action == f"{ACTION}.{step}"]

    def _last(self, step: str) -> int:
        found = [position for position, each in enumerate(self.entries) if each.action == f"{ACTION}.{step}"]
        return found[-1] if found else -1


def unfinished(entries: Iterable[JournalEntry], deployment: Optional[str]) -> Optional[Begun]:
    """The kill-switch of a deployment that was begun last, unless it has ended; one that ended is not gone on with."""
    found: Optional[Begun] = None
    for entry in entries:
        if entry.deployment != deployment or entry.plan is None:
            continue
        if entry.action == ACTION and entry.verdict is None and (found is None or found.plan != entry.plan):
            way = entry.data.get("way")
            if way in [each.value for each in Way]:
                found = Begun(Way(way), entry.plan, entry.at, (entry,))
        elif found is not None and entry.plan == found.plan:
            if entry.action == ACTION and entry.verdict is not None:
                found = None
            else:
                found = Begun(found.way, found.plan, found.since, (*found.entries, entry))
    return found


def remaining(begun: Begun, resolved: bool) -> tuple[str, ...]:
    """The steps that are still to be done, in their order: the first that does not stand, and all after it.

    ``resolved`` is whether every context resolves the target now. Until that was confirmed, the way there is gone again
    from the edit on: nothing of it does harm twice. Where it was and does not hold any more, somebody has deployed
    something else, and everything is done again; so it is where DAGs were unpaused too early, by an end that was broken off.
    """
    steps = begun.way.steps
    first = next((number for number, step in enumerate(steps) if not begun.stands(step)), len(steps))
    if first <= steps.index(CONFIRM):
        first = min(first, steps.index(REVERT))
    elif not resolved:
        first = 0
    if UNPAUSE in steps and first < steps.index(UNPAUSE) and begun.unpaused:
        first = 0
    return steps[first:]
