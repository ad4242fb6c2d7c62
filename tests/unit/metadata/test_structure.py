"""What lies upstream, from DAGs as each line has serialised them: a task group, mapped tasks, a mapped group."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from xcomctl.metadata.structure import upstream_in, upstream_of
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line

LINES = {"2.11": Line.AF2, "3.3": Line.AF3}
#: The DAG that both samples are of.
UPSTREAM = {
    "produce": set(),
    "mapped": {"produce"},
    "group.first": {"produce"},
    "group.one": {"produce", "group.first"},
    "total": {"produce", "mapped", "group.first", "group.one"},
    "end": {"produce", "mapped", "group.first", "group.one", "total"},
    "apart": set(),
}


def sample(line: str) -> dict:
    """A row's ``data``, as Airflow wrote it."""
    return json.loads((Path(__file__).parent / f"serialized_dag_{line}.json").read_text())


@pytest.mark.parametrize("line", LINES)
def test_a_dag_as_the_line_serialised_it(line):
    assert upstream_in(sample(line)) == UPSTREAM


@pytest.mark.parametrize("unknown", [None, [], {}, {"dag": {}}, {"dag": {"tasks": [1]}}, {"dag": {"tasks": [{}]}}])
def test_what_is_written_in_another_way_is_not_guessed(unknown):
    assert upstream_in(unknown) is None


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE serialized_dag (dag_id TEXT, data JSON, data_compressed BLOB, last_updated TIMESTAMP)"
        )
        yield connection


def insert(connection, dag_id, data, compressed, updated) -> None:
    connection.exec_driver_sql("INSERT INTO serialized_dag VALUES (?, ?, ?, ?)", (dag_id, data, compressed, updated))


@pytest.mark.parametrize("line", LINES)
def test_of_several_versions_the_latest_whether_compressed_or_not(connection, line):
    found = tables(LINES[line])
    text = json.dumps(sample(line))
    older = json.dumps({"dag": {"tasks": [{"task_id": "alone"}]}})
    insert(connection, "plain", older, None, "2026-06-05 00:00:00")
    insert(connection, "plain", text, None, "2026-06-06 00:00:00")
    insert(connection, "compressed", None, zlib.compress(text.encode()), "2026-06-06 00:00:00")
    insert(connection, "damaged", None, b"no zlib", "2026-06-06 00:00:00")
    insert(connection, "empty", None, None, "2026-06-06 00:00:00")
    assert upstream_of(connection, found, "plain") == UPSTREAM
    assert upstream_of(connection, found, "compressed") == UPSTREAM
    for unknown in ("damaged", "empty", "not there"):
        assert upstream_of(connection, found, unknown) is None
