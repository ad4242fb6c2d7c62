"""The argument of DESIGN §1 and §2, checked: every order of events in small worlds, with the product's own decision.

``tests/support/protocol`` has the model. What decides in it is ``xcomctl.model.barrier.judge``, and what a task gets is
``xcomctl.model.transitions.what_reader_gets``. A search visits every state, so that finding nothing is a proof for worlds
of that size; what it finds is the shortest way there is. ``python -m tests.support.protocol`` prints them all.
"""

from __future__ import annotations

import pytest

from tests.support.protocol import explore, worlds
from tests.support.protocol.cases import NECESSARY, SUFFICIENT
from tests.support.protocol.explore import no_path
from tests.support.protocol.lines import BarrierLine, Rule
from tests.support.protocol.state import ALIAS, GETS_PATH, INLINE, REFERENCE, VALUE
from xcomctl.model.phases import Line


@pytest.mark.parametrize("case", SUFFICIENT, ids=lambda case: case.world.name)
def test_with_all_lines_no_pull_ever_returns_a_path_string(case):
    found = case.explore()
    print(found)
    assert not found.trace
    # Finding nothing would be no wonder if the barrier were never passed. Where pods cannot be listed it is not.
    assert (found.arrived > 0) is (case.world is not worlds.PODS_HIDDEN)


@pytest.mark.parametrize("line", NECESSARY, ids=lambda line: line.name.lower())
def test_without_any_one_line_there_is_a_counter_example(line):
    found = NECESSARY[line].explore(frozenset({line}))
    print(line.value, found, sep="\n")
    assert found.trace


def test_no_line_is_forgotten():
    assert set(NECESSARY) == {*BarrierLine, *Rule}


def test_inline_is_never_beside_offload_and_a_desk_that_skips_dual_read_puts_it_there():
    assert not explore.explore(worlds.CRASHES, wrong=explore.only_safe_neighbours).trace
    found = explore.explore(worlds.CRASHES, frozenset({Rule.ADJACENT}), explore.only_safe_neighbours)
    assert found.trace[-1].endswith("inline beside offload")


def test_who_gets_a_path_string_is_what_the_phase_table_says():
    assert {(row, phase) for (row, phase, line), gets in GETS_PATH.items() if gets and line is Line.AF2} == {
        (REFERENCE, INLINE),
        (ALIAS, INLINE),
    }
    assert not any(GETS_PATH[VALUE, phase, line] for _, phase, line in GETS_PATH)


@pytest.mark.parametrize("left_out", [None, BarrierLine.QUEUED_BEFORE])
def test_counting_time_from_the_moment_loses_nothing(left_out):
    lines = frozenset({left_out} - {None})
    short, exact = (explore.explore(worlds.ONE_SITE, lines, exact=exact) for exact in (False, True))
    assert short.states < exact.states
    assert len(short.trace) == len(exact.trace)


def test_what_the_barrier_does_not_see_on_2x():
    """A gap that is known: on 2.x, an instance is cleared in the queue and queued again while the process that an old
    parent forked for it still imports the DAG file, and then starts it. No row tells of that process any more.
    """
    found = explore.explore(worlds.CLEARED_IN_THE_QUEUE)
    print(found)
    assert found.trace[-1].endswith("gets a path string")
    assert any("is cleared in the queue" in line for line in found.trace)


def test_a_counter_example_can_be_read():
    found = explore.explore(worlds.CRASHES, frozenset({BarrierLine.RUNNING_PROCESS}), no_path)
    assert str(found) == (
        "sites go down and come up again: 8 steps\n"
        "  1.       desk: flips to dual-read, the barrier of inline is passed\n"
        "  2.       scheduler: its settings are those of dual-read now\n"
        "  3.       worker: its settings are those of dual-read now\n"
        "  4.       desk: flips to offload, the barrier of dual-read is passed\n"
        "  5.       scheduler: its settings are those of offload now\n"
        "  6.       scheduler: a process comes up as offload\n"
        "  7.       scheduler: a short task of it, offload, pushes a reference\n"
        "  8.        ! a short task of the scheduler, inline, pulls a reference and gets a path string"
    )
