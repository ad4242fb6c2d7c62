"""Every order of events, breadth first: the shortest way to a state that must not be, or the proof that there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

from tests.support.protocol import desk, events
from tests.support.protocol.events import Move
from tests.support.protocol.lines import BLINDING, NOTHING_LEFT_OUT, LeftOut
from tests.support.protocol.state import ALIAS, EARLIER, GETS_PATH, MARGIN, REFERENCE, STEP, State
from tests.support.protocol.world import Feature, World, has_come, is_everywhere, settled
from xcomctl.model.phases import Phase
from xcomctl.model.transitions import coexistence

#: What is wrong with a state, in words; ``None`` for nothing.
Property = Callable[[World, State, LeftOut], "str | None"]
#: Everything that may happen next.
Successors = Callable[[World, State, LeftOut], Iterator[Move]]


@dataclass(frozen=True)
class Explored:
    """What a search found. ``trace`` is empty when nothing is wrong in any state.

    ``arrived`` counts the states in which the last phase of the route reigns everywhere.
    """

    world: World
    states: int
    arrived: int
    trace: tuple[str, ...]

    def __str__(self) -> str:
        if not self.trace:
            return f"{self.world.name}: no counter-example in {self.states} states, {self.arrived} of them at the end of the way"
        return "\n".join([f"{self.world.name}: {len(self.trace)} steps", *self.trace])


_SAFE = {
    (one.value, other.value): coexistence(one, other).safe
    for one in (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD)
    for other in (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD)
}
_A = {REFERENCE: "a reference", ALIAS: "an alias"}


def no_path(world: World, state: State, left_out: LeftOut) -> str | None:
    """No pull ever returns a path string."""
    if REFERENCE not in state.rows and ALIAS not in state.rows:
        return None
    for reader, phase in events.readers(world, state):
        for row in state.rows:
            if GETS_PATH[row, phase, world.line]:
                return f"{reader}, {phase}, pulls {_A[row]} and gets a path string"
    return None


def no_needless_wait(world: World, state: State, left_out: LeftOut) -> str | None:
    """The barrier does not wait for what began with the new settings, nor for what has no process."""
    if not has_come(world, state) or any(site.settings != state.target for site in state.sites):
        return None
    for instance in state.instances:
        if instance.left or any(process.phase != state.target for process in instance.processes):
            return None
        began = []
        for process in instance.processes:
            began += [process.created, process.maker] if process.kind == STEP else []
            began += [process.created] if world.has(Feature.PODS) else []
        if instance.state in ("queued", "running", "restarting"):
            began.append(instance.queued)
        if instance.state in ("running", "restarting"):
            began.append(EARLIER if instance.started is None else instance.started)
        if any(moment <= MARGIN for moment in began):
            return None
    found = desk.barrier(world, state, None, left_out).blockers
    return f"nothing old is left, and it is waited for: {found[0].name} {found[0].reason}" if found else None


def sound(world: World, state: State, left_out: LeftOut) -> str | None:
    """Both."""
    return no_path(world, state, left_out) or no_needless_wait(world, state, left_out)


def only_safe_neighbours(world: World, state: State, left_out: LeftOut) -> str | None:
    """Phases that are beside each other may be, by the product's own table."""
    phases = sorted({parent.phase for site in state.sites for parent in site.parents})
    for one, other in combinations(phases, 2):
        if not _SAFE[one, other]:
            return f"{one} beside {other}"
    return None


def late_but_mended(world: World, state: State, left_out: LeftOut) -> str | None:
    """Once ``inline`` is confirmed, no row holds a reference and every task that got one has been cleared."""
    if state.stage and (state.victim or REFERENCE in state.rows):
        return "a task got a path string and nobody knows" if state.victim else "a row holds a reference, for good"
    return None


def all_moves(world: World, state: State, left_out: LeftOut) -> Iterator[Move]:
    """What happens by itself, and what the desk does."""
    yield from events.moves(world, state)
    yield from desk.moves(world, state, left_out)


def with_victims(world: World, state: State, left_out: LeftOut) -> Iterator[Move]:
    """The same, where path strings are read and what matters is what becomes of that."""
    yield from all_moves(world, state, left_out)
    if not state.victim and no_path(world, state, left_out) is not None:
        yield no_path(world, state, left_out) or "", state._replace(victim=True)


def explore(
    world: World,
    left_out: LeftOut = NOTHING_LEFT_OUT,
    wrong: Property = no_path,
    successors: Successors = all_moves,
    exact: bool = False,
) -> Explored:
    """Search until something is wrong or every state has been seen. ``exact`` is explained at :func:`~tests.support.protocol.world.settled`."""
    start = world.start()
    came: dict[State, tuple[State, str] | None] = {start: None}
    ahead = deque([start])
    arrived = 0
    last = len(world.route) - 1
    exact = exact or bool(left_out & BLINDING)
    while ahead:
        state = ahead.popleft()
        problem = wrong(world, state, left_out)
        if problem is not None:
            return Explored(world, len(came), arrived, _trace(world, came, state, problem))
        if state.steps == last and state.stage >= world.stages and is_everywhere(state):
            arrived += 1
        for label, after in successors(world, state, left_out):
            if after.now != state.now or after.sites is not state.sites:
                after = settled(world, after, exact)
            step = (state, label)
            if came.setdefault(after, step) is step:
                ahead.append(after)
    return Explored(world, len(came), arrived, ())


def _trace(world: World, came: dict[State, tuple[State, str] | None], state: State, problem: str) -> tuple[str, ...]:
    lines = [f"        ! {problem}"]
    while (before := came[state]) is not None:
        state, label = before
        since = f"T+{state.now}" if has_come(world, state) and state.steps else ""
        lines.append(f" {since:5} {label}")
    return tuple(f"{number:3}.{line}" for number, line in enumerate(reversed(lines), 1))
