"""The barrier as a step of the kill-switch: of ``inline`` after the hard one, of both phases on the way from ``dual-read``."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from xcomctl.change.barrier import Barriers, Evaluated, rolled_out
from xcomctl.change.killswitch import Begin, Outcome, Step, Work, named
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.barrier import Passage, QueuedInstance, RunningInstance
from xcomctl.model.killswitch import SETTLE, WAIT, Way
from xcomctl.model.phases import Phase
from xcomctl.model.verdicts import Verdict

_POLL_S = 5.0


class Wait(Step):
    """Waits for the barrier of a phase: until nothing is left that runs with older settings (DESIGN §2)."""

    def __init__(self, id: str, target: Phase) -> None:
        self.id = id
        self.title = f"Wait for what still runs with settings from before {target.value}"
        self._target = target

    def prepare(self, work: Work) -> list[str]:
        """The tasks that may be killed."""
        return [f"clear, and so kill, what still runs of: {named(work.wanted.clear)}"] if work.wanted.clear else []

    def asks(self, work: Work) -> bool:
        """Whether anything may be killed."""
        return bool(work.wanted.clear)

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Look at the barrier until it is passed, or the time is over."""
        barriers = Barriers(work.agents.fleet(), work.where, work.deployment, self._since(work))
        deadline = time.monotonic() + work.wanted.timeout_s
        while True:
            found = barriers.evaluate(self._target, following=Phase.INLINE, waiting=work.waiting)
            barrier = found.barrier
            if barrier.passed:
                return Outcome(f"nothing older than {barrier.moment} is left", data={"barrier": barrier.to_json()})
            if barrier.passage == Passage.INCONCLUSIVE.value and work.way is Way.HARD and work.wanted.past_barrier:
                data = {"barrier": barrier.to_json(), "past_barrier": work.wanted.past_barrier}
                return Outcome("gone on although not everything could be seen", notes=barrier.unknown, data=data)
            _clear_named(work, found, begin)
            if time.monotonic() >= deadline:
                return _not_passed(found, work.way)
            first = barrier.blockers[0].name if barrier.blockers else barrier.unknown[0]
            more = len(barrier.blockers) + len(barrier.unknown) - 1
            work.waiting(f"{first}{f' and {more} more' if more else ''}")
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))

    def _since(self, work: Work) -> datetime | None:
        """When this phase was rolled out, for processes that hide what they started with; ``None`` where nobody says."""
        if self._target is work.way.target:
            return work.edited_at
        return rolled_out(work.journal, work.deployment, self._target)


def _clear_named(work: Work, found: Evaluated, begin: Begin) -> None:
    """Clear what still runs with older settings of the tasks that may be killed; what was cleared before is on its way out."""
    blocking = {blocker.name for blocker in found.barrier.blockers}
    evidence = found.gathered.evidence
    running = (each for each in evidence.running if each.state != "restarting")
    alive: Iterable[RunningInstance | QueuedInstance] = (*running, *evidence.queued)
    chosen = [each for each in alive if each.task in work.wanted.clear and each.name in blocking]
    if not chosen:
        return
    begin(data={"cleared": [each.name for each in chosen]})

    def clear(session: AgentSession) -> None:
        for each in chosen:
            session.request(
                requests.CLEAR,
                {"dag_id": each.dag_id, "run_id": each.run_id, "tasks": [[each.task_id, each.map_index]]},
            )

    work.agents.fleet().with_database(clear)


def _not_passed(found: Evaluated, way: Way) -> Outcome:
    barrier = found.barrier
    notes = [f"{each.name} {each.reason}: {'; '.join(each.ways_out)}" for each in barrier.blockers]
    data = {"barrier": barrier.to_json()}
    if barrier.blockers:
        hint = "wait and call again, or name what may be killed: --clear DAG.TASK"
        return Outcome("something still runs with older settings", Verdict.FAILED, (*notes, *barrier.unknown), hint, data=data)  # fmt: skip
    by_daylight = "make it visible, and call again"
    hint = "make it visible, or take it upon yourself: --past-barrier REASON" if way is Way.HARD else by_daylight
    return Outcome("not everything could be seen", Verdict.INCONCLUSIVE, barrier.unknown, hint, data=data)


#: Of the hard one and the exit, and of the exit before it changes anything.
STEPS: tuple[Step, ...] = (Wait(WAIT, Phase.INLINE), Wait(SETTLE, Phase.DUAL_READ))
