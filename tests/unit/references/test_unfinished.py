"""What unfinished runs hold, on a real SQLite with the columns of both lines."""

from __future__ import annotations

import datetime
import json
import pickle
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from xcomctl.metadata.tables import Tables, tables
from xcomctl.model.phases import Line
from xcomctl.references import unfinished
from xcomctl.references.unfinished import held

BASE = "s3://aws_default@artifacts/xcom"
NOW = datetime.datetime(2026, 6, 6, tzinfo=datetime.UTC)


@pytest.fixture(params=list(Line))
def database(request, tmp_path) -> Iterator[tuple[Any, Tables]]:
    found = tables(request.param)
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    found.xcom.metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection, found
    engine.dispose()


def uri(base: str, run_id: str, task_id: str) -> str:
    return f"{base}/dag/{run_id}/{task_id}/{uuid.uuid4()}"


def run(database: tuple[Any, Tables], number: int, state: str, **values: Any) -> None:
    """A run, and an XComs of each task that is named."""
    connection, found = database
    run_id = f"run {number}"
    common = {"dag_id": "dag", "run_id": run_id}
    connection.execute(found.dag_run.insert().values(id=number, state=state, start_date=NOW, **common))
    for task_id, value in values.items():
        stored = json.dumps(value).encode() if found.line is Line.AF2 else value
        connection.execute(
            found.task_instance.insert().values(task_id=task_id, map_index=-1, state="scheduled", **common)
        )
        connection.execute(
            found.xcom.insert().values(
                dag_run_id=number, task_id=task_id, map_index=-1, key="k", value=stored, **common
            )
        )


@pytest.mark.parametrize("database", [Line.AF2], indirect=True)  # the column of 3.x holds JSON and nothing else
def test_a_pickled_reference_counts_like_any_other(database):
    connection, found = database
    run(database, 1, "running", own="replaced below", other="x" * 20)
    values = {"own": uri(BASE, "run 1", "own"), "other": {"a": uri(BASE, "run 1", "other")}}
    for task_id, value in values.items():
        pickled = found.xcom.update().where(found.xcom.c.task_id == task_id)
        connection.execute(pickled.values(value=pickle.dumps(value)))
    assert (held(connection, found, BASE, 5).references, held(connection, found, BASE, 5).at_risk_runs) == (1, 1)


def test_references_aliases_and_what_lies_elsewhere(database):
    old = "s3://aws_default@artifacts/old"
    run(database, 1, "running", own=uri(BASE, "run 1", "own"), passed_on=uri(BASE, "run 0", "own"), plain="x://y")
    run(database, 2, "queued", moved=uri(old, "run 2", "moved"), amount=5)
    run(database, 3, "success", own=uri(BASE, "run 3", "own"))
    run(database, 4, "failed", moved=uri(old, "run 4", "moved"))
    found = held(*database, BASE, 5)
    assert (found.runs, found.at_risk_runs, found.references, found.aliases) == (2, 1, 1, 1)
    (named,) = found.at_risk
    assert (named.run_id, named.references, named.aliases, named.waiting) == ("run 1", 1, 1, {"scheduled": 3})
    assert [(each.base_path, each.references, each.run_id) for each in found.elsewhere] == [(old, 1, "run 2")]


def test_without_a_base_path_everything_that_the_backend_wrote_is_elsewhere(database):
    run(database, 1, "running", one=uri(BASE, "run 1", "one"), two=uri(BASE, "run 1", "two"), plain="s3://own/file")
    found = held(*database, None, 5)
    assert (found.references, found.at_risk) == (0, ())
    assert [(each.base_path, each.references) for each in found.elsewhere] == [(BASE, 2)]


def test_examples_and_other_base_paths_are_few_however_many_there_are(database, monkeypatch):
    monkeypatch.setattr(unfinished, "_OTHER_BASES", 2)
    for number in range(1, 8):
        values = {"own": uri(BASE, f"run {number}", "own"), "moved": uri(f"s3://b/{number}", f"run {number}", "moved")}
        run(database, number, "running", **values)
    found = held(*database, BASE, 3)
    assert (found.at_risk_runs, found.references, len(found.at_risk)) == (7, 7, 3)
    assert {each.base_path: each.references for each in found.elsewhere} == {"s3://b/1": 1, "s3://b/2": 1, "": 5}


def test_nothing_is_going_on(database):
    run(database, 1, "success", own=uri(BASE, "run 1", "own"))
    assert held(*database, BASE, 5) == unfinished.Held(0, 0, 0, 0, (), ())
