"""The checks of one run where they read the database alone: on a SQLite of each line's form."""

from __future__ import annotations

import json
import pickle

import pytest
from sqlalchemy.exc import OperationalError

from tests.support.run_database import BASE, Database, at
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks import run_logs, run_paths, run_states, run_values
from xcomctl.checks.interface import Finding, ok
from xcomctl.checks.run_interface import RunCheck, RunSubject, run_all
from xcomctl.checks.run_values import Names, Values
from xcomctl.model import pull
from xcomctl.model.phases import Line
from xcomctl.model.settings import Settings
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.way_out import with_contexts

PATH = f"{BASE}/dag/run/a/01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture(params=list(Line))
def database(request):
    database = Database(request.param)
    yield database
    database.engine.dispose()


def seen(minutes: float, phase: str) -> Observation:
    return Observation(at(minutes).isoformat(), phase, "scheduler", "verify")


def subject(database: Database, connection, *observations: Observation, base_path: str = BASE) -> RunSubject:
    return RunSubject(
        connection,
        database.tables,
        "dag",
        "run",
        Settings(None, base_path, 10, None),
        "offload",
        base_path,
        observations,
    )


def found(database: Database, check: RunCheck, *observations: Observation, base_path: str = BASE) -> Check:
    with database.engine.connect() as connection:
        (outcome,) = run_all([check], subject(database, connection, *observations, base_path=base_path))
    return outcome


STARTED = run_paths.CHECKS[1]
INLINE = seen(15, "inline")


def a_run_with_a_reference(database: Database, started: float | None, first: float = 12) -> None:
    """Inline from minute 10 to 20; ``b`` started then, and runs for a minute."""
    database.scheduler(0, 9)
    database.scheduler(10, 20)
    database.scheduler(21, None)
    database.pushed("a", PATH, first)
    database.instance("b", "success", started if started is not None else 15)
    if started is not None:
        database.ran("b", started)


@pytest.mark.parametrize(
    ("started", "observed", "status", "words"),
    [
        (15, INLINE, Status.FAIL, "1 instances started while the run held references and scheduler was inline"),
        (15, seen(15, "misconfigured"), Status.FAIL, "scheduler was misconfigured"),
        (15, seen(15, "offload"), Status.OK, "no context was seen under inline"),
        (15, seen(5, "inline"), Status.OK, "no instance of the run started under inline"),
        (25, INLINE, Status.OK, "no instance of the run started under inline"),
        (11.5, INLINE, Status.WARN, "ran on when it did"),
        (10.5, INLINE, Status.OK, "no instance of the run started under inline"),
        (None, INLINE, Status.SKIP, "when b started is not known"),
        (None, seen(15, "offload"), Status.OK, "the starts of 1 instances are not either"),
    ],
)
def test_who_started_under_what(database, started, observed, status, words):
    a_run_with_a_reference(database, started)
    outcome = found(database, STARTED, observed)
    assert outcome.status is status and words in outcome.detail


def test_references_of_other_runs_are_a_warning(database):
    database.scheduler(10, 20)
    database.pushed("a", 1)
    database.instance("b", "success", 15)
    database.ran("b", 15)
    assert found(database, STARTED, INLINE).status is Status.OK
    database.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (9, 'dag', 'earlier', 'success')")
    database.pushed("a", PATH.replace("/run/", "/earlier/"), run_id="earlier")
    outcome = found(database, STARTED, INLINE)
    assert outcome.status is Status.WARN and "include_prior_dates" in outcome.detail


def test_a_task_that_was_deferred_under_inline_is_a_suspect_when_it_is_resumed_later(database):
    a_run_with_a_reference(database, 15)
    database.ran("b", 25)
    assert found(database, STARTED, INLINE).status is Status.FAIL


def test_without_a_base_path_a_window_is_no_answer(database):
    a_run_with_a_reference(database, 15)
    assert found(database, STARTED, INLINE, base_path="").status is Status.SKIP


@pytest.mark.parametrize(("state", "more"), [("failed", ""), ("up_for_retry", "; 1 of them will try again")])
def test_a_task_that_failed_after_a_push(database, state, more):
    check = run_states.CHECKS[1]
    database.instance("b", state, 2)
    assert found(database, check).status is Status.OK
    database.pushed("a")
    outcome = found(database, check)
    assert outcome.status is Status.FAIL
    assert f"1 instances failed although a task upstream of them pushed{more}: b" in outcome.detail
    assert "not in the database" in outcome.detail
    database.add("DELETE FROM serialized_dag")
    assert found(database, check).status is Status.SKIP


def test_a_database_that_does_not_answer_is_no_reason_for_a_kill_switch(database):
    def raising(error: Exception) -> RunCheck:
        def run(subject: RunSubject) -> Finding:
            raise error

        return RunCheck("id", "title", run)

    for error, status in (
        (OperationalError("SELECT 1", {}, Exception("server closed the connection")), Status.SKIP),
        (AirflowUnusable("the store does not answer"), Status.SKIP),
        (ValueError("ours"), Status.FAIL),
    ):
        assert found(database, raising(error)).status is status
    with database.engine.connect() as connection:
        checks = [raising(ValueError("ours")), RunCheck("next", "title", lambda subject: ok("looked at"))]
        assert [each.id for each in run_all(checks, subject(database, connection))] == ["id", "next"]


def test_every_try_has_its_log_read_and_what_a_retry_healed_is_told(database, monkeypatch):
    database.instance("b", "success", 2, try_number=2, hostname="host")
    database.instance("empty", "success", 2, hostname="")
    logs = {("b", 1): "fine", ("b", 2): "fine"}
    monkeypatch.setattr(
        run_logs.triggering, "log_of", lambda dag_id, run_id, task_id, index, number: logs[task_id, number]
    )
    outcome = found(database, run_logs.CHECKS[0])
    assert outcome.status is Status.OK and "the logs of 2 tries tell of no XCom error" in outcome.detail
    logs["b", 1] = f"got {PATH}"
    outcome = found(database, run_logs.CHECKS[0])
    assert outcome.status is Status.FAIL and outcome.data["lines"] == [f"b try 1: got {PATH}"]
    assert "verify another run" in outcome.hint
    del logs["b", 1]
    outcome = found(database, run_logs.CHECKS[0])
    assert outcome.status is Status.SKIP and "1 of 2 tries were not read: KeyError" in outcome.detail


def test_of_more_instances_than_are_looked_at_the_rest_was_not_read(database, monkeypatch):
    monkeypatch.setattr(run_logs, "MOST_LOGS", 1)
    monkeypatch.setattr(run_logs.triggering, "log_of", lambda *of: "fine")
    database.instance("a", "failed", 1, try_number=2)
    database.instance("b", "success", 2, hostname="host")
    outcome = found(database, run_logs.CHECKS[0])
    assert outcome.status is Status.SKIP and "1 of 3 tries were not read" in outcome.detail


HANDED = run_paths.CHECKS[0]


def handed(database: Database) -> Check:
    """What is said of paths, in a run without values."""
    with database.engine.connect() as connection:
        about = subject(database, connection)
        about.shared[run_values._VALUES] = Values()
        (outcome,) = run_all([HANDED], about)
    return outcome


def conf_of(database: Database, run_id: str, path: str) -> None:
    """A conf that holds this path, as the line keeps it."""
    stored: object = pickle.dumps({"file": path}) if database.tables.line is Line.AF2 else json.dumps({"file": path})
    database.add("UPDATE dag_run SET conf = ? WHERE run_id = ?", stored, run_id)


def test_a_path_in_the_runs_own_conf_was_handed_over(database):
    assert handed(database).status is Status.OK
    conf_of(database, "run", PATH.replace("/dag/run/", "/upstream/its run/"))
    outcome = handed(database)
    assert outcome.status is Status.FAIL and "in the conf of this run itself" in outcome.detail
    assert outcome.data["runs"] == [["dag", "run"]] and "trigger the run again" in outcome.hint


def test_a_path_in_the_conf_of_a_run_that_this_one_triggered(database):
    database.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (9, 'other', 'later', 'success')")
    conf_of(database, "later", PATH)
    outcome = handed(database)
    assert outcome.status is Status.FAIL and "in the conf of runs: other later" in outcome.detail
    assert outcome.data["runs"] == [["other", "later"]]


def test_a_trigger_with_a_path_in_its_kwargs_is_looked_into(database):
    database.instance("b", "deferred", 2, trigger_id=1)
    database.add("INSERT INTO trigger VALUES (1, ?)", json.dumps({"moment": 1}))
    assert handed(database).status is Status.OK
    database.add("UPDATE trigger SET kwargs = ?", json.dumps({"files": [PATH]}))
    outcome = handed(database)
    assert outcome.status is Status.FAIL and "in the kwargs of the triggers of b" in outcome.detail
    assert outcome.data["handed_over"] == ["b"]


def test_a_trigger_that_cannot_be_looked_into_leaves_it_open(database, monkeypatch):
    def undecipherable(stored: str) -> object:
        raise ValueError("cannot be decrypted: InvalidToken")

    monkeypatch.setattr(run_paths.trigger_kwargs, "decrypted", undecipherable)
    database.add("INSERT INTO trigger VALUES (1, 'gAAAA')")  # some other run's
    assert handed(database).status is Status.OK
    database.instance("b", "deferred", 2, trigger_id=1)
    outcome = handed(database)
    assert outcome.status is Status.SKIP and "the triggers of b cannot be decrypted" in outcome.detail


def test_what_mends_a_reference_is_asked_of_this_run_and_can_be_typed_in_its_contexts(database):
    values = Values()
    for problem in (pull.FOREIGN, pull.DANGLING):
        values.problems[problem], values.details[problem] = Names(1, ["a k"]), "a k: gone"
    with database.engine.connect() as connection:
        about = subject(database, connection)
        about.shared[run_values._VALUES] = values
        (outcome,) = run_all([run_values.CHECKS[0]], about)
    assert with_contexts(outcome.hint, " -D prod").splitlines() == [
        "xcomctl refs --dangling -d dag -r run -D prod  # and clear the tasks that pushed what is missing",
        "xcomctl refs --foreign -d dag -r run -D prod  # and set the base path that they were written under",
    ]
    database.add("UPDATE dag_run SET state = 'failed'")
    hint = with_contexts(found(database, run_states.CHECKS[0]).hint, " -D prod")
    assert hint.endswith(": xcomctl pull -d dag -r run -D prod  # what they got")


class NoObjects:
    """A store without an object of the run, listed in one page."""

    requests = 1

    def __init__(self, base_path: str, under: str) -> None:
        assert (base_path, under) == (BASE, "dag/run")

    def __iter__(self):
        return iter(())


@pytest.mark.parametrize(
    ("phase", "bypassed", "status", "words"),
    [
        ("offload", False, Status.OK, "everything stayed inline, near-inert confirmed"),
        ("offload", True, Status.SKIP, "1 of its values are above the threshold and lie inline (a k)"),
        ("dual-read", False, Status.OK, "0 objects of this run; this context is dual-read and offloads nothing"),
        ("inline", False, Status.OK, "this context is inline and offloads nothing"),
    ],
)
def test_no_object_is_near_inert_where_anything_can_be_offloaded_at_all(
    database, monkeypatch, phase, bypassed, status, words
):
    monkeypatch.setattr(run_values, "Listing", NoObjects)
    values = Values()
    if bypassed:
        values.bypassed.add("a k")
    with database.engine.connect() as connection:
        about = subject(database, connection)
        about.phase = phase
        about.shared[run_values._VALUES] = values
        (outcome,) = run_all([run_values.CHECKS[3]], about)
    assert outcome.status is status and words in outcome.detail and outcome.data["objects"] == 0
    assert phase == "offload" or "near-inert" not in outcome.detail


DIGEST = "0123456789abcdef" * 4


def test_values_and_what_was_pushed_meet_in_any_order_and_are_let_go():
    values = Values()
    pushed = {"type": "int", "bytes": 1, "digest": DIGEST}
    for place, key, value in (
        (("a", 0), "pushed", pushed), (("a", 0), "return_value", 1), (("a", 1), "return_value", 2), (("b", -1), "pushed", pushed),
        (("c", -1), "pushed", {"digest": "sha256:1"}), (("c", -1), "return_value", 3),
    ):  # fmt: skip
        run_values._compare(values, place, key, value)
    assert (values.compared, values.different.first) == (1, ["a[0]"])
    assert set(values.pushed) == {("b", -1)} and set(values.digests) == {("a", 1), ("c", -1)}


def test_of_many_names_a_few_are_kept():
    names = Names()
    for number in range(10_000):
        names.add(str(number))
    assert str(names) == "0, 1, 2, 3, 4 and 9995 more"
    assert len(names.first) == 200
