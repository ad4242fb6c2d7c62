"""Rows that hold URLs, page after page: on a real SQLite in both forms of the column, and compiled for every database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

import pytest

from tests.support.lines import output_on
from tests.support.run_database import BASE, Database, at
from xcomctl.metadata import paged
from xcomctl.metadata.paged import StoredUrl, Which, pages
from xcomctl.model.phases import Line

ALL = Which()
COMPILE = """
import datetime
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata.paged import Which, page_select
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
noon = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
for dialect in (postgresql.dialect(), mysql.dialect(), sqlite.dialect()):
    for line in (tables(Line.AF2), tables(Line.AF3, "airflow")):
        for which, after in ((Which(), None), (Which("d", "r", True, noon), (1, "t", -1, "k"))):
            text = " ".join(str(page_select(line, dialect.name, which, after).compile(dialect=dialect)).split())
            order = text.rpartition(" ORDER BY ")[2].replace("airflow.", "")
            assert order.startswith("xcom.dag_run_id, xcom.task_id, xcom.map_index, xcom.") and "LIMIT" in order, text
            assert "(xcom.dag_run_id, xcom.task_id" not in text, text  # a comparison of tuples finds no index on MySQL
            print("ok")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_the_statement_compiles_for_every_database_on_the_sqlalchemy_of_each_line(line):
    assert output_on(line, COMPILE).split() == ["ok"] * 12


@pytest.fixture(params=list(Line))
def database(request, monkeypatch) -> Iterator[Database]:
    monkeypatch.setattr(paged, "PAGE", 3)
    found = Database(request.param)
    found.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (9, 'dag', 'later', 'running')")
    yield found
    found.engine.dispose()


def push(database: Database, task_id: str, minutes: float = 0, run_id: str = "run") -> None:
    database.pushed(task_id, f"{BASE}/dag/{run_id}/{task_id}/x", minutes, run_id)


def read(database: Database, which: Which = ALL) -> Iterator[list[StoredUrl]]:
    return pages(database.engine.connect, database.tables, which)


def names(database: Database, which: Which = ALL) -> list[list[str]]:
    return [[f"{row.run_id} {row.task_id}" for row in page] for page in read(database, which)]


def test_every_row_comes_once_in_the_order_of_the_keys_whatever_the_border_of_a_page_cuts(database):
    for task_id in ("c", "a", "b"):
        push(database, task_id)
        push(database, task_id, run_id="later")
    for map_index, key in ((-1, "l"), (0, "k"), (0, "l"), (1, "k"), (1, "l")):
        database.add(
            "INSERT INTO xcom SELECT dag_run_id, task_id, ?, ?, dag_id, run_id, value, timestamp FROM xcom "
            "WHERE run_id = 'run' AND task_id = 'b' AND map_index = -1 AND key = 'k'",
            map_index, key,
        )  # fmt: skip
    found = list(read(database))
    assert [len(page) for page in found] == [3, 3, 3, 2]
    mapped = [(5, "b", index, key) for index in (-1, 0, 1) for key in ("k", "l")]
    later = [(9, task_id, -1, "k") for task_id in "abc"]
    assert [row.place for page in found for row in page] == [(5, "a", -1, "k"), *mapped, (5, "c", -1, "k"), *later]


def test_a_full_last_page_is_followed_by_no_empty_one(database):
    for task_id in "abc":
        push(database, task_id)
    assert names(database) == [["run a", "run b", "run c"]]
    database.add("DELETE FROM xcom")
    assert names(database) == []


def test_what_a_row_is_known_by(database):
    push(database, "a", 5)
    (((row,)),) = read(database)
    assert (row.place, row.dag_id, row.run_id, row.run_state) == ((5, "a", -1, "k"), "dag", "run", "success")
    assert row.text == f"{BASE}/dag/run/a/x" and row.timestamp.replace(tzinfo=UTC) == at(5)
    assert row.stored == (f'"{row.text}"'.encode() if database.tables.line is Line.AF2 else row.text)
    database.add("DELETE FROM dag_run")  # db clean has taken the run
    (((row,)),) = read(database)
    assert row.run_state is None


def test_of_a_dag_of_a_run_of_what_is_not_over_and_from_before_a_time(database):
    for number, task_id in enumerate("abcd"):
        push(database, task_id, number)
    push(database, "z", 9, "later")
    database.add("UPDATE xcom SET dag_id = 'other' WHERE task_id = 'd'")
    assert names(database, Which(dag_id="dag")) == [["run a", "run b", "run c"], ["later z"]]
    assert names(database, Which(dag_id="dag", run_id="later")) == [["later z"]]
    assert names(database, Which(unfinished_only=True)) == [["later z"]]
    assert names(database, Which(before=at(2))) == [["run a", "run b"]]
    assert names(database, Which("dag", "run", True, at(2))) == []


def test_only_strings_that_look_like_urls_are_given(database):
    for task_id, value in (("a", 1), ("b", {"url": f"{BASE}/x"}), ("c", "plain"), ("d", "http://x"), ("e", None)):
        database.pushed(task_id, value)
    assert names(database) == [["run d"]]


@pytest.mark.parametrize("database", [Line.AF2], indirect=True)
def test_bytes_that_are_no_json_make_a_page_shorter_and_end_nothing(database):
    for task_id in "abcd":
        push(database, task_id)
    database.add("UPDATE xcom SET value = ? WHERE task_id IN ('a', 'b', 'c')", b'"s3://\xff')
    assert names(database) == [[], ["run d"]]


def test_rows_that_change_between_two_pages_are_neither_missed_nor_given_twice(database):
    for task_id in "bcdefg":
        push(database, task_id)
    found = read(database)
    assert [row.task_id for row in next(found)] == ["b", "c", "d"]
    push(database, "a")  # behind us: the next call gives it
    push(database, "dd")
    database.add("DELETE FROM xcom WHERE task_id IN ('d', 'f')")  # the last that was given, and one that was not
    database.add("UPDATE xcom SET value = ? WHERE task_id = 'e'", b"1" if database.tables.line is Line.AF2 else "1")
    assert [row.task_id for page in found for row in page] == ["dd", "g"]


def test_no_connection_is_held_between_two_pages(database):
    opened = []

    class Opened:
        def __enter__(self):
            opened.append(self)
            self.connection = database.engine.connect()
            return self.connection

        def __exit__(self, *exc):
            self.connection.close()
            opened.remove(self)

    for task_id in "abcd":
        push(database, task_id)
    for page in pages(Opened, database.tables, ALL):
        assert page and not opened
