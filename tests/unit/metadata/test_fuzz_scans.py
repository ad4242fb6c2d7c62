"""Columns that hold anything: every scan of every command goes through them, on a real SQLite in both forms of the column."""

from __future__ import annotations

import functools
import json

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xcomctl.metadata import risk, runs, values
from xcomctl.metadata.tables import Tables, tables
from xcomctl.metadata.xcoms import (
    Narrow,
    count_of_run,
    count_pickled,
    latest_run_ids,
    rows_of_run,
    url_like_rows,
)
from xcomctl.model.phases import Line
from xcomctl.model.references import classify
from xcomctl.references import at_risk, scan

BASE = "s3://store@bucket/xcom"
UUID = "01234567-89ab-cdef-0123-456789abcdef"
PATHS = [
    BASE,
    f"{BASE}/../secret",
    f"{BASE}/dag/run/task/{UUID}",
    f"{BASE}/a\x00b",
    "git://x",
    "s3://[",
    "file:///etc/passwd",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(PATHS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
).map(json.dumps)
DEEP = st.integers(400, 3_000).flatmap(
    lambda depth: st.sampled_from(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
)
NUMBERS = st.integers(4_200, 20_000).map(lambda digits: "9" * digits)
#: What a column of 2.x can hold is any bytes; pickles, halves of texts and other encodings among them.
BYTES = (
    st.binary(max_size=60)
    | st.binary(max_size=20).map(lambda data: b"\x80" + data)
    | JSON.map(lambda text: text[: len(text) // 2].encode())
    | st.tuples(JSON, st.sampled_from(["utf-8", "utf-16", "utf-32", "latin-1"])).map(
        lambda each: each[0].encode(each[1])
    )
    | st.sampled_from([b'"a\\ud800b"', f'"{BASE}/\\ud800"'.encode(), b'"\xff://"', b"NaN", b"\xef\xbb\xbf1", b""])
)
#: Ids with every printable character, and others.
IDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=40)
#: What Airflow accepts as a DAG id (``validate_key``); a run id is anything.
DAG_IDS = st.from_regex(r"[\w.-]{1,40}", fullmatch=True)


@functools.cache
def database(line: Line) -> sa.Connection:
    """One for all examples of a line."""
    connection = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool).connect()
    tables(line).xcom.metadata.create_all(connection)
    return connection


def holding(
    line: Line, stored: list[str | bytes], dag_id: str = "dag", run_id: str = "run"
) -> tuple[sa.Connection, Tables]:
    """A database with one run that pushed these, as they are in the column."""
    connection, found = database(line), tables(line)
    for table in (found.xcom, found.dag_run):
        connection.execute(table.delete())
    connection.execute(found.dag_run.insert().values(id=1, dag_id=dag_id, run_id=run_id, state="running"))
    for number, value in enumerate(stored):
        kept = value.encode() if line is Line.AF2 and isinstance(value, str) else value
        connection.exec_driver_sql(
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value) "
            "VALUES (1, 'task', -1, ?, ?, ?, ?)",
            (str(number), dag_id, run_id, kept),
        )
    return connection, found


def look_everywhere(connection: sa.Connection, found: Tables, dag_id: str, run_id: str) -> None:
    """Every scan that reads values, to its end."""
    for row in url_like_rows(connection, found, dag_id, run_id):
        assert "://" in row.text and classify(row.text, BASE) is not None
    for item in scan.scan(connection, found, BASE, unfinished_only=True):
        assert item.kind in ("reference", "alias", "foreign")
    scan.survey(connection, found, BASE, lambda text: text, lambda: None)
    of_line = {
        Line.AF2: (values.json_like_strings,),
        Line.AF3: (values.string_heads, values.values_with_telling_keys),
    }
    for each in of_line[found.line]:
        list(each(connection, found))
    values.largest_skipmixin(connection, found)
    values.pickled_counts(connection, found)
    count_pickled(connection, found)
    list(risk.urls_of_runs(connection, found, [1]))
    risk.first_reference(connection, found, dag_id, run_id, BASE)
    risk.others_hold_references(connection, found, dag_id, run_id, BASE)
    list(at_risk.unfinished(connection, found, BASE))
    list(at_risk.finished(connection, found, BASE))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=st.lists(JSON | DEEP | NUMBERS | BYTES, max_size=5))
def test_whatever_bytes_a_column_of_2_holds(stored):
    connection, found = holding(Line.AF2, stored)
    look_everywhere(connection, found, "dag", "run")
    rows = list(rows_of_run(connection, found, "dag", "run", in_order=True))
    assert len(rows) == len(stored) == count_of_run(connection, found, "dag", "run")
    for row in rows:
        kept = stored[int(row.key)]
        raw = kept.encode() if isinstance(kept, str) else kept
        assert (row.column, row.stored_bytes) == (raw, len(raw))
        assert row.pickled == (raw[:1] == b"\x80")
        assert row.decodable or row.value is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored=st.lists(JSON | DEEP | NUMBERS, max_size=5))
def test_whatever_json_a_column_of_3_holds(stored):
    connection, found = holding(Line.AF3, stored)
    look_everywhere(connection, found, "dag", "run")
    rows = list(rows_of_run(connection, found, "dag", "run", in_order=True))
    assert len(rows) == len(stored)
    for row in rows:
        assert not row.pickled and row.stored_bytes > 0
        if row.decodable and not isinstance(row.value, (int, float)):  # SQLite keeps a bare number as a number
            assert repr(row.column) == repr(row.value) == repr(json.loads(stored[int(row.key)]))


@pytest.mark.parametrize("line", list(Line))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dag_id=DAG_IDS, run_id=IDS)
def test_whatever_ids_a_run_has(line, dag_id, run_id):
    path = f"{BASE}/{dag_id}/{run_id}/task/{UUID}"
    connection, found = holding(line, [json.dumps(path), "1"], dag_id, run_id)
    look_everywhere(connection, found, dag_id, run_id)
    assert latest_run_ids(connection, found, dag_id) == [run_id]
    assert runs.state_of(connection, found, dag_id, run_id) == ("running", True)
    (row, _) = rows_of_run(connection, found, dag_id, run_id, in_order=True)
    reference = classify(row.value, BASE).reference
    assert reference is not None and reference.task_id == "task"
    assert [item.kind for item in scan.scan(connection, found, BASE)] in (["reference"], ["alias"])


@pytest.mark.parametrize("line", list(Line))
def test_the_first_ones_are_those_that_were_pushed_first(line):
    connection, found = holding(line, ["1"] * 9)
    connection.exec_driver_sql("UPDATE xcom SET timestamp = '2026-01-0' || (9 - key) || ' 00:00:00.000000'")
    rows = rows_of_run(connection, found, "dag", "run", in_order=True, limit=3)
    assert [row.key for row in rows] == ["8", "7", "6"]
    rows = rows_of_run(connection, found, "dag", "run", Narrow(("task",), "4", -1), in_order=True, limit=3)
    assert [row.key for row in rows] == ["4"]
