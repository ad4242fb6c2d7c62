"""Which instances have, or may have, a process: on a real SQLite, as either line has it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.run_database import Database, at, text
from xcomctl.metadata import in_flight
from xcomctl.model.phases import Line

ROOT = Path(__file__).parents[3]
COMPILE = """
import datetime
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata import in_flight
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
since = datetime.datetime(2026, 6, 6)
for dialect in (postgresql.dialect(), mysql.dialect(), sqlite.dialect()):
    for found in (tables(Line.AF2), tables(Line.AF3, "airflow")):
        for statement in (
            in_flight.alive_select(found), in_flight.queued_select(found), in_flight.without_end_select(found, since),
            in_flight.suspended_select(found), in_flight.hosts_select(found, since),
        ):
            text = str(statement.compile(dialect=dialect))
            # One task_instance and no product of two: every other name in a FROM is the log of a look-up.
            assert text.count("task_instance, ") == 0, text
            print("ok")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_statements_compile_for_every_database_on_the_sqlalchemy_of_each_line(line):
    python = ROOT / ".venvs" / f"airflow-{line}" / "bin" / "python"
    done = subprocess.run([str(python), "-c", COMPILE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ok"] * 30


@pytest.fixture(params=list(Line))
def database(request):
    database = Database(request.param)
    yield database
    database.engine.dispose()


def names(database, ask, *arguments):
    with database.engine.connect() as connection:
        return {each.task_id: each for each in ask(connection, database.tables, *arguments)}


def test_a_start_is_what_the_log_says_and_not_the_start_date(database):
    database.instance("resumed", "running", 0, hostname="worker-0")
    database.ran("resumed", 0)
    database.ran("resumed", 40)
    database.instance("cleaned", "restarting", 0)
    database.instance("over", "success", 0)
    found = names(database, in_flight.alive)
    assert {name: each.started for name, each in found.items()} == {"resumed": at(40), "cleaned": None}
    assert found["resumed"].hostname == "worker-0"


def test_what_is_queued_since_when(database):
    database.instance("waits", "queued", None, queued_dttm=text(3))
    database.instance("nobody knows", "queued", None)
    database.instance("scheduled", "scheduled", None, queued_dttm=text(3))
    found = names(database, in_flight.queued)
    assert {name: each.queued for name, each in found.items()} == {"waits": at(3), "nobody knows": None}


@pytest.mark.parametrize(
    ("state", "events"),
    [
        ("success", [("running", 1)]),  # marked
        (None, [("running", 1)]),  # cleared
        ("queued", [("running", 1), ("success", 2), ("running", 3)]),  # cleared while it ran again
        ("failed", [("running", 1), ("heartbeat timeout", 2)]),
        ("failed", [("running", 1), ("heartbeat timeout", 2), ("failed", 3)]),  # what the scheduler wrote of it
    ],
)
def test_an_instance_whose_process_did_not_say_that_it_ends(database, state, events):
    database.instance("left", state, 1, updated_at=text(9))
    for event, minute in events:
        database.ran("left", minute, event=event)
    found = names(database, in_flight.without_known_end, at(5))
    assert set(found) == {"left"}
    assert found["left"].given_up is any(event == "heartbeat timeout" for event, _ in events)
    assert names(database, in_flight.without_known_end, at(10)) == {}


@pytest.mark.parametrize(
    ("state", "events"),
    [
        ("success", [("running", 1), ("success", 2)]),
        ("up_for_retry", [("running", 1), ("failed", 2)]),
        ("deferred", [("running", 1)]),
        ("up_for_reschedule", [("running", 1)]),
        ("running", [("running", 1)]),  # that it runs is known otherwise
        ("running", [("running", 1), ("up_for_retry", 2), ("running", 6)]),
        (
            "failed",
            [("running", 1), ("heartbeat timeout", 2), ("running", 3), ("failed", 4)],
        ),  # given up, and run again
        ("skipped", []),
    ],
)
def test_an_instance_whose_process_ended_or_never_was(database, state, events):
    database.instance("ended", state, 1, updated_at=text(9))
    for event, minute in events:
        database.ran("ended", minute, event=event)
    assert names(database, in_flight.without_known_end, at(5)) == {}


@pytest.mark.parametrize("between", [(), ("heartbeat timeout", "failed")])
def test_an_earlier_process_of_an_instance_that_runs_again(database, between):
    """It was cleared while it ran, or given up, and started anew: the old process may be there beside the new one."""
    database.instance("back", "running", 1)
    database.ran("back", 1)
    for minute, event in enumerate(between, 2):
        database.ran("back", minute, event=event)
    database.ran("back", 6)
    found = names(database, in_flight.without_known_end, at(5))
    assert (set(found), found["back"].started) == ({"back"}, at(6))
    assert names(database, in_flight.without_known_end, at(7)) == {}


def test_what_was_cleared_in_the_queue_may_be_with_an_executor(database):
    database.instance("cleared", None, None, queued_dttm=text(6), updated_at=text(9))
    database.instance("ran since", None, None, queued_dttm=text(6), updated_at=text(9))
    database.ran("ran since", 7)
    database.ran("ran since", 8, event="success")
    found = names(database, in_flight.without_known_end, at(5))
    assert (set(found), found["cleared"].queued) == ({"cleared"}, at(6))


def test_deferred_operators_that_keep_a_pod_and_the_hosts_of_late(database):
    database.instance("in a pod", "deferred", 1, operator="KubernetesPodOperator", hostname="worker-0")
    database.instance("sensor", "deferred", 1, operator="DateTimeSensorAsync", hostname="worker-1")
    database.instance("early", "success", -90, hostname="worker-2")
    database.instance("empty", "success", 1, hostname="")
    assert set(names(database, in_flight.suspended_on_pods)) == {"in a pod"}
    with database.engine.connect() as connection:
        found = in_flight.hosts(connection, database.tables, at(-60))
    assert [(each.hostname, each.latest) for each in found] == [("worker-0", at(1)), ("worker-1", at(1))]
