"""A look at a deployment: which runs are worth a closer look, and what each comes to; on a real SQLite."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest

from tests.support.run_database import BASE, Database, at, text
from xcomctl.metadata import started
from xcomctl.model.downstream import Structure
from xcomctl.model.phases import Line
from xcomctl.model.retrigger import HeldBefore, SuspectRun, SuspectsQuery, span
from xcomctl.model.suspects import Observation
from xcomctl.references.suspects import Look, spans

NAME = "01234567-89ab-cdef-0123-456789abcdef"
OWN = f"{BASE}/dag/run/push/{NAME}"
SEEN = Observation(at(15).isoformat(), "inline", "scheduler-0")
DAG = Structure({"push": ("read",), "read": ("last",), "last": ()})


@pytest.fixture(params=list(Line))
def database(request):
    """A run whose producer offloaded, and whose reader started in ``inline``."""
    found = Database(request.param)
    found.scheduler(0, 10)
    found.scheduler(11, 20)
    found.scheduler(21, None)
    for task_id, minutes in (("push", 4), ("read", 12), ("last", 25)):
        found.instance(task_id, "success", minutes)
        found.ran(task_id, minutes + 0.01)
    found.pushed("push", OWN, 5)
    yield found
    found.engine.dispose()


def look(database: Database, query: SuspectsQuery | None = None) -> tuple[Look, list[SuspectRun]]:
    asked = query or SuspectsQuery(observations=(SEEN,))
    with database.engine.connect() as connection:
        found = Look(connection, database.tables, BASE, asked, lambda dag_id, run_id: DAG)
        found.windows()
        found.scan()
        runs = [found.at(row) for row in list(found.runs())]
    return found, [run for run in runs if run is not None]


def cleared(run: SuspectRun) -> list[str]:
    return [each.name for each in run.to_clear]


def test_the_window_is_the_life_of_the_scheduler_that_was_seen(database):
    found, (run,) = look(database)
    (window,) = spans(found.bad)
    assert (datetime.fromisoformat(window.start), datetime.fromisoformat(window.end or "")) == (at(11), at(20))
    assert (run.key, run.state, run.references, run.aliases, run.paused) == (("dag", "run"), "success", 1, 0, False)
    assert cleared(run) == ["last", "read"]


def test_nothing_is_found_where_no_window_is_known_and_nothing_was_left(database):
    assert look(database, SuspectsQuery())[1] == []


def test_a_window_that_is_named_counts_without_any_observation(database):
    named = SuspectsQuery(windows=(span(at(11), at(20), "inline", "said"),))
    assert cleared(look(database, named)[1][0]) == ["last", "read"]
    later = SuspectsQuery(windows=(span(at(30), at(40), "inline", "said"),))
    assert look(database, later)[1] == []


def test_a_run_that_holds_no_reference_any_more_is_no_ones_concern(database):
    database.add("DELETE FROM xcom")
    assert look(database)[1] == []


def test_a_run_of_another_dag_that_started_then_is_listed(database):
    database.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (7, 'dag', 'reader', 'success')")
    database.instance("read", "success", 14, run_id="reader")
    database.add("INSERT INTO log VALUES ('dag', 'reader', 'read', -1, 'running', ?)", text(14.01))
    database.add("INSERT INTO dag VALUES ('dag', 1)")
    _, (reader, run) = look(database)
    assert (reader.run_id, cleared(reader), [each.role for each in reader.instances]) == ("reader", [], ["other"])
    assert cleared(run) == ["last", "read"] and run.paused
    _, (asked, _) = look(database, SuspectsQuery(observations=(SEEN,), include=("dag.read",)))
    assert cleared(asked) == ["read"]


def test_what_started_in_inline_before_anybody_offloaded_is_no_ones_concern(database):
    """After a good way up: all that ran before it did so in ``inline``."""
    database.add("UPDATE xcom SET timestamp = ?", text(24))
    assert look(database)[1] == []


def test_a_path_that_was_passed_on_is_a_proof_whatever_the_windows(database):
    database.pushed("read", OWN, 13)
    _, (run,) = look(database, SuspectsQuery())
    (read,) = [each for each in run.instances if each.task_id == "read"]
    assert (read.role, read.proofs, run.aliases) == ("proven", ("its value k is a path string",), 1)
    # It waits to run again: what it passed on is on its way out.
    database.add("UPDATE task_instance SET state = NULL WHERE task_id = 'read'")
    assert look(database, SuspectsQuery())[1] == []


def test_a_string_of_ones_own_under_the_base_path_is_no_proof(database):
    database.pushed("read", f"{BASE}/reports/today.csv", 13)
    assert look(database, SuspectsQuery())[1] == []


def test_every_trace_is_a_proof_of_its_own(database):
    database.add("DELETE FROM xcom WHERE task_id = 'read'")
    database.pushed("last", {"inside": [OWN]}, 26)
    database.add(
        "INSERT INTO rendered_task_instance_fields VALUES ('dag', 'run', 'last', -1, ?)", json.dumps({"command": OWN})
    )
    kwargs = json.dumps({"path": OWN})
    database.instance("waits", "deferred", 13, trigger_id=1, next_kwargs=json.dumps({"event": OWN}))
    database.instance("crypt", "deferred", 13, trigger_id=2)
    database.add("INSERT INTO trigger VALUES (1, ?)", kwargs)
    found, (run,) = look(database, SuspectsQuery(dag_id="dag", run_id="run"))
    proofs = {each.name: each.proofs for each in run.instances}
    assert proofs["last"] == ("a path string inside its value k", "a path string in its rendered templates")
    assert proofs["waits"] == ("a path string in its next_kwargs", "a path string in the kwargs of its trigger")
    assert found.unread_triggers == 0


def test_producers_of_runs_that_are_not_over_run_again_where_asked_for(database):
    database.add("UPDATE dag_run SET state = 'running'")
    asked = SuspectsQuery(producers=True)
    _, (run,) = look(database, asked)
    assert {each.name: each.role for each in run.to_clear} == {
        "push": "producer", "read": "downstream", "last": "downstream",
    }  # fmt: skip
    database.add("UPDATE dag_run SET state = 'success'")
    assert look(database, asked)[1] == []


def test_a_look_can_be_narrowed(database):
    def narrowed(**names: str) -> list[SuspectRun]:
        return look(database, SuspectsQuery(observations=(SEEN,), **names))[1]

    assert narrowed(dag_id="dag") == narrowed(dag_id="dag", run_id="run") != []
    assert narrowed(dag_id="other") == narrowed(dag_id="dag", run_id="other") == []


def test_starts_that_no_row_tells_are_counted(database):
    database.add("DELETE FROM log WHERE task_id = 'read'")
    found, (run,) = look(database)
    assert found.unknown == 1
    assert cleared(run) == ["last", "read"]


def test_runs_are_found_by_what_started_in_a_window_and_was_not_over_before(database):
    def found(windows: list[tuple[float, float | None]], after: float) -> list[tuple[str, str]]:
        with database.engine.connect() as connection:
            times = [(at(start), None if end is None else at(end)) for start, end in windows]
            return list(started.runs_started_in(connection, database.tables, times, at(after)))

    assert found([(11, 20)], 5) == found([(0, 1), (24, None)], 5) == [("dag", "run")]
    assert found([(13.5, 20)], 5) == found([(11, 20)], 30) == []


def test_a_producer_that_runs_again_is_not_waited_for_and_one_that_pushed_while_it_runs_is(database):
    """Killed after the clear and called again: what it pushed before may still be there for a while."""
    database.add("UPDATE dag_run SET state = 'running'")
    database.add("DELETE FROM task_instance WHERE task_id <> 'push'")
    database.add("UPDATE task_instance SET state = 'running', start_date = ?", text(30))
    database.ran("push", 30)
    asked = SuspectsQuery(producers=True)
    assert look(database, asked)[1] == []
    database.add("UPDATE xcom SET timestamp = ?", text(31))
    _, (run,) = look(database, asked)
    assert [each.name for each in run.held_by(())] == ["push"]


def test_a_path_that_was_passed_on_by_an_earlier_try_hands_nothing_over_any_more(database):
    """The one that passed it on runs again, in the window still, and so does another reader beside it."""
    database.add("DELETE FROM xcom")
    database.pushed("read", OWN, 13)
    for task_id in ("read", "last"):
        database.add("UPDATE task_instance SET state = 'running', start_date = ? WHERE task_id = ?", text(16), task_id)
        database.ran(task_id, 16)
    assert look(database)[1] == []


# --- references that were rehydrated since


def before(minutes: float, run_id: str = "run") -> HeldBefore:
    return HeldBefore("dag", run_id, at(minutes).isoformat())


def test_a_run_whose_references_were_rehydrated_is_looked_at_as_if_it_held_them(database):
    _, (expected,) = look(database)
    assert expected.first == at(5).isoformat()
    database.add("DELETE FROM xcom")
    assert look(database)[1] == []
    found, (run,) = look(database, SuspectsQuery(observations=(SEEN,), held=(before(5),)))
    assert cleared(run) == cleared(expected) == ["last", "read"]
    assert (run.references, run.aliases, run.first, found.first) == (0, 0, at(5).isoformat(), at(5))


@pytest.mark.parametrize(("until", "found"), [(9, []), (30, ["last", "read"])])
def test_what_started_once_its_run_was_rehydrated_read_values(database, until, found):
    """And so is what was cleared since, and ran again: it is not found once more."""
    database.add("DELETE FROM xcom")
    held = replace(before(5), until=at(until).isoformat())
    runs = look(database, SuspectsQuery(observations=(SEEN,), held=(held,)))[1]
    assert [name for run in runs for name in cleared(run)] == found
    # What holds some again hands these over: the end is none then.
    database.pushed("push", OWN, 6)
    assert look(database, SuspectsQuery(observations=(SEEN,), held=(held,)))[1]


def test_another_runs_references_were_readable_until_they_were_rehydrated(database):
    """What started then in a run that held none is listed: it can have read another run's."""
    database.add("DELETE FROM xcom")
    database.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (7, 'dag', 'gone', 'success')")
    _, (run,) = look(database, SuspectsQuery(observations=(SEEN,), held=(before(5, "gone"),)))
    assert (run.run_id, cleared(run)) == ("run", [])
    assert {each.role for each in run.instances} == {"other"}


@pytest.mark.parametrize(("until", "found"), [(11.5, []), (30, ["run"]), (None, ["run"])])
def test_once_nobody_holds_any_what_starts_read_no_other_run_s_either(database, until, found):
    """Else all that ever starts in inline would be listed for good."""
    held = replace(before(5, "gone"), until=None if until is None else at(until).isoformat())
    asked = SuspectsQuery(observations=(SEEN,), held=(held,))
    database.add("DELETE FROM xcom")
    there, runs = look(database, asked)
    assert ([run.run_id for run in runs], there.stored, there.holds_longest) == (found, 0, None)
    database.pushed("push", OWN, 6)
    there, runs = look(database, asked)
    assert [run.run_id for run in runs] == ["run"]
    assert (there.stored, there.holds_longest) == (1, before(6))


@pytest.mark.parametrize(("rehydrated", "first"), [(3, 3), (7, 5)])
def test_what_a_run_still_holds_counts_with_what_it_held(database, rehydrated, first):
    found, (run,) = look(database, SuspectsQuery(observations=(SEEN,), held=(before(rehydrated),)))
    assert (run.first, found.first) == (at(first).isoformat(), at(first))


def test_what_ended_before_its_run_held_the_first_reference_read_none(database):
    database.add("DELETE FROM xcom")
    assert look(database, SuspectsQuery(observations=(SEEN,), held=(before(20.5),)))[1] == []


def test_a_run_that_held_references_and_is_deleted_is_no_ones_concern(database):
    database.add("DELETE FROM xcom")
    asked = SuspectsQuery(observations=(SEEN,), held=(before(5), before(1, "deleted")))
    assert [run.run_id for run in look(database, asked)[1]] == ["run"]


def test_a_look_that_is_narrowed_leaves_out_what_other_runs_held(database):
    database.add("DELETE FROM xcom")
    asked = SuspectsQuery(observations=(SEEN,), held=(before(5),), dag_id="other")
    assert look(database, asked)[1] == []
