"""The desk: what it sees, what it decides by :func:`xcomctl.model.barrier.judge`, and what it then does.

A line of DESIGN §2 is left out by keeping from the decision what the line is about. The decision itself is the product's.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import cache, lru_cache

from tests.support.protocol.events import Move
from tests.support.protocol.lines import BarrierLine, LeftOut, Rule
from tests.support.protocol.state import (
    ALIAS,
    EARLIER,
    INLINE,
    MARGIN,
    NOTHING,
    OFFLOAD,
    OUTLIVES,
    REFERENCE,
    STEP,
    VALUE,
    Instance,
    State,
)
from tests.support.protocol.world import Feature, World, begin_step
from xcomctl.model.barrier import (
    Accepted,
    Barrier,
    Evidence,
    HostingProcess,
    LeftInstance,
    Pod,
    QueuedInstance,
    RunningInstance,
    judge,
    judge_stopped,
)
from xcomctl.model.phases import Phase

#: One unit of the model's time.
_UNIT = datetime.timedelta(minutes=1)
_NOON = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.UTC)
_DAG, _RUN = "etl", "r1"


def moves(world: World, state: State, left_out: LeftOut) -> Iterator[Move]:
    """Everything that the desk may do next, on the way up or down."""
    if world.has(Feature.ACCEPT) and not state.accepted and any(each.processes for each in state.instances):
        yield "desk: accepts the instance that is followed", state._replace(accepted=True)
    if INLINE in world.route[state.steps + 1 :] and state.target != INLINE:
        yield from _rehydrates(state)
    following = _following(world, state, left_out)
    if following is None:
        if world.stages and not state.stage:
            yield from _second_scan(world, state, left_out)
        if world.has(Feature.PAUSED) and state.paused:
            yield "desk: the DAGs are unpaused", state._replace(paused=False)
        return
    if world.has(Feature.STOP):
        # The scan lies between two looks at a fleet that stands still, and has done so since the same moment.
        if _stopped(world, state, left_out).passed and (following != INLINE or _gate_is_open(state, left_out)):
            stage = 0 if Rule.DEPLOYED_FIRST in left_out else 1
            yield f"desk: nothing is alive, so {following} at once", begin_step(state, following)._replace(stage=stage)
        return
    over = barrier(world, state, following, left_out).passed
    if following == INLINE and not state.scanned:
        if (over or BarrierLine.LAST_PASS in left_out) and _gate_is_open(state, left_out):
            yield "desk: the scan finds no reference", state._replace(scanned=True)
    elif over or Rule.BARRIER in left_out or (world.soft and state.target == OFFLOAD):
        why = f"the barrier of {state.target} is passed" if over else "without a barrier"
        yield f"desk: flips to {following}, {why}", begin_step(state, following)


def _following(world: World, state: State, left_out: LeftOut) -> str | None:
    ahead = world.route[state.steps + 1 :]
    if not ahead:
        return None
    if Rule.ADJACENT in left_out:
        return ahead[-1]
    return ahead[0]


# --- references ---------------------------------------------------------------------------------------------------------


def _gate_is_open(state: State, left_out: LeftOut) -> bool:
    if Rule.GATE in left_out:
        return True
    rows = state.rows[-1:] if Rule.FINISHED_RUNS in left_out else state.rows
    return REFERENCE not in rows and (ALIAS not in rows or Rule.ALIASES in left_out)


def _rehydrates(state: State) -> Iterator[Move]:
    for number, row in enumerate(state.rows):
        if row in (REFERENCE, ALIAS):
            label = "rehydrates a reference" if row == REFERENCE else "clears the task that stored an alias"
            after = VALUE if row == REFERENCE else NOTHING
            yield f"desk: {label}", state._replace(rows=(*state.rows[:number], after, *state.rows[number + 1 :]))


def _second_scan(world: World, state: State, left_out: LeftOut) -> Iterator[Move]:
    """Once what outlived its state has ended at last."""
    if any(each.processes for each in state.instances) or not barrier(world, state, None, left_out).passed:
        return
    if Rule.SECOND_SCAN in left_out:
        yield "desk: inline is confirmed without a look", state._replace(stage=1)
    else:
        found = REFERENCE in state.rows
        rows = tuple(VALUE if row == REFERENCE else row for row in state.rows)
        victim = state.victim and not found
        yield (
            "desk: a second scan rehydrates what is left and clears its readers",
            state._replace(rows=rows, victim=victim, stage=1),
        )


# --- the barrier --------------------------------------------------------------------------------------------------------


def barrier(world: World, state: State, following: str | None, left_out: LeftOut) -> Barrier:
    """The barrier of the step that was done last, as the product would judge it."""
    return _judged(world, _visible(state), following, left_out)


def _visible(state: State) -> State:
    """The state without what no evidence tells: equal evidence is judged once."""
    return state._replace(rows=(), steps=0, crashes=0, scanned=False, victim=False)


@lru_cache(maxsize=10_000)
def _judged(world: World, state: State, following: str | None, left_out: LeftOut) -> Barrier:
    accepted = tuple(Accepted(f"{_DAG}.t{number}") for number in range(len(state.instances))) if state.accepted else ()
    if BarrierLine.ACCEPTED in left_out:
        following = None
    return judge(
        Phase(state.target),
        evidence(world, state, left_out),
        accepted,
        None if following is None else Phase(following),
        margin=_UNIT * (0 if BarrierLine.MARGIN in left_out else MARGIN),
        outlives=_UNIT * OUTLIVES,
    )


def _stopped(world: World, state: State, left_out: LeftOut) -> Barrier:
    seen = evidence(world, state, left_out)
    if Rule.STOPPED in left_out:
        # All DAGs paused and nothing running, taken for a fleet that stands still.
        seen = Evidence(seen.now, seen.contexts, (), seen.running, seen.queued, seen.left, seen.pods, seen.unknown)
    return judge_stopped(seen, _UNIT * MARGIN, _UNIT * OUTLIVES)


def evidence(world: World, state: State, left_out: LeftOut) -> Evidence:
    """What the desk sees of a state, less what lines that are left out are about."""
    running, queued, left = [], [], []
    for number, instance in enumerate(state.instances):
        key = (_DAG, _RUN, f"t{number}", -1)
        states = {"running", "restarting"} - ({"restarting"} if BarrierLine.RESTARTING in left_out else set())
        if instance.state in states and BarrierLine.RUNNING not in left_out:
            started = instance.start_date if BarrierLine.LOG_ROW in left_out else instance.started
            if started is not None or BarrierLine.NO_ROW not in left_out:
                since = None if BarrierLine.QUEUED_BEFORE in left_out else _iso(instance.queued)
                running.append(RunningInstance(*key, instance.state, _stamp(started), queued=since))
        if instance.state == "queued" and BarrierLine.QUEUED not in left_out:
            queued.append(QueuedInstance(*key, _iso(instance.queued)))
        back = instance.state == "running" and BarrierLine.LEFT_AND_BACK in left_out
        if instance.left is not None and not back and BarrierLine.LEFT not in left_out:
            left.append(LeftInstance(*key, "marked", _iso(instance.left.at), _iso(instance.left.began)))
    return Evidence(
        now=_iso(state.now),
        contexts=tuple(_contexts(world, state, left_out)),
        processes=tuple(_processes(world, state, left_out)),
        running=tuple(running),
        queued=tuple(queued),
        left=tuple(left),
        pods=_pods(world, state, left_out),
        unknown=() if BarrierLine.NEXT_START in left_out else tuple(_next_starts(world, state)),
    )


def _next_starts(world: World, state: State) -> Iterator[str]:
    """Where a fresh process would start with other settings than those of the step. A context that is down tells nothing."""
    for number, site in enumerate(state.sites):
        seen = world.is_covered(number) and not world.is_backfill(number)
        if seen and site.parents and site.settings != state.target:
            yield f"{world.sites[number]} resolves {site.settings} now, so what starts there next is not {state.target}"


def _contexts(world: World, state: State, left_out: LeftOut) -> Iterator[str]:
    for number, site in enumerate(state.sites):
        hosts = world.is_covered(number) and not world.is_backfill(number)
        if hosts and (site.parents or BarrierLine.UP not in left_out):
            yield world.sites[number]


def _processes(world: World, state: State, left_out: LeftOut) -> Iterator[HostingProcess]:
    for number, site in enumerate(state.sites):
        name = world.sites[number]
        for parent in site.parents:
            if world.is_backfill(number):
                if Rule.BACKFILL not in left_out:
                    yield HostingProcess("dags backfill", name, 1, _iso(parent.started), parent.phase, name)
            elif not world.is_covered(number):
                if BarrierLine.COVERED not in left_out:
                    yield HostingProcess("task host", name)
            else:
                phase = site.settings if BarrierLine.RUNNING_PROCESS in left_out else parent.phase
                if phase == state.target or BarrierLine.GONE not in left_out:
                    yield HostingProcess("scheduler", name, 1, _iso(parent.started), phase, name)
    if state.gone != EARLIER and not left_out & {BarrierLine.GONE, BarrierLine.GONE_WHEN}:
        yield HostingProcess("scheduler", "gone", ended=_iso(state.gone))


def _pods(world: World, state: State, left_out: LeftOut) -> tuple[Pod, ...] | None:
    """A step has a pod in any world; other processes have one where tasks run in pods."""
    if world.has(Feature.PODS_HIDDEN) and BarrierLine.PODS_SEEN not in left_out:
        return None
    if BarrierLine.POD in left_out or world.has(Feature.PODS_HIDDEN):
        return ()
    by_old = BarrierLine.POD_OF_OLD not in left_out
    return tuple(
        Pod(
            f"{process.kind}-{number}",
            _iso(process.created + world.skew),
            "",
            _DAG,
            _RUN,
            f"t{number}",
            creator_began=_iso(process.maker) if process.kind == STEP and by_old else None,
        )
        for number, instance in enumerate(state.instances)
        for process in instance.processes
        if (world.has(Feature.PODS) or process.kind == STEP) and _counts(instance, left_out)
    )


def _counts(instance: Instance, left_out: LeftOut) -> bool:
    return BarrierLine.POD_OF_ANY_STATE not in left_out or instance.state in ("queued", "running", "restarting")


@cache
def _iso(moment: int) -> str:
    return (_NOON + moment * _UNIT).isoformat()


def _stamp(moment: int | None) -> str | None:
    return None if moment is None else _iso(moment)
