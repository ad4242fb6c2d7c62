"""The argument: what is explored with all lines, and in which world each line turns out to be necessary."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.support.protocol import explore, hard, worlds
from tests.support.protocol.explore import Explored, Property, Successors
from tests.support.protocol.lines import NOTHING_LEFT_OUT, BarrierLine, LeftOut, Rule
from tests.support.protocol.world import World


@dataclass(frozen=True)
class Case:
    """A world, what must not be in it, and what happens."""

    world: World
    wrong: Property = explore.no_path
    successors: Successors = explore.all_moves

    def explore(self, left_out: LeftOut = NOTHING_LEFT_OUT) -> Explored:
        """Search it."""
        return explore.explore(self.world, left_out, self.wrong, self.successors)


_HARD = Case(worlds.HARD, hard.over_for_good, hard.moves)
_LATE = Case(worlds.LATE, explore.late_but_mended, explore.with_victims)


def _short(world: World, ticks: int) -> Case:
    """A search that need not look at what happens later."""
    return Case(replace(world, ticks=ticks))


#: Where nothing may be found with all lines. ``MOST`` takes in ``CLEANED`` and ``STEP_PODS``.
SUFFICIENT = (
    *(
        Case(world, explore.sound)
        for world in (
            worlds.ROLLING_UP, worlds.ROLLING_DOWN, worlds.CRASHES, worlds.ONE_SITE, worlds.OUTLIVED, worlds.BEHIND,
            worlds.PODS, worlds.PODS_HIDDEN, worlds.UNCOVERED, worlds.PRIOR_RUNS, worlds.ALIASES, worlds.ACCEPTED,
            worlds.STOPPED_UP, worlds.STOPPED_DOWN, worlds.STARTED_AGAIN, worlds.MOST, worlds.THERE_AND_BACK,
        )
    ),
    _HARD,
    _LATE,
)  # fmt: skip

#: Where something is found without a line.
NECESSARY: dict[BarrierLine | Rule, Case] = {
    BarrierLine.UP: Case(worlds.CRASHES),
    BarrierLine.GONE: Case(worlds.CRASHES),
    BarrierLine.GONE_WHEN: _short(worlds.ONE_SITE, 1),
    BarrierLine.RUNNING: Case(worlds.ONE_SITE),
    BarrierLine.RESTARTING: _short(worlds.OUTLIVED, 0),
    # start_date is never too late: it is too early, and the barrier waits for days.
    BarrierLine.LOG_ROW: Case(worlds.STEP_PODS, explore.no_needless_wait),
    BarrierLine.MARGIN: Case(worlds.ONE_SITE),
    BarrierLine.NO_ROW: Case(worlds.CLEANED),
    BarrierLine.QUEUED: Case(worlds.ONE_SITE),
    BarrierLine.QUEUED_BEFORE: Case(worlds.ONE_SITE),
    BarrierLine.POD: Case(worlds.PODS),
    BarrierLine.POD_OF_ANY_STATE: _short(worlds.STEP_PODS, 0),
    BarrierLine.POD_OF_OLD: _short(worlds.STEP_PODS, 2),
    BarrierLine.PODS_SEEN: Case(worlds.PODS_HIDDEN),
    BarrierLine.LEFT: _short(worlds.OUTLIVED, 0),
    BarrierLine.LEFT_AND_BACK: _short(worlds.OUTLIVED, 2),
    BarrierLine.COVERED: Case(worlds.UNCOVERED),
    BarrierLine.RUNNING_PROCESS: Case(worlds.CRASHES),
    BarrierLine.NEXT_START: _short(worlds.THERE_AND_BACK, 0),
    BarrierLine.ACCEPTED: Case(worlds.ACCEPTED),
    BarrierLine.LAST_PASS: _short(worlds.ROLLING_DOWN, 0),
    Rule.BARRIER: Case(worlds.ROLLING_UP),
    Rule.ADJACENT: Case(worlds.ROLLING_UP),
    Rule.GATE: Case(worlds.PRIOR_RUNS),
    Rule.FINISHED_RUNS: Case(worlds.PRIOR_RUNS),
    Rule.ALIASES: Case(worlds.ALIASES),
    Rule.SECOND_SCAN: _LATE,
    Rule.STOPPED: Case(worlds.STOPPED_UP),
    Rule.BACKFILL: _HARD,
    Rule.DEPLOYED_FIRST: Case(worlds.STARTED_AGAIN),
    Rule.WAIT_FIRST: _HARD,
    Rule.SUSPECTS: _HARD,
}
