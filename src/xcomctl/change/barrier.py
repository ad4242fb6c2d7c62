"""The barrier of a step, evaluated now and recorded (DESIGN §2)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.assess.fleet import Fleet
from xcomctl.change.evidence import Gathered, gather, without_rows
from xcomctl.journal.interface import Journal, Where
from xcomctl.journal.local import entry_now, now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model.barrier import Accepted, Barrier, HostingProcess, Passage, judge, judge_stopped
from xcomctl.model.journal_entry import parse_time, timestamp
from xcomctl.model.phases import Phase, phase_of
from xcomctl.model.settings import BACKEND, Settings
from xcomctl.model.verdicts import Verdict

ACTION = "wait"
#: The entry that says since when a fleet is known to be up in a phase, where no table does.
UP = "wait.up"


@dataclass(frozen=True)
class Evaluated:
    """A barrier, with what it was judged by."""

    barrier: Barrier
    gathered: Gathered

    @property
    def verdict(self) -> Verdict:
        """Passed is ok, blocked is a failure, and what could not be told is neither."""
        return {"passed": Verdict.OK, "blocked": Verdict.FAILED}.get(self.barrier.passage, Verdict.INCONCLUSIVE)


def stood_still(first: Evaluated, second: Evaluated) -> Evaluated:
    """What two looks at a fleet that stands still come to: nothing may have been up between the two."""
    if not first.barrier.passed or not second.barrier.passed or first.barrier.moment == second.barrier.moment:
        return first if not first.barrier.passed else second
    unknown = ("something ran between two looks at it: ask again",)
    return Evaluated(replace(second.barrier, passage=Passage.INCONCLUSIVE.value, unknown=unknown), second.gathered)


class Barriers:
    """Evaluates barriers of one deployment, whose journal keeps what the tables do not."""

    def __init__(
        self,
        fleet: Fleet,
        journal: Where,
        deployment: str | None,
        deployed_at: datetime.datetime | None = None,
        *,
        reads_only: bool = False,
    ) -> None:
        self._fleet, self._journal, self._deployment = fleet, opened(journal), deployment
        self._deployed_at, self._reads_only = deployed_at, reads_only

    def evaluate(
        self,
        target: Phase,
        accepted: Iterable[str] = (),
        following: Phase | None = None,
        waiting: Callable[[str], None] = lambda what: None,
    ) -> Evaluated:
        """The barrier of the step to ``target`` as it is now, before a step to ``following``.

        Raises :class:`~xcomctl.errors.UserError` where the metadata database or the journal cannot be used.
        """
        gathered = gather(self._fleet, target, waiting, self._deployed_at)
        actor = this_actor()
        names = tuple(Accepted(task, f"{actor.user}@{actor.host}", now()) for task in accepted)
        not_before = self._up_since(target, without_rows(gathered.evidence))
        barrier = judge(target, gathered.evidence, names, following, outlives=gathered.outlives, not_before=not_before)
        return Evaluated(barrier, gathered)

    def evaluate_stopped(self, waiting: Callable[[str], None] = lambda what: None) -> Evaluated:
        """Whether the whole fleet stands still now. Raises as :meth:`evaluate`."""
        gathered = gather(self._fleet, None, waiting)
        return Evaluated(judge_stopped(gathered.evidence, outlives=gathered.outlives), gathered)

    def record(self, target: Phase, found: Evaluated) -> None:
        """Append how it ended to the journal. Raises ``JournalError``."""
        self._append(
            ACTION,
            {
                "target": target.value,
                "barrier": found.barrier.to_json(),
                "accepted": [blocker.task for blocker in found.barrier.accepted],
                "deployed_at": None if self._deployed_at is None else timestamp(self._deployed_at),
            },
            found.verdict,
        )

    def _up_since(self, target: Phase, processes: tuple[HostingProcess, ...]) -> str | None:
        """When all of these were first seen up in the phase: then whatever they came after was gone.

        ``None`` where there is nothing to look up, or where one is not up in it yet.
        """
        if not processes or any(each.phase != target.value for each in processes):
            return None
        identity = sorted([each.component, each.host, each.pid, each.started] for each in processes)
        data = {"target": target.value, "processes": identity}
        for entry in self._journal.entries():
            if (entry.action, entry.deployment, entry.data) == (UP, self._deployment, data):
                return entry.at
        moment = now()
        if not self._reads_only:
            self._append(UP, data, Verdict.OK, moment)
        return moment

    def _append(self, action: str, data: Mapping[str, Any], verdict: Verdict, at: str | None = None) -> None:
        self._journal.append(entry_now(action, self._deployment, at=at, verdict=verdict, data=data))


def rolled_out(journal: Journal, deployment: str | None, phase: Phase) -> datetime.datetime | None:
    """When a phase was rolled out last, as far as the journal tells: what was said to ``wait``, or when a carrier was
    edited. ``None`` where it does not tell: after an edit to another phase, somebody came back by hand. Raises
    ``JournalError``."""
    found: str | None = None
    for entry in journal.entries():
        if entry.deployment != deployment:
            continue
        if entry.action == ACTION and entry.data.get("target") == phase.value and entry.data.get("deployed_at"):
            found = str(entry.data["deployed_at"])
        elif entry.verdict is Verdict.OK and BACKEND.name in (entry.after or {}):
            found = entry.at if phase_of(Settings.from_json(entry.after or {})).phase is phase else None
    return None if found is None else parse_time(found)
