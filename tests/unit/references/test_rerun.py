"""What of a run has to run again: suspects, what is below them, producers where asked for, others where proven or named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.run_database import at
from xcomctl.metadata.starts import Start
from xcomctl.model.downstream import Structure
from xcomctl.model.retrigger import SuspectsQuery
from xcomctl.model.suspects import Suspects, Window, suspects
from xcomctl.references.rerun import Known, instances, partly, ran

BAD = Window(at(10), at(20), "inline", "it was inline")
#: ``push`` leads to ``read`` and that to ``last``; ``aside`` stands alone.
DAG = Structure({"push": ("read",), "read": ("last",), "last": (), "aside": ()})


def start(task_id: str, minutes: float, state: str = "success", index: int = -1, **more: object) -> Start:
    return Start(task_id, index, state, at(minutes), ended=at(minutes + 1), **more)


def known(*starts: Start, waiting: tuple[tuple[str, str | None], ...] = (), **more: object) -> Known:
    begun = {(each.task_id, each.map_index): each for each in starts}
    states = {place: each.state for place, each in begun.items()} | {(task, -1): state for task, state in waiting}
    return Known("dag", states, begun, structure=DAG, **more)


def look(what: Known, first: float | None = 5, query: SuspectsQuery | None = None, producers: bool = False):
    moment = None if first is None else at(first)
    found = suspects(ran(what.starts), [BAD], moment)
    anywhere = at(1)
    seen = instances(what, found, query or SuspectsQuery(), anywhere, producers=producers)
    return {each.name: each for each in seen}


def test_who_started_in_the_window_and_what_is_below_it_run_again_and_nobody_else():
    found = look(known(start("push", 4), start("read", 12), start("last", 25), start("aside", 3)))
    assert {name: (each.role, each.clear) for name, each in found.items()} == {
        "read": ("suspect", True), "last": ("downstream", True),
    }  # fmt: skip
    assert found["read"].why == "started while it was inline"
    assert found["last"].why == "downstream of read"
    assert found["read"].started == at(12).isoformat()


def test_what_ran_again_since_is_no_suspect_and_drags_nothing_along():
    assert look(known(start("push", 4), start("read", 30), start("last", 31))) == {}


@pytest.mark.parametrize("state", [None, "scheduled", "queued"])
def test_what_is_cleared_already_is_not_cleared_twice(state):
    """Killed after the clear and called again: everything waits to run."""
    read = replace(start("read", 12), state=state)
    found = look(known(start("push", 4), read, waiting=(("last", state),)))
    assert not any(each.clear for each in found.values())
    # Somebody cleared the reader alone: what is below it still has what the reader made of the path.
    below = look(known(start("push", 4), read, start("last", 15)))
    assert (below["read"].clear, below["last"].clear) == (False, True)


def test_what_is_about_to_start_below_a_suspect_is_taken_back():
    found = look(known(start("push", 4), start("read", 12), waiting=(("last", "queued"),)))
    assert found["last"].clear
    assert not look(known(start("push", 4), start("read", 12), waiting=(("last", None),))).get("last")
    # A suspect itself, which would start again on what the one before it made of a path.
    tried = look(known(start("push", 4), start("read", 12), replace(start("last", 14), state="queued")))
    assert (tried["last"].role, tried["last"].clear) == ("suspect", True)


def test_what_deferred_in_the_window_counts_wherever_it_resumed():
    resumed = look(known(start("push", 4), start("read", 30, began=at(12))))
    assert resumed["read"].why == "began while it was inline, deferred, and resumed later"
    waits = look(known(start("push", 4), start("read", 12, state="deferred")))
    assert waits["read"].clear and "waits in a trigger" in waits["read"].why


def test_a_start_that_no_row_tells_counts_by_its_date():
    cleaned = replace(start("read", 12), started=None, start_date=at(12))
    assert "by its start date" in look(known(start("push", 4), cleaned))["read"].why
    assert look(known(start("push", 4), replace(cleaned, start_date=at(30)))) == {}


def test_what_ran_on_when_the_first_reference_came():
    found = look(known(replace(start("read", 12), ended=at(18))), first=15)
    assert "ran on" in found["read"].why
    assert look(known(start("read", 12)), first=15)["read"].role == "other"  # over by then: another run's, if any


def test_an_upstream_that_failed_made_no_process():
    assert look(known(start("push", 4), start("read", 12, state="upstream_failed"))) == {}


def test_producers_run_again_where_that_is_asked_for_with_everything_below():
    what = known(start("push", 4), start("read", 6), pushed={("push", -1): ("return_value",)})
    assert look(what) == {}
    found = look(what, producers=True)
    assert {name: each.role for name, each in found.items()} == {"push": "producer", "read": "downstream"}
    assert found["push"].why == "pushed a reference: return_value"


def test_instances_of_a_run_without_references_are_listed_and_cleared_on_proof_or_by_name():
    what = known(start("read", 12), start("last", 30))
    (other,) = look(what, first=None).values()
    assert (other.name, other.role, other.clear) == ("read", "other", False)
    for asked in (SuspectsQuery(include=("dag.read",)), SuspectsQuery(include_others=True)):
        found = look(what, first=None, query=asked)
        assert [(name, each.role, each.clear) for name, each in found.items()] == [
            ("last", "downstream", True), ("read", "other", True),
        ]  # fmt: skip
    assert not look(what, first=None, query=SuspectsQuery(include=("dag.last", "other.read")))["read"].clear
    proven = look(known(start("read", 12), proofs={("read", -1): ("its value is",)}), first=None)["read"]
    assert (proven.role, proven.clear, proven.proofs) == ("proven", True, ("its value is",))


def test_what_was_over_before_any_run_held_a_reference_is_not_even_listed():
    what = known(start("read", 12))
    found = suspects(ran(what.starts), [BAD], None)
    assert instances(what, found, SuspectsQuery(), at(14), producers=False) == ()
    assert instances(what, found, SuspectsQuery(), None, producers=False) == ()


def test_a_proof_is_shown_beside_a_start_in_the_window():
    found = look(known(start("push", 4), start("read", 12), proofs={("read", -1): ("rendered",)}))
    assert (found["read"].role, found["read"].proofs) == ("suspect", ("rendered",))


def test_map_indexes_are_cleared_by_themselves():
    what = known(start("read", 12, index=0), start("read", 4, index=1), start("last", 30))
    found = look(what, first=3)
    assert [(name, each.clear) for name, each in found.items()] == [("last", True), ("read[0]", True)]
    assert partly(what, tuple(found.values())) == ("read",)
    both = known(start("read", 12, index=0), start("read", 13, index=1))
    assert partly(both, tuple(look(both, first=3).values())) == ()


def test_without_a_dag_nothing_is_known_of_what_is_below():
    what = replace(known(start("push", 4), start("read", 12), start("last", 25)), structure=None)
    assert set(look(what)) == {"read"}


def test_a_look_without_windows_finds_nothing():
    assert instances(known(start("read", 12)), Suspects(), SuspectsQuery(), at(1), producers=False) == ()


def test_what_an_instance_left_that_runs_again_may_be_of_an_earlier_try():
    proofs = {("read", -1): ("rendered",)}
    assert look(known(start("read", 30, state="running"), proofs=proofs)) == {}
    assert look(known(start("read", 30), proofs=proofs))["read"].role == "proven"
