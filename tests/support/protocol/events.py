"""What may happen without anybody at the desk: deploys that roll, parents that come and go, tasks that live and die.

Besides the instances whose lives are followed, any parent may at any time start a *short task*, which pulls or pushes and
is over: it takes no room in a state, and every pull is checked in every state.

What is taken for granted: without its instance a process lives for no longer than the heartbeat's time-out and the kill
take (:data:`~tests.support.protocol.state.OUTLIVES`), a fork takes no longer than that to start its instance, and clocks
differ by no more than the margin. A pod may wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.protocol.state import (
    EARLIER,
    FORK,
    LOST,
    MARGIN,
    NOTHING,
    OUTLIVES,
    PUSHED,
    RUN,
    STEP,
    Instance,
    Left,
    Parent,
    Process,
    Site,
    State,
)
from tests.support.protocol.world import Feature, Role, World
from xcomctl.model.phases import Line

#: What happened, and what is then.
Move = tuple[str, State]


def moves(world: World, state: State) -> Iterator[Move]:
    """Everything that may happen next."""
    for number, site in enumerate(state.sites):
        for label, changed, crashes, gone in _of_site(world, state, number, site):
            sites = (*state.sites[:number], changed, *state.sites[number + 1 :])
            yield f"{world.sites[number]}: {label}", state._replace(sites=sites, crashes=crashes, gone=gone)
    hosting = {parent.phase: world.sites[number] for number, site in enumerate(state.sites) for parent in site.parents}
    for number, (instance, role) in enumerate(zip(state.instances, world.roles, strict=True)):
        who = role.name.lower().replace("_", "-")
        for label, after in _of_instance(world, state, instance, role, hosting):
            instances = (*state.instances[:number], after, *state.instances[number + 1 :])
            rows = state.rows
            starts = after.state == "running" and instance.state == "queued" and instance.start_date is None
            if starts and role is not Role.READER:  # it removes what an earlier one pushed; a resumption does not
                rows = (*rows[:-1], NOTHING)
            yield f"{who}: {label}", state._replace(instances=instances, rows=rows)
        if role is not Role.READER:
            for process in instance.processes:
                row = PUSHED[process.phase, world.line]
                if process.kind != FORK and row != state.rows[-1]:
                    yield f"{who}, {process.phase}: pushes a {row}", state._replace(rows=(*state.rows[:-1], row))
    yield from _short_tasks(world, state)
    if state.now < world.ticks and _time_may_pass(world, state):
        yield "time passes", state._replace(now=state.now + 1, instances=_forget(state))


def _of_site(world: World, state: State, number: int, site: Site) -> Iterator[tuple[str, Site, int, int]]:
    """What may happen at a site: what, the site then, and the crashes and the end of the last old process then."""
    backfill, covered, stops = world.is_backfill(number), world.is_covered(number), world.has(Feature.STOP)
    crashes, gone = state.crashes, state.gone
    if site.settings != state.target and not backfill:
        yield f"its settings are those of {state.target} now", site._replace(settings=state.target), crashes, gone
    phases = [parent.phase for parent in site.parents]
    may_come = not backfill and (covered or phases) and len(phases) < 2 and _may_start(world, state)
    if may_come and site.settings not in phases:
        new = Parent(site.settings, state.now if site.settings == state.target else EARLIER)
        parents = tuple(sorted((*site.parents, new)))
        yield f"a process comes up as {new.phase}", site._replace(parents=parents), crashes, gone
    for parent in site.parents:
        crash = parent.phase == site.settings and covered and not backfill and not stops
        if crash and (crashes or not world.has(Feature.CRASH)):
            continue  # it is what the site should have
        old = parent.phase != state.target or not covered or stops
        left = tuple(each for each in site.parents if each is not parent)
        label = f"the process that was {parent.phase} is gone"
        yield label, site._replace(parents=left), crashes + crash, state.now if old else gone


def _may_start(world: World, state: State) -> bool:
    """With the fleet stopped for a step, nothing is started before every site has the new settings."""
    if not state.stage or not world.has(Feature.STOP):
        return True
    return all(
        site.settings == state.target for number, site in enumerate(state.sites) if not world.is_backfill(number)
    )


def _of_instance(
    world: World, state: State, instance: Instance, role: Role, hosting: dict[str, str]
) -> Iterator[tuple[str, Instance]]:
    stamp = state.now + world.skew
    processes = instance.processes
    kinds = {process.kind: process for process in processes}
    if instance.state in ("", "deferred") and _may_queue(world, state, hosting):
        label = "is queued again" if instance.state else "is queued"
        yield label, instance._replace(state="queued", queued=stamp, started=EARLIER)
    if instance.state == "queued" and FORK not in kinds and RUN not in kinds:
        for phase, where in hosting.items():
            what = "a pod is created" if world.has(Feature.PODS) else f"{where} forks a process"
            yield f"{what} for it, {phase}", _with(instance, Process(FORK, phase, state.now))
    if FORK in kinds:
        fork = kinds[FORK]
        yield "its process, which has not started it, ends", _without(instance, fork)
        if instance.state == "queued":
            created = fork.created if world.has(Feature.PODS) else EARLIER
            begun = _with(_without(instance, fork), Process(RUN, fork.phase, created))
            start_date = stamp if instance.start_date is None else instance.start_date
            if not world.has(Feature.DEFER):
                start_date = EARLIER
            yield f"starts, {fork.phase}", begun._replace(state="running", started=stamp, start_date=start_date)
    if RUN in kinds:
        run = kinds[RUN]
        over = instance._replace(started=EARLIER, queued=EARLIER)
        after = "done" if instance.state == "running" else ""
        yield "ends", _without(over, run)._replace(state=after, start_date=None)
        if instance.state == "running":
            if world.has(Feature.DEFER):
                yield "defers", _without(over, run)._replace(state="deferred")
            if world.has(Feature.STEP_POD) and STEP not in kinds:
                yield (
                    f"its step gets a pod, {run.phase}",
                    _with(instance, Process(STEP, run.phase, state.now, maker=instance.queued)),
                )
            if world.has(Feature.DB_CLEAN) and instance.started is not None:
                yield "its log row is cleaned away", instance._replace(started=None)
            if world.has(Feature.MARK) and LOST not in kinds:
                lost = _with(_without(over, run), run._replace(kind=LOST, lost=state.now))
                left = _left(instance, stamp)
                yield (
                    "is marked or given up, and its process lives on",
                    lost._replace(state="done", start_date=None, left=left),
                )
            if world.has(Feature.CLEAR):
                yield "is cleared while it runs", instance._replace(state="restarting")
    for process in processes:
        if process.kind == LOST:
            yield "the process that it left behind ends", _without(instance, process)
        elif process.kind == STEP:
            yield "the pod of its step ends", _without(instance, process)
    if world.has(Feature.CLEAR):
        if instance.state == "queued":
            cleared = instance._replace(state="", queued=EARLIER, start_date=None, left=_left(instance, stamp))
            # 3.x gives it another id, so that a process that was there for it finds nothing to start.
            if FORK in kinds and world.line is Line.AF3:
                cleared = _without(cleared, kinds[FORK])
            yield "is cleared in the queue", cleared
        if instance.state == "done":
            yield "is cleared", instance._replace(state="")


def _may_queue(world: World, state: State, hosting: dict[str, str]) -> bool:
    if state.paused:
        return any(world.is_backfill(number) and site.parents for number, site in enumerate(state.sites))
    return bool(hosting)


def _short_tasks(world: World, state: State) -> Iterator[Move]:
    if world.has(Feature.FOREVER):
        return  # the row is that of the instance that is followed
    seen = set()
    for number, site in enumerate(state.sites):
        if state.paused and not world.is_backfill(number):
            continue
        for parent in site.parents:
            row = PUSHED[parent.phase, world.line]
            if row != state.rows[-1] and row not in seen:
                seen.add(row)
                yield (
                    f"{world.sites[number]}: a short task of it, {parent.phase}, pushes a {row}",
                    state._replace(rows=(*state.rows[:-1], row)),
                )


def readers(world: World, state: State) -> Iterator[tuple[str, str]]:
    """Whoever may pull a row at this moment: who it is, and its phase."""
    for number, site in enumerate(state.sites):
        if not state.paused or world.is_backfill(number):
            for parent in site.parents:
                yield f"a short task of the {world.sites[number]}", parent.phase
    for instance, role in zip(state.instances, world.roles, strict=True):
        if role is not Role.WRITER:
            for process in instance.processes:
                if process.kind != FORK:
                    yield f"the {role.name.lower().replace('_', '-')}", process.phase


def _time_may_pass(world: World, state: State) -> bool:
    """A process without its instance does not live for ever, nor does a fork take for ever to start; a pod does wait."""
    if world.has(Feature.FOREVER):
        return True
    for instance in state.instances:
        for process in instance.processes:
            if process.kind == LOST and state.now >= process.lost + OUTLIVES:
                return False
            if process.kind == FORK and not world.has(Feature.PODS) and state.now >= process.created + OUTLIVES:
                return False
    return True


def _forget(state: State) -> tuple[Instance, ...]:
    """Records of processes that must have ended by the next unit of time tell nothing any more."""
    return tuple(
        each._replace(left=None) if each.left and state.now + 1 > each.left.at + OUTLIVES + MARGIN else each
        for each in state.instances
    )


def _left(instance: Instance, at: int) -> Left:
    """A process can be there since its instance was queued. Of several there is one record: with the earliest of them."""
    return Left(at, min(instance.queued, instance.left.began) if instance.left else instance.queued)


def _with(instance: Instance, process: Process) -> Instance:
    return instance._replace(processes=tuple(sorted((*instance.processes, process))))


def _without(instance: Instance, process: Process) -> Instance:
    return instance._replace(processes=tuple(each for each in instance.processes if each is not process))
