"""The hard kill-switch (DESIGN §1): pause, revert at once, wait, rehydrate, clear the suspects, unpause.

On this way tasks do get path strings. What has to hold is what comes after: once the DAGs are unpaused none does any
more, and whatever came of it has been cleared.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.protocol import events
from tests.support.protocol.desk import barrier
from tests.support.protocol.events import Move
from tests.support.protocol.explore import no_path
from tests.support.protocol.lines import LeftOut, Rule
from tests.support.protocol.state import INLINE, REFERENCE, VALUE, State
from tests.support.protocol.world import World, begin_step

PAUSED, REVERTED, REHYDRATED, CLEARED, UNPAUSED = range(1, 6)


def moves(world: World, state: State, left_out: LeftOut) -> Iterator[Move]:
    """What happens by itself, who reads a path string, and the next step of the kill-switch."""
    yield from events.moves(world, state)
    got = no_path(world, state, left_out)
    if got is not None and not state.victim and state.stage != UNPAUSED:
        yield got, state._replace(victim=True)
    if state.stage == 0:
        yield "desk: pauses the DAGs", state._replace(paused=True, stage=PAUSED)
    elif state.stage == PAUSED:
        yield "desk: flips to inline at once", begin_step(state, INLINE)._replace(stage=REVERTED)
    elif state.stage == REVERTED:
        if Rule.WAIT_FIRST in left_out or barrier(world, state, None, left_out).passed:
            rows = tuple(VALUE if row == REFERENCE else row for row in state.rows)
            yield "desk: rehydrates every reference", state._replace(rows=rows, stage=REHYDRATED)
    elif state.stage == REHYDRATED:
        # A suspect that still runs is waited for: it is not killed.
        if Rule.SUSPECTS in left_out:
            yield "desk: clears nothing", state._replace(stage=CLEARED)
        elif all(each.state in ("", "done") for each in state.instances):
            instances = tuple(each._replace(state="") for each in state.instances)
            yield "desk: clears the suspects", state._replace(instances=instances, victim=False, stage=CLEARED)
    elif state.stage == CLEARED:
        yield "desk: unpauses the DAGs", state._replace(paused=False, stage=UNPAUSED)


def over_for_good(world: World, state: State, left_out: LeftOut) -> str | None:
    """Nothing of it is left once the DAGs are unpaused."""
    if state.stage != UNPAUSED:
        return None
    if state.victim:
        return "a task got a path string, and what came of it is kept"
    return no_path(world, state, left_out)
