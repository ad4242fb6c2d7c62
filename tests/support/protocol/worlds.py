"""The small worlds in which the argument is checked, each with what happens in it."""

from __future__ import annotations

from tests.support.protocol.state import ALIAS, INLINE, NOTHING, OFFLOAD, REFERENCE
from tests.support.protocol.world import Feature, Role, World
from xcomctl.model.phases import Line, Phase
from xcomctl.model.transitions import route

ONE = ("scheduler",)


def _way(start: Phase, target: Phase) -> tuple[str, ...]:
    return (start.value, *(step.target.value for step in route(start, target)))


UP = _way(Phase.INLINE, Phase.OFFLOAD)
DOWN = _way(Phase.OFFLOAD, Phase.INLINE)


def _of(*features: Feature) -> frozenset[Feature]:
    return frozenset(features)


ROLLING_UP = World("two sites roll up", UP)
ROLLING_DOWN = World("two sites roll down", DOWN, roles=(Role.WRITER,))
CRASHES = World("sites go down and come up again", UP, roles=(), features=_of(Feature.CRASH))
ONE_SITE = World("one site rolls up, clocks differ", UP, ONE, skew=1)
CLEANED = World("db clean", UP, ONE, features=_of(Feature.DB_CLEAN), ticks=2)
OUTLIVED = World(
    "processes outlive their instances, on 3.x", UP, ONE, features=_of(Feature.MARK, Feature.CLEAR), line=Line.AF3
)
BEHIND = World("the database's clock is behind", UP, ONE, features=_of(Feature.MARK), skew=-1)
CLEARED_IN_THE_QUEUE = World("what is queued is cleared, on 2.x", UP, ONE, features=_of(Feature.CLEAR), skew=1, ticks=4)
PODS = World("a pod for each task", UP, ONE, features=_of(Feature.PODS, Feature.CLEAR))
PODS_HIDDEN = World("pods that cannot be listed", UP, ONE, features=_of(Feature.PODS, Feature.PODS_HIDDEN))
STEP_PODS = World("deferral, and a step's pod", UP, ONE, features=_of(Feature.DEFER, Feature.STEP_POD), ticks=2)
UNCOVERED = World("a host that no context covers", UP, ("scheduler", "host"), (), features=_of(Feature.UNCOVERED))
PRIOR_RUNS = World("references of finished runs", DOWN, ONE, (Role.PASS_THROUGH,), (REFERENCE, NOTHING))
ALIASES = World("an alias", DOWN, ONE, (), (ALIAS, NOTHING))
ACCEPTED = World("an accepted blocker", DOWN, ONE, (Role.WRITER,), features=_of(Feature.ACCEPT))
LATE = World(
    "a process that outlives everything",
    DOWN,
    ONE,
    (Role.WRITER,),
    features=_of(Feature.FOREVER, Feature.MARK),
    stages=1,
)
STOPPED_UP = World(
    "the fleet is stopped, on the way up", (INLINE, OFFLOAD), ("scheduler", "backfill"),
    features=_of(Feature.STOP, Feature.PAUSED, Feature.BACKFILL),
)  # fmt: skip
STOPPED_DOWN = World(
    "the fleet is stopped, on the way down", (OFFLOAD, INLINE), ("scheduler", "backfill"), (Role.WRITER,),
    features=_of(Feature.STOP, Feature.PAUSED, Feature.BACKFILL),
)  # fmt: skip
STARTED_AGAIN = World("a stopped fleet starts again", (INLINE, OFFLOAD), roles=(), features=_of(Feature.STOP))
HARD = World(
    "the hard kill-switch", (OFFLOAD, INLINE), ("scheduler", "backfill"), (Role.PASS_THROUGH,),
    features=_of(Feature.BACKFILL), stages=5,
)  # fmt: skip
MOST = World(
    "most of it in one world, on 3.x", UP, ONE, (Role.PASS_THROUGH,), line=Line.AF3,
    features=_of(Feature.MARK, Feature.DEFER, Feature.STEP_POD, Feature.DB_CLEAN), ticks=2,
)  # fmt: skip
THERE_AND_BACK = World(
    "up and down again", (*UP, *DOWN[1:]), ONE, (Role.PASS_THROUGH,),
    features=_of(Feature.MARK), soft=True,
)  # fmt: skip
