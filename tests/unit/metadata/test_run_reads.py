"""What is read about one run besides its XComs: starts, processes, failures, traces; on a real SQLite, and for every database."""

from __future__ import annotations

import json
import re

import pytest
import sqlalchemy as sa

from tests.support.lines import output_on
from tests.support.run_database import BASE, Database, at, text
from xcomctl.metadata import instances, risk, starts, traces, xcoms
from xcomctl.model.phases import Line

PATH = f"{BASE}/dag/run/task/01234567-89ab-cdef-0123-456789abcdef"

COMPILE = """
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata import instances, started, starts, structure, traces
from xcomctl.metadata.tables import number_of_run, tables
from xcomctl.model.phases import Line
import datetime
noon = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
for name, dialect in (("postgresql", postgresql.dialect()), ("mysql", mysql.dialect()), ("sqlite", sqlite.dialect())):
    for found in (tables(Line.AF2), tables(Line.AF3, "airflow")):
        for statement in (
            starts.starts_select(found, "d", "r"), starts.rescheduled_select(found, "d", "r"),
            starts.instances_select(found, "d", "r"), starts.jobs_select(found),
            instances.failed_select(found, datetime.datetime(2026, 6, 6), None, None),
            instances.failed_select(found, None, "d", "r"),
            instances.tried_select(found, found.task_instance.c.run_id == "r", 5),
            instances.numbers_select(found, [("d", "r"), ("d", "s")]), instances.pushed_select(found, [1, 2]),
            sa.select(found.xcom.c.key).where(found.xcom.c.dag_run_id == number_of_run(found, "d", "r")),
            started.started_select(found, [(noon, None), (noon, noon)], noon, "d", "r"), started.run_select(found, "d", "r"),
            traces.holding_select(found, name, "s3://b/x"), traces.values_select(found, name, 5, "s3://b/x"),
            traces.triggers_select(found, "d", "r"),
            structure.serialized_select(found, "d"), traces.confs_select(found, name, "d", "r", "s3://b/x"),
            traces.instances_select(found, name, "rendered_task_instance_fields", "rendered_fields", "d", "r", "s3://b/x"),
            traces.instances_select(found, name, "task_instance", "next_kwargs", "d", "r", "s3://b/x"),
        ):
            text = str(statement.compile(dialect=dialect))
            assert ("airflow" in text) == (found.line is Line.AF3), text
            print(name, sa.__version__)
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_statements_compile_for_every_database_on_the_sqlalchemy_of_each_line(line):
    printed = output_on(line, COMPILE)
    assert len(printed.splitlines()) == 3 * 2 * 19
    assert printed.split()[1].startswith({"2.11": "1.4.", "3.3": "2."}[line])


@pytest.fixture(params=list(Line))
def database(request):
    database = Database(request.param)
    yield database
    database.engine.dispose()


def test_a_start_is_the_last_one_and_began_where_its_try_did(database):
    database.instance("plain", "success", 10)
    database.instance("retried", "success", 30)
    database.instance("deferred", "success", 5)
    database.instance("cleaned", "success", 1)
    database.instance("poked", "success", 40)
    database.instance("skipped", "skipped", 2)
    database.instance("not yet", None, None)
    for task_id, minutes in (
        ("plain", 10.01), ("retried", 20), ("retried", 30.01), ("deferred", 5.01), ("deferred", 25), ("poked", 40.01),
        ("poked", 41),
    ):  # fmt: skip
        database.ran(task_id, minutes)
    database.ran("plain", 12, event="success")
    database.add("INSERT INTO task_reschedule VALUES ('dag', 'run', 'poked', -1)")
    with database.engine.connect() as connection:
        found = {each.task_id: each for each in starts.starts_of(connection, database.tables, "dag", "run")}
    assert set(found) == {"plain", "retried", "deferred", "cleaned", "poked"}
    assert (found["plain"].started, found["plain"].began, found["plain"].ended) == (at(10.01), None, at(11))
    assert (found["retried"].started, found["retried"].began) == (at(30.01), None)
    assert (found["deferred"].started, found["deferred"].began) == (at(25), at(5.01))
    assert found["cleaned"].started is None
    # On 2.x a rescheduled sensor keeps its start date too, and begins anew all the same; 3.x gives it a new one.
    assert (found["poked"].began is None) == (database.tables.line is Line.AF2)


def test_each_map_index_has_its_own_start(database):
    for index in (0, 1):
        database.instance("mapped", "success", index, map_index=index)
        database.ran("mapped", index + 0.5, index)
    with database.engine.connect() as connection:
        found = starts.starts_of(connection, database.tables, "dag", "run")
    assert {each.map_index: each.started for each in found} == {0: at(0.5), 1: at(1.5)}


def test_a_process_that_was_killed_lived_until_its_last_heartbeat(database):
    for kind, state, start, end, beat in (
        ("SchedulerJob", "success", 0, 10, 9.9),
        ("SchedulerJob", "failed", 1, None, 5),
        ("SchedulerJob", "running", 2, None, 7),
        ("SchedulerJob", "running", 3, None, 29.9),
        ("SchedulerJob", "running", 4, None, None),
        ("LocalTaskJob", "running", 5, None, 29.9),
    ):
        database.add(
            "INSERT INTO job VALUES (?, ?, 'host', ?, ?, ?)",
            kind, state, text(start), end and text(end), beat and text(beat),
        )  # fmt: skip
    with database.engine.connect() as connection:
        found = starts.lifetimes(connection, database.tables, at(30))
    assert [(each.start, each.end) for each in found] == [
        (at(4), at(4)), (at(3), None), (at(2), at(7.5)), (at(1), at(5.5)), (at(0), at(10)),
    ]  # fmt: skip


def test_who_failed_after_a_push_and_who_only_failed(database):
    database.pushed("a")
    database.instance("b", "failed", 3)
    database.instance("b", "up_for_retry", 2, map_index=0)
    database.instance("a", "failed", 1)
    database.instance("gone", "failed", 1)
    database.instance("fine", "success", 1)
    with database.engine.connect() as connection:
        found = instances.failed_after_push(connection, database.tables, dag_id="dag", run_id="run")
        late = instances.failed_after_push(connection, database.tables, since=at(3.5))
    assert [(each.task_id, each.map_index, each.state, each.pushed) for each in found.with_push] == [
        ("b", -1, "failed", ("a",)), ("b", 0, "up_for_retry", ("a",)),
    ]  # fmt: skip
    assert (found.others, found.unknown, found.more) == (1, 1, False)
    assert [each.state for each in late.with_push] == ["failed"]


#: The indexes of ``xcom`` and ``dag_run`` that Airflow makes, on both lines, besides the primary keys.
INDEXES = (
    "CREATE INDEX idx_xcom_key ON xcom (key)",
    "CREATE INDEX idx_xcom_task_instance ON xcom (dag_id, task_id, run_id, map_index)",
    "CREATE UNIQUE INDEX dag_run_dag_id_run_id_key ON dag_run (dag_id, run_id)",
)


def test_the_xcoms_of_a_run_are_found_by_its_number(database):
    """By DAG and run they would be found by a walk through all of the DAG's: a minute, where one holds a million."""
    for statement in INDEXES:
        database.add(statement)
    database.pushed("a", PATH)
    database.instance("b", "failed", 3)
    seen: list[tuple[str, object]] = []

    @sa.event.listens_for(database.engine, "before_cursor_execute")
    def remember(connection, cursor, statement, parameters, context, many):
        seen.append((statement, parameters))

    with database.engine.connect() as connection:
        of_run = (connection, database.tables, "dag", "run")
        assert [each.pushed for each in instances.failed_after_push(*of_run[:2]).with_push] == [("a",)]
        assert [row.task_id for row in xcoms.rows_of_run(*of_run)] == ["a"]
        assert xcoms.count_of_run(*of_run) == 1
        assert risk.first_reference(*of_run, BASE) == at(0)
        steps = [
            step.detail
            for statement, parameters in list(seen)
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    of_xcoms = [step for step in steps if re.match(r"(SEARCH|SCAN) xcom\b", step)]
    assert len(of_xcoms) == 4
    assert all(re.search(r"INDEX sqlite_autoindex_xcom_1 \(dag_run_id=\?", step) for step in of_xcoms), of_xcoms


def test_what_each_of_many_runs_pushed(database, monkeypatch):
    monkeypatch.setattr(instances, "RUNS_AT_ONCE", 2)
    for number in range(10, 15):
        database.add("INSERT INTO dag_run (id, dag_id, run_id) VALUES (?, 'dag', ?)", number, f"run {number}")
        if number != 12:
            database.add(
                "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id) VALUES (?, ?, -1, 'k', 'dag', ?)",
                number, f"task {number}", f"run {number}",
            )  # fmt: skip
    with database.engine.connect() as connection:
        wanted = [("dag", f"run {number}") for number in range(10, 14)] * 2
        found = instances.pushed_in(connection, database.tables, [*wanted, ("dag", "no run"), ("other", "run 10")])
    assert found == {("dag", f"run {number}"): {f"task {number}"} for number in (10, 11, 13)}


def test_no_more_failures_are_looked_at_than_say_something(database, monkeypatch):
    monkeypatch.setattr(instances, "MOST", 3)
    for number in range(5):
        database.instance("a", "failed", number, map_index=number)
    with database.engine.connect() as connection:
        found = instances.failed_after_push(connection, database.tables)
    assert (found.others, found.more) == (3, True)


def test_whose_log_is_worth_reading_the_failed_ones_first(database):
    database.instance("a", "success", 0, hostname="worker-0")
    database.instance("b", "failed", 0)
    database.instance("c", "skipped", 0, try_number=0)
    database.instance("empty", "success", 0, hostname="")
    with database.engine.connect() as connection:
        found, count = instances.tried(connection, database.tables, "dag", "run", 1)
    assert ([each.task_id for each in found], count) == (["b"], 2)


def test_a_template_that_names_the_base_path_is_none_that_holds_a_path(database):
    for task_id, rendered in (("got", f"cat '{PATH}'"), ("names", f"ls {BASE}/reports/"), ("other", "ls")):
        database.add(
            "INSERT INTO rendered_task_instance_fields VALUES ('dag', 'run', ?, -1, ?)",
            task_id, json.dumps({"bash_command": rendered}),
        )  # fmt: skip
    database.instance("resumed", "success", 0, next_kwargs=json.dumps({"__var": {"event": [PATH]}}))
    database.instance("plain", "success", 0, next_kwargs="null")
    asked = ("dag", "run", BASE)
    with database.engine.connect() as connection:
        assert traces.rendered(connection, database.tables, *asked) == [("got", -1)]
        assert traces.next_kwargs(connection, database.tables, *asked) == [("resumed", -1)]


def test_the_confs_of_runs_that_came_later_are_looked_into(database):
    for number, run_id, conf in (
        (4, "before", PATH),
        (6, "after", PATH),
        (7, "of another", PATH.replace("/run/", "/r/")),
    ):
        value: object = json.dumps({"file": conf})
        if database.tables.line is Line.AF2:
            value = b"\x80\x04" + str(value).encode()  # a pickle keeps texts as they are
        database.add("INSERT INTO dag_run (id, dag_id, run_id, conf) VALUES (?, 'other', ?, ?)", number, run_id, value)
    with database.engine.connect() as connection:
        assert traces.confs_of_others(connection, database.tables, "dag", "run", BASE) == [("other", "after")]


def test_the_runs_with_such_a_conf_and_no_others(database):
    for number, run_id, conf in ((6, "holds", PATH), (7, "holds none", "s3://store@bucket/else"), (8, "none", None)):
        value: object = None if conf is None else json.dumps({"file": conf})
        if value is not None and database.tables.line is Line.AF2:
            value = b"\x80\x04" + str(value).encode()
        database.add("INSERT INTO dag_run (id, dag_id, run_id, conf) VALUES (?, 'other', ?, ?)", number, run_id, value)
    with database.engine.connect() as connection:
        assert traces.confs_holding(connection, database.tables, BASE) == [("other", "holds")]


def test_values_that_hold_a_path_at_any_depth(database):
    database.pushed("inside", {"files": [{"of": PATH}]})
    database.pushed("itself", PATH)
    database.pushed("names", f"{BASE}/report.csv")
    database.pushed("plain", 5)
    with database.engine.connect() as connection:
        found = list(traces.in_values(connection, database.tables, 5, BASE))
    assert [(task_id, key) for task_id, _, key, _ in found] == [("inside", "k"), ("itself", "k")]


def test_what_the_triggers_of_a_run_were_given(database):
    database.instance("waits", "deferred", 0, trigger_id=1)
    database.instance("other", "deferred", 0, trigger_id=2, run_id="another")
    database.instance("done", "success", 0)
    for number in (1, 2):
        database.add("INSERT INTO trigger VALUES (?, ?)", number, f"{{{number}}}")
    with database.engine.connect() as connection:
        assert traces.trigger_kwargs(connection, database.tables, "dag", "run") == [("waits", -1, "{1}")]
