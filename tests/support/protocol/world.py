"""Where a model begins, how large it is, which things happen in it, and how its time is counted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tests.support.protocol.state import (
    EARLIER,
    NOTHING,
    OUTLIVES,
    STEP,
    Instance,
    Left,
    Parent,
    Process,
    Site,
    State,
)
from xcomctl.model.phases import Line


class Feature(Enum):
    """Something that happens in some worlds."""

    #: A parent ends that is not being replaced, once; its supervisor starts it again with what the settings are there.
    CRASH = auto()
    #: ``airflow db clean`` removes the log row of a running instance.
    DB_CLEAN = auto()
    #: An instance is marked, or given up for want of a heartbeat, while its process lives on.
    MARK = auto()
    #: Somebody clears: what is queued, what runs, what is over.
    CLEAR = auto()
    #: An instance defers and is resumed.
    DEFER = auto()
    #: A task starts a pod for its step, which lives on while the instance is deferred.
    STEP_POD = auto()
    #: Tasks run in pods of their own, which stay where they are whatever becomes of the parent and the instance.
    PODS = auto()
    #: The pods cannot be listed.
    PODS_HIDDEN = auto()
    #: The last site is a host that no context covers; once it is down it stays down.
    UNCOVERED = auto()
    #: The last site is a 2.x backfill: started once, by hand, and it does not care for paused DAGs.
    BACKFILL = auto()
    #: Every DAG is paused: schedulers queue nothing.
    PAUSED = auto()
    #: A process without its instance may live longer than the heartbeat and the kill allow; nobody else writes its row.
    FOREVER = auto()
    #: Somebody at the desk accepts the instance that is followed, which reads no XComs, as a blocker.
    ACCEPT = auto()
    #: The fleet may be stopped as a whole.
    STOP = auto()

    # Looked up all the time: members are compared by what they are.
    __hash__ = object.__hash__


class Role(Enum):
    """What the code of an instance does while it runs. A pass-through task does both."""

    READER = auto()
    WRITER = auto()
    PASS_THROUGH = auto()


@dataclass(frozen=True, eq=False)
class World:
    """Where a model begins and how large it is.

    ``route`` are the phases that the desk aims at, one after the other, beginning with the one that reigns. ``rows`` are
    what the rows hold at first: the last is that of the run that is under way, the others are those of finished runs.
    ``skew`` is by how much the clocks of the database and of Kubernetes are ahead of those of the hosts. ``ticks`` is how
    long it goes on after T. ``stages``: how much the desk has still to do after the last step, which then waits for its
    barrier too. ``soft``: ``offload → dual-read`` waits for no barrier, as the soft kill-switch does not.
    """

    name: str
    route: tuple[str, ...]
    sites: tuple[str, ...] = ("scheduler", "worker")
    roles: tuple[Role, ...] = (Role.READER,)
    rows: tuple[str, ...] = (NOTHING,)
    features: frozenset[Feature] = frozenset()
    line: Line = Line.AF2
    skew: int = 0
    ticks: int = 3
    stages: int = 0
    soft: bool = False

    def has(self, feature: Feature) -> bool:
        """Whether it happens in this world."""
        return feature in self.features

    def start(self) -> State:
        """Everything up in the first phase."""
        site = Site(self.route[0], (Parent(self.route[0], EARLIER),))
        instances = tuple(Instance() for _ in self.roles)
        return State(0, self.route[0], 0, (site,) * len(self.sites), EARLIER, instances, self.rows,
                     paused=self.has(Feature.PAUSED))  # fmt: skip

    def is_covered(self, site: int) -> bool:
        """Whether a context of the fleet is there."""
        return not (self.has(Feature.UNCOVERED) and site == len(self.sites) - 1)

    def is_backfill(self, site: int) -> bool:
        """Whether it is a 2.x backfill."""
        return self.has(Feature.BACKFILL) and site == len(self.sites) - 1


def is_everywhere(state: State) -> bool:
    """Whether whatever is up is so in the phase of the last step."""
    return all(parent.phase == state.target for site in state.sites for parent in site.parents)


def has_come(world: World, state: State) -> bool:
    """Whether T has come: every site is up in the new phase and nowhere else is anything."""
    if state.steps == len(world.route) - 1 and not world.stages:
        return False  # nothing is waited for after the last step
    for number, site in enumerate(state.sites):
        if not world.is_covered(number) or world.is_backfill(number):
            if site.parents:
                return False
        elif len(site.parents) != 1 or site.parents[0].phase != state.target:
            return False
    return True


def settled(world: World, state: State, exact: bool = False) -> State:
    """The state with its times counted from T, or from now as long as T has not come: then all that was, was before.

    States that differ in nothing else are one. At the moment at which T comes it is 0, and so is some parent's start or
    the end of the last old one. ``exact`` keeps apart what was before as well: for a desk that thinks that T has come
    when it has not, how long ago makes a difference.
    """
    shift = state.now
    if shift == 0 or has_come(world, state):
        return state
    exact = exact or world.has(Feature.STOP)  # a fleet that stands still has no T

    def since(moment: int) -> int:
        moment -= shift
        return moment if moment >= 0 else max(moment, EARLIER) if exact else EARLIER

    def at_least(moment: int, floor: int) -> int:
        return EARLIER if moment == EARLIER else max(moment - shift, floor)

    def of_process(each: Process) -> Process:
        # Times that the desk sees, and those that only tell how long it may still be there.
        seen = world.has(Feature.PODS) or each.kind == STEP
        created = since(each.created) if seen else at_least(each.created, -OUTLIVES)
        return each._replace(created=created, lost=at_least(each.lost, -OUTLIVES), maker=since(each.maker))

    def of_instance(each: Instance) -> Instance:
        left = each.left
        if left is not None:
            left = Left(at_least(left.at, EARLIER), since(left.began))
        return Instance(
            each.state,
            since(each.queued),
            None if each.started is None else since(each.started),
            None if each.start_date is None else since(each.start_date),
            left,
            tuple([of_process(process) for process in each.processes]),
        )

    sites = tuple(
        [
            site._replace(parents=tuple([parent._replace(started=since(parent.started)) for parent in site.parents]))
            for site in state.sites
        ]
    )
    instances = tuple([of_instance(each) for each in state.instances])
    return state._replace(now=0, sites=sites, gone=since(state.gone), instances=instances)


def begin_step(state: State, target: str) -> State:
    """The desk aims at another phase."""
    sites = tuple(
        site._replace(parents=tuple(parent._replace(started=EARLIER) for parent in site.parents))
        for site in state.sites
    )
    return state._replace(
        target=target, steps=state.steps + 1, sites=sites, gone=EARLIER, scanned=False, accepted=False
    )
