"""References back into a SQLite that Airflow itself has made: one writer at a time, and times without their zone."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import psutil
import pytest

from tests.support.rehydrating import (
    TASK,
    Rehydrating,
    assert_back,
    assert_raced,
    assert_survives,
    rehydrating,
)
from tests.support.rows import of_gone_dag
from xcomctl.metadata.swap import ATTEMPTS, LOCK_TIMEOUT_S
from xcomctl.model.phases import Phase
from xcomctl.model.rehydrate import DIFFERS, JSON_STRING, LARGE_FLOAT, LOCKED, PATH_STRING, READ_RAISES
from xcomctl.model.settings import settings_for
from xcomctl.rehydrate.run import DONE, READ, SWAPPED

DAG = "gone_rehydrate"
VALUE = {"body": "x" * 3000, "rows": [1, "é", None]}


class Installed:
    """An Airflow that has a SQLite file for its metadata and a folder for its objects; nothing of it runs."""

    def __init__(self, environment: Path, folder: Path, line: str) -> None:
        self.folder, self.line = folder, line
        self.file = folder / "airflow.db"
        self.python = environment / "bin" / "python"
        self.env = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.file}",
            **settings_for(Phase.DUAL_READ, path=f"file://{folder}/xcom", threshold=20_000),
        }
        done = subprocess.run(
            [str(self.python), "-m", "airflow", "db", "migrate"], env=self.env, capture_output=True, text=True
        )
        assert done.returncode == 0 and self.file.exists(), done.stderr

    @contextlib.contextmanager
    def context(self) -> Iterator[Rehydrating]:
        with rehydrating(self.python, self.env, self.folder / "log") as found:
            yield found


@pytest.fixture(scope="module")
def installed(airflow_env: Path, airflow_line: str, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(airflow_env, tmp_path_factory.mktemp("sqlite"), airflow_line.partition(".")[0])


@pytest.fixture(scope="module")
def there(installed: Installed) -> Iterator[Rehydrating]:
    """A context in which Airflow stays loaded."""
    with installed.context() as found:
        yield found


@pytest.fixture
def run_id(request: pytest.FixtureRequest, installed: Installed, there: Rehydrating) -> Iterator[str]:
    """A run of the test's own, without rows."""
    name = request.node.name
    come, go = of_gone_dag(installed.line, DAG, name, TASK)
    for statement in come:
        there.sql(statement)
    yield name
    for statement in go:
        there.sql(statement)


def of(run_id: str) -> dict[str, str]:
    return {"dag_id": DAG, "run_id": run_id}


def test_every_value_of_the_corpus_comes_back(installed, there, run_id):
    """A column of the type JSON holds text in SQLite, but a number alone as a number: one without a fraction as an int."""
    read = there.push(run_id, there.corpus())
    before = there.held(run_id)
    came = there.run(jobs=4, **of(run_id))
    assert_back(read, before, came, there.held(run_id))
    assert came.answer["references"] == came.answer["requests"] == len(before) > 90
    told = came.why()
    assert told.pop(DIFFERS, []) == ([] if installed.line == "2" else ["minus-zero", "whole-float"])
    assert set(told) == {PATH_STRING, READ_RAISES, JSON_STRING if installed.line == "2" else LARGE_FLOAT}


def test_what_somebody_else_does_meanwhile_is_not_lost(there, run_id):
    race = {
        f"k{number}": (point, deed)
        for number, (point, deed) in enumerate(product((READ, SWAPPED, DONE), ("push_again", "purge", "delete")))
    }
    read = there.push(run_id, values={f"k{number}": VALUE for number in range(12)})
    before = there.held(run_id)
    came = there.run(race=race, jobs=4, **of(run_id))
    assert_raced(read, before, race, came, there.held(run_id))


def test_a_database_that_somebody_has_locked_is_not_waited_for(installed, there, run_id):
    read = there.push(run_id, values={"k": VALUE})
    with contextlib.closing(sqlite3.connect(installed.file, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        came = there.run(jobs=4, **of(run_id))
        assert came.why() == {LOCKED: ["k"]}, came
        assert time.monotonic() - started >= ATTEMPTS * LOCK_TIMEOUT_S
        assert json.loads(there.held(run_id)["k"].stored).startswith("file://")
    assert there.run(**of(run_id)).answer["rows"] == 1
    assert there.held(run_id)["k"].base == read["k"]


def test_killed_before_it_commits_it_is_called_again_and_nothing_is_lost(installed, there, run_id):
    read = there.push(run_id, values={f"k{number:02}": {**VALUE, "number": number} for number in range(12)})
    with installed.context() as doomed:
        assert_survives(there, doomed, read, SWAPPED, **of(run_id))


# --- memory --------------------------------------------------------------------------------------------------------------

#: The allocator takes some 20 MB until it has enough, and no more for 20,000 rows; as many values alone would be 100 MB.
FEW, MANY, SLOPE_BYTES = 1_000, 10_000, 40_000_000


@pytest.mark.first_line_only
def test_memory_does_not_grow_with_the_rows(there, run_id, measure):
    """All of these rows name one object, which is read for each of them; nothing is written, so that it can be done twice.

    Pages of rows and objects are read by the same code whatever the database and the store, and from a folder at once."""
    process = psutil.Process(there.process.pid)
    there.push(run_id, values={"one": VALUE})

    def peak(start: int, end: int) -> int:
        columns = "dag_run_id, task_id, map_index, dag_id, run_id, value, timestamp"
        there.sql(
            f"WITH RECURSIVE more (n) AS (SELECT {start + 1} UNION ALL SELECT n + 1 FROM more WHERE n + 1 < {end}) "
            f"INSERT INTO xcom (key, {columns}) SELECT 'one_' || n, {columns} FROM xcom, more "
            "WHERE run_id = :run_id AND key = 'one'",
            run_id=run_id,
        )
        there.begin("run", query={"write": False, "jobs": 8, **of(run_id)}, kill_at="", after=1, race={})
        ended = threading.Event()
        most: list[int] = []

        def watch() -> None:
            while not ended.wait(0.05):
                most.append(process.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            answer = there.finish()["answer"]
        finally:
            ended.set()
            watching.join()
        assert (answer["rows"], answer["requests"]) == (end, end)
        return max(most)

    few, many = peak(0, FEW), peak(FEW - 1, MANY)
    measure("rehydrate_memory_slope_bytes", many - few)
    assert many - few < SLOPE_BYTES
