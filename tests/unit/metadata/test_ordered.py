"""Rows that hold URLs, in the order of keys, on a real SQLite in both forms of the column; archives; what is read again."""

from __future__ import annotations

import contextlib
import json
import pickle

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.lines import output_on
from xcomctl.metadata import archives
from xcomctl.metadata.ordered import UrlRow, unchanged, url_rows
from xcomctl.metadata.pickles import text_in
from xcomctl.metadata.tables import Tables, tables
from xcomctl.model.phases import Line
from xcomctl.model.refs import RefsQuery
from xcomctl.model.requests import ALIAS, REFERENCE
from xcomctl.references import at_risk
from xcomctl.references.objects import Scan

BASE = "s3://store@bucket/xcom"
UUID = "01234567-89ab-cdef-0123-456789abcdef"

COMPILE = """
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata import ordered, xcoms
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
for name, dialect in (("postgresql", postgresql.dialect()), ("mysql", mysql.dialect()), ("sqlite", sqlite.dialect())):
    for line in (tables(Line.AF2), tables(Line.AF3, "airflow")):
        for statement in (
            ordered.ordered_select(line, name, None, None, False), ordered.ordered_select(line, name, "d", "r", True),
            ordered.ordered_select(line, name, None, None, False, "s3://b/x"),
            xcoms._of_run(line, "d", "r", xcoms.Narrow(("t",), "k", 1), True),
        ):
            text = str(statement.compile(dialect=dialect))
            assert "xcom" in text and "ORDER BY" in text
            print(name, sa.__version__)
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_statements_compile_for_every_database_on_the_sqlalchemy_of_each_line(line):
    printed = output_on(line, COMPILE)
    assert len(printed.splitlines()) == 3 * 2 * 4


class Database:
    """A SQLite with one run, ``dag`` ``run``."""

    def __init__(self, line: Line) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.tables: Tables = tables(line)
        self.tables.xcom.metadata.create_all(self.engine)
        self.run("dag", "run", 1, "success")

    def run(self, dag_id: str, run_id: str, number: int, state: str) -> None:
        with self.engine.begin() as connection:
            row = {"id": number, "dag_id": dag_id, "run_id": run_id, "state": state}
            connection.execute(self.tables.dag_run.insert(), [row])

    def push(self, key: str, value: object, number: int = 1, run_id: str = "run", table: str = "xcom") -> None:
        stored = value if isinstance(value, bytes) else json.dumps(value)
        if self.tables.line is Line.AF2 and isinstance(stored, str):
            stored = stored.encode()
        with self.engine.begin() as connection:
            connection.exec_driver_sql(
                f"INSERT INTO {table} (dag_run_id, task_id, map_index, key, dag_id, run_id, value) "
                "VALUES (?, 'task', -1, ?, 'dag', ?, ?)",
                (number, key, run_id, stored),
            )

    @contextlib.contextmanager
    def open(self):
        with self.engine.connect() as connection:
            yield connection

    def rows(self, *places: Tables, **narrow: object) -> list[UrlRow]:
        with url_rows(self.open, places or (self.tables,), **narrow) as rows:
            return list(rows)


@pytest.fixture(params=list(Line))
def database(request):
    database = Database(request.param)
    yield database
    database.engine.dispose()


def own(key: str) -> str:
    return f"{BASE}/dag/run/task/{key}"


def test_rows_come_in_the_order_of_keys_and_those_that_do_not_say_so(database):
    names = ["b/x", "a-b/x", "a/x", "B/x", "ü/x", 'q"/x', "a.b/x"]
    for number, name in enumerate(names):
        database.push(str(number), own(name))
    rows = database.rows()
    assert {row.text for row in rows} == {own(name) for name in names}
    in_order = [row.text for row in rows if row.in_order]
    assert in_order == sorted(in_order, key=str.encode)
    assert {row.text for row in rows if not row.in_order} == {own("ü/x"), own('q"/x')}
    assert {row.text for row in database.rows(out_of_order=BASE)} == {own("ü/x"), own('q"/x')}
    database.push("doubled", f"{BASE}//dag/run/task/x")
    assert f"{BASE}//dag/run/task/x" in {row.text for row in database.rows(out_of_order=BASE)}


def test_only_a_dags_or_only_unfinished_runs(database):
    database.run("dag", "later", 2, "running")
    database.push("a", own("a"))
    database.push("b", own("b"), 2, "later")
    assert [row.key for row in database.rows(unfinished_only=True)] == ["b"]
    assert [row.key for row in database.rows(dag_id="dag", run_id="run")] == ["a"]
    assert database.rows(dag_id="other") == []


def test_a_row_that_was_pushed_again_is_not_what_it_was(database):
    database.push("a", own("a"))
    database.push("b", own("b"))
    rows = database.rows()
    with database.engine.begin() as connection:
        value = json.dumps(own("c"))
        connection.exec_driver_sql(
            "UPDATE xcom SET value = ? WHERE key = 'b'",
            (value.encode() if database.tables.line is Line.AF2 else value,),
        )
    with database.open() as connection:
        assert [row.key for row in unchanged(connection, database.tables, rows)] == ["a"]


def test_archives_of_either_line_are_found_and_merged(database):
    for name, kind in (
        ("_airflow_deleted__xcom__20260101", "JSON"),
        ("_xcom_archive", "BLOB"),
        ("_airflow_deleted__log__1", "BLOB"),
    ):
        with database.engine.begin() as connection:
            connection.exec_driver_sql(
                f"CREATE TABLE {name} (dag_run_id INTEGER, task_id VARCHAR, map_index INTEGER, key VARCHAR, dag_id VARCHAR, "
                f"run_id VARCHAR, value {kind}, timestamp TIMESTAMP)"
            )
    database.push("live", own("m"))
    if database.tables.line is Line.AF3:  # that archive is of the line: the other writes bytes
        database.push("cleaned", own("a"), table="_airflow_deleted__xcom__20260101")
    database.push("pickled", pickle.dumps(own("z")), table="_xcom_archive")
    with database.open() as connection:
        found = archives.find(connection, database.tables, None)
    assert [str(place.xcom.name) for place in found] == ["_airflow_deleted__xcom__20260101", "_xcom_archive"]
    assert [place.line for place in found] == [Line.AF3, Line.AF2]
    rows = database.rows(database.tables, *found)
    expected = ["cleaned", "live", "pickled"] if database.tables.line is Line.AF3 else ["live", "pickled"]
    assert [row.key for row in rows] == expected
    assert rows[-1].source == "_xcom_archive" and not rows[-1].in_order


def test_a_pickle_that_is_a_text_is_read_and_no_other_is_opened():
    assert [text_in(pickle.dumps("s3://x", protocol)) for protocol in (3, 4, 5)] == ["s3://x"] * 3
    # Loading this one would end the process.
    assert text_in(b"\x80\x02cos\n_exit\nK\x07\x85R.") is None
    for other in (["s3://x"], 7, None, ("a", "b"), {"a": 1}, b"bytes"):
        assert text_in(pickle.dumps(other)) is None
    assert text_in(b"\x80garbage") is None and text_in(b"") is None


@given(data=st.binary(max_size=200))
def test_no_bytes_whatever_are_opened(data):
    assert text_in(b"\x80" + data) is None or isinstance(text_in(b"\x80" + data), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.sampled_from([own("a"), f"{BASE}/../x", "git://x", BASE]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(JSON | st.binary(max_size=40), max_size=6), line=st.sampled_from(Line))
def test_whatever_is_stored_no_scan_raises(values, line):
    """Bytes that are no JSON, in the column of 2.x; any JSON in either."""
    database = Database(line)
    try:
        for number, value in enumerate(values):
            if isinstance(value, bytes) and line is Line.AF3:
                value = value.decode("latin-1")
            database.push(str(number), value)
        scan = Scan(RefsQuery(store=False), BASE, database.open, [database.tables])
        items = list(scan.items())
        assert all(item.kind in (REFERENCE, ALIAS, "outside") for item in items)
        assert scan.totals.store_error == "" and scan.totals.list_requests == 0
        with database.open() as connection:
            assert all(run.run_id == "run" for run in at_risk.finished(connection, database.tables, BASE))
    finally:
        database.engine.dispose()


def test_unfinished_runs_at_risk_come_with_who_waits(database):
    database.run("dag", "later", 2, "running")
    database.push("a", own("a").replace("/run/", "/later/") + UUID, 2, "later")
    database.push("b", f"{BASE}/dag/later/task/{UUID}", 2, "later")
    database.push("c", f"{BASE}/dag/run/task/{UUID}")
    with database.engine.begin() as connection:
        for task, state in (("one", "success"), ("two", "scheduled"), ("three", None)):
            row = {"dag_id": "dag", "run_id": "later", "task_id": task, "map_index": -1, "state": state}
            connection.execute(database.tables.task_instance.insert(), [row])
    with database.open() as connection:
        (unfinished,) = at_risk.unfinished(connection, database.tables, BASE)
        (finished,) = at_risk.finished(connection, database.tables, BASE)
    assert (unfinished.run_id, unfinished.references, unfinished.aliases) == ("later", 1, 1)
    assert unfinished.waiting == {"no state yet": 1, "scheduled": 1}
    assert (finished.run_id, finished.references, finished.waiting) == ("run", 1, {})
