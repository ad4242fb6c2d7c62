"""Compare-and-swap of a value: on a real SQLite in both forms of the column, and on a real PostgreSQL by either SQLAlchemy."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql, sqlite

from tests.support.lines import output_on
from tests.support.run_database import BASE, text
from xcomctl.metadata import revisions, swap
from xcomctl.metadata.paged import StoredUrl, Which, pages
from xcomctl.metadata.swap import CHANGED, GONE, LOCKED, SWAPPED, ColumnRefuses, Writer
from xcomctl.metadata.tables import Tables, tables
from xcomctl.model.phases import Line

OWN = f"{BASE}/dag/run/task/x"


class Database:
    """A SQLite in a file, whose locks are waited for a moment only, with two rows that hold a reference."""

    def __init__(self, line: Line, path: Path) -> None:
        self.path = path
        self.engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 5})
        self.tables: Tables = tables(line)
        self.tables.xcom.metadata.create_all(self.engine)
        for task_id in ("task", "other"):
            self.execute(
                "INSERT INTO xcom VALUES (1, ?, -1, 'return_value', 'dag', 'run', ?, ?)",
                task_id, self.stored(OWN), text(0),
            )  # fmt: skip

    def stored(self, value: object) -> Any:
        found = json.dumps(value)
        return found.encode() if self.tables.line is Line.AF2 else found

    def execute(self, statement: str, *values: object) -> None:
        """One statement of somebody else's."""
        with sqlite3.connect(self.path, timeout=0.02) as connection:
            connection.execute(statement, values)
        connection.close()

    def row(self, task_id: str = "task") -> StoredUrl:
        (page,) = pages(self.engine.connect, self.tables, Which())
        return next(row for row in page if row.task_id == task_id)

    def rows(self) -> dict[str, tuple[Any, str, str]]:
        """What is stored, and of what type, and when it was pushed: as SQLite has it."""
        with sqlite3.connect(self.path) as connection:
            found = connection.execute("SELECT task_id, value, typeof(value), timestamp FROM xcom").fetchall()
        connection.close()
        return {task_id: (value, kind, pushed) for task_id, value, kind, pushed in found}


@pytest.fixture(params=list(Line))
def database(request, tmp_path, monkeypatch) -> Iterator[Database]:
    monkeypatch.setattr(swap, "_PAUSE_S", 0.0)
    monkeypatch.setattr(swap, "LOCK_TIMEOUT_S", 0.02)
    found = Database(request.param, tmp_path / "airflow.db")
    yield found
    found.engine.dispose()


@pytest.fixture
def writer(database) -> Iterator[Writer]:
    found = Writer(database.engine, database.tables, threading.Lock())
    yield found
    found.close()


def new(database: Database, value: object) -> Any:
    return database.stored(value) if database.tables.line is Line.AF2 else value


def accept(held: Any) -> None:
    """Whatever it is."""


def refuse(held: Any) -> None:
    raise AssertionError("there is nothing to accept")


VALUES = [
    {"a": [1, 2.5, None]}, [], [0, -0.0, 1e300, 10**30, float("nan")], "text", "ü\x00\ud800", "0", True, None, "s3://b/x",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_swap_changes_the_value_and_nothing_else(database, writer, value):
    before = database.rows()
    held: list[Any] = []
    assert writer.swap(database.row(), new(database, value), held.append) == SWAPPED
    after = database.rows()
    assert after["task"] == (database.stored(value), before["task"][1], before["task"][2])
    assert after["other"] == before["other"]
    # What it read back is what any other reader gets: bytes, or the decoded value.
    assert ascii(held) == ascii([new(database, value)])


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
@pytest.mark.parametrize(("value", "given"), [(10**30, 1e30), (5.0, 5), (-0.0, 0), (1e300, 1e300), (7, 7)])
def test_a_bare_number_is_accepted_as_what_the_column_makes_of_it(database, writer, value, given):
    """SQLite takes a column of the type JSON for one of numbers, wherever it can."""
    held: list[Any] = []
    assert writer.swap(database.row(), value, held.append) == SWAPPED
    assert repr(held) == repr([given])


def test_a_row_that_was_pushed_again_is_left_as_it_is(database, writer):
    row = database.row()
    database.execute("UPDATE xcom SET value = ? WHERE task_id = 'task'", database.stored("newer"))
    assert writer.swap(row, new(database, 1), refuse) == CHANGED
    assert database.rows()["task"][0] == database.stored("newer")


def test_the_same_reference_of_a_later_push_is_another_one(database, writer):
    """In Airflow 3.4's layout a re-push overwrites the object: its content is newer than what we have read."""
    row = database.row()
    database.execute("UPDATE xcom SET timestamp = ? WHERE task_id = 'task'", text(1))
    assert writer.swap(row, new(database, 1), refuse) == CHANGED
    assert writer.unchanged(row) == CHANGED
    assert (
        writer.swap(replace(row, timestamp=row.timestamp + timedelta(minutes=1)), new(database, 1), accept) == SWAPPED
    )


def test_a_row_that_was_deleted_is_gone_and_is_not_put_back(database, writer):
    row = database.row()
    database.execute("DELETE FROM xcom WHERE task_id = 'task'")
    assert writer.swap(row, new(database, 1), refuse) == GONE
    assert writer.unchanged(row) == GONE
    assert list(database.rows()) == ["other"]


def test_what_is_not_accepted_is_put_back_and_the_next_row_is_written(database, writer):
    before = database.rows()

    class NotAsItWas(Exception):
        pass

    def reject(held: Any) -> None:
        raise NotAsItWas

    with pytest.raises(NotAsItWas):
        writer.swap(database.row(), new(database, 1), reject)
    assert database.rows() == before
    assert writer.swap(database.row("other"), new(database, 1), accept) == SWAPPED


def test_nobody_sees_a_value_that_was_not_accepted_yet(database, writer):
    def look(held: Any) -> None:
        assert database.rows()["task"][0] == database.stored(OWN)

    assert writer.swap(database.row(), new(database, 1), look) == SWAPPED


def test_a_row_is_looked_at_without_being_written(database, writer):
    before = database.rows()
    assert writer.unchanged(database.row()) == SWAPPED
    assert database.rows() == before


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
@pytest.mark.parametrize("value", [object(), {1, 2}, {"a": b""}])
def test_what_is_no_json_is_refused_and_the_next_row_is_written(database, writer, value):
    with pytest.raises(ColumnRefuses, match="not JSON serializable"):
        writer.swap(database.row(), value, refuse)
    assert database.rows()["task"][0] == database.stored(OWN)
    assert writer.swap(database.row("other"), 1, accept) == SWAPPED


@pytest.mark.parametrize("database", [Line.AF3], indirect=True)
def test_what_is_nested_too_deeply_to_be_written_is_refused(database, writer):
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ColumnRefuses, match="recursion"):
        writer.swap(database.row(), deep, refuse)


def test_what_is_larger_than_the_database_takes_is_refused(database, writer):
    writer._connection.connection.dbapi_connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    with pytest.raises(ColumnRefuses, match="too big"):
        writer.swap(database.row(), new(database, "x" * 20_000), refuse)
    assert writer.swap(database.row(), new(database, 1), accept) == SWAPPED


def test_a_database_that_somebody_writes_to_all_the_time_is_locked_and_no_longer_than_that(database, writer):
    row = database.row()
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert writer.swap(row, new(database, 1), refuse) == LOCKED
    # It is ours to say how long a lock is waited for, whatever Airflow's connections do.
    assert writer._connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 20
    writer._connection.rollback()
    other.execute("ROLLBACK")
    other.close()
    assert database.rows()["task"][0] == database.stored(OWN)
    assert writer.swap(row, new(database, 1), accept) == SWAPPED


def test_a_lock_that_comes_between_the_update_and_the_commit_leaves_no_lock_of_ours(database, writer):
    """A reader keeps a SQLite from being committed to. Our own transaction must not go on then: it locks everybody out."""
    row = database.row()
    other = sqlite3.connect(database.path)
    reading = other.execute("SELECT * FROM xcom")
    reading.fetchone()
    assert writer.swap(row, new(database, 1), accept) == LOCKED
    reading.close()
    database.execute("UPDATE xcom SET key = key")
    assert database.rows()["task"][0] == database.stored(OWN)
    assert writer.swap(row, new(database, 1), accept) == SWAPPED
    other.close()


def test_a_database_that_fails_is_no_lock_and_no_refusal(database, writer):
    row = database.row()
    database.execute("DROP TABLE xcom")
    with pytest.raises(sa.exc.OperationalError, match="no such table"):
        writer.swap(row, new(database, 1), refuse)


# --- into what is written


def connection(dialect: Any, *version: int) -> Any:
    dialect.server_version_info = version or None
    return SimpleNamespace(dialect=dialect)


@pytest.mark.parametrize(
    ("dialect", "version", "said"),
    [
        (mysql.dialect(is_mariadb=True), (10, 11), "MariaDB is not written to"),  # type: ignore[no-untyped-call]
        (mysql.dialect(), (5, 7, 44), "MySQL before 8"),  # type: ignore[no-untyped-call]
        (mysql.dialect(), (), "MySQL before 8"),  # type: ignore[no-untyped-call]
        (mssql.dialect(), (), "mssql is not written to"),  # type: ignore[no-untyped-call]
        (mysql.dialect(), (8, 0, 35), None),  # type: ignore[no-untyped-call]
        (mysql.dialect(), (9, 1), None),  # type: ignore[no-untyped-call]
        (postgresql.dialect(), (13,), None),  # type: ignore[no-untyped-call]
        (sqlite.dialect(), (3, 40), None),  # type: ignore[no-untyped-call]
    ],
)
def test_nothing_is_written_into_a_database_that_was_not_tried(dialect, version, said):
    found = swap.refusal(connection(dialect, *version))
    assert found is None if said is None else said in found


def test_nothing_is_written_into_a_schema_that_was_not_tried():
    for revision, version in revisions.KNOWN.items():
        assert revisions.refusal(revision) is None and revisions.warning(revision) is None
        assert version in str(revisions.refusal("0123456789ab"))
    assert "schema revision 0123456789ab" in str(revisions.refusal("0123456789ab"))
    assert "of no Airflow" in str(revisions.refusal(None))
    assert "a,b" in str(revisions.refusal("a,b"))


# --- the statement


COMPILE = """
import datetime
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata.paged import StoredUrl
from xcomctl.metadata.swap import swap_update
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
noon = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
for line, stored, new in ((Line.AF2, b'"s3://b/x"', b"{}"), (Line.AF3, "s3://b/x", {})):
    row = StoredUrl(1, "t", -1, "k", "d", "r", stored, "s3://b/x", noon, None)
    for dialect in (postgresql.dialect(), mysql.dialect(), sqlite.dialect()):
        print(" ".join(str(swap_update(tables(line), dialect.name, row, new).compile(dialect=dialect)).split()))
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_the_old_value_is_compared_as_json_with_either_sqlalchemy(line):
    """As a VARCHAR: PostgreSQL has no such comparison with JSONB, and on MySQL it is never true."""
    found = [each.replace("`", "").replace('"', "") for each in output_on(line, COMPILE).splitlines()]
    assert all(each.startswith("UPDATE xcom SET value=") and each.count(" AND ") == 5 for each in found)
    assert all(" AND xcom.key = " in each and " AND xcom.timestamp = " in each for each in found)
    new, old = zip(
        *(re.fullmatch(r"UPDATE xcom SET value=(\S+) WHERE .* AND xcom.value = (.*)", each).groups() for each in found),
        strict=True,
    )
    if line == "2.11":  # SQLAlchemy 1.4 says no types; PostgreSQL takes an untyped literal for what stands opposite
        assert new == ("%(value)s", "%s", "?", "%(value)s", "%s", "?")
        assert old == ("%(value_1)s", "%s", "?", "%(param_1)s", "CAST(%s AS JSON)", "?")
    else:
        assert new == ("%(value)s", "%s", "?", "%(value)s::JSONB", "%s", "?")
        assert old == ("%(value_1)s", "%s", "?", "%(param_1)s::JSONB", "CAST(%s AS JSON)", "?")


# --- a real PostgreSQL, and SQLite's locks, with the SQLAlchemy of each line


ON_EACH = """
import datetime, json, random, sys, tempfile, threading, warnings
import sqlalchemy as sa
from xcomctl.metadata import swap
from xcomctl.metadata.paged import Which, pages
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
from xcomctl.rehydrate.column_changes import changes

warnings.simplefilter("error")
swap.LOCK_TIMEOUT_S, swap.ATTEMPTS, swap._PAUSE_S = 0.1, 2, 0.0
NOON = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)


class Place:
    def __init__(self, engine, line):
        self.engine, self.tables, self.line = engine, tables(line), line
        self.tables.xcom.drop(engine, checkfirst=True)
        self.tables.xcom.metadata.create_all(engine)
        self.writer = swap.Writer(engine, self.tables, threading.Lock())

    def row(self):
        stored = b'"s3://b/x"' if self.line is Line.AF2 else "s3://b/x"
        key = {"dag_run_id": 1, "task_id": "t", "map_index": -1, "key": "k"}
        with self.engine.begin() as connection:
            connection.execute(self.tables.xcom.delete())
            named = {**key, "dag_id": "d", "run_id": "r", "value": stored, "timestamp": NOON}
            connection.execute(self.tables.xcom.insert(), [named])
        ((found,),) = pages(self.engine.connect, self.tables, Which(before=NOON + datetime.timedelta(hours=1)))
        return found

    def swap(self, value, row=None):
        held = []
        new = json.dumps(value).encode() if self.line is Line.AF2 else value
        try:
            outcome = self.writer.swap(row or self.row(), new, held.append)
        except swap.ColumnRefuses as error:
            return "refused", str(error)
        return outcome, held[0] if held else None

    def stored(self):
        with self.engine.connect() as connection:
            return connection.execute(sa.select(self.tables.xcom.c.value)).scalar()


def deep(levels):
    found = []
    for _ in range(levels):
        found = [found]
    return found
"""

POSTGRES = """
engine = sa.create_engine(URL)
for line in Line:
    place = Place(engine, line)
    for value in ({"a": [1]}, "text", None, 0, True, [], "s3://b/y"):
        outcome, held = place.swap(value)
        held = json.loads(bytes(held)) if line is Line.AF2 else held
        assert (outcome, held, type(held)) == (swap.SWAPPED, value, type(value)), (outcome, held)
    row = place.row()
    with engine.connect() as connection:
        jsonb = connection.execute(sa.text("SELECT pg_typeof(value)::text FROM xcom")).scalar()
    print(line.value, jsonb)
    # Somebody holds the row: in a transaction that does not end while we wait.
    with engine.connect() as other:
        transaction = other.begin()
        other.execute(sa.text("UPDATE xcom SET key = key"))
        assert place.swap(1, row)[0] == swap.LOCKED
        transaction.rollback()
    assert place.swap(1, row)[0] == swap.SWAPPED
    assert place.swap(2, row)[0] == swap.CHANGED
    # The time-out is that of the transaction alone: behind a pooler the connection is somebody else's then.
    assert place.writer._connection.execute(sa.text("SHOW lock_timeout")).scalar() == "0"
    place.writer._connection.connection.rollback()
    place.writer.close()

place = Place(engine, Line.AF3)
for value, said in (("a\\0b", "Unicode"), (["\\ud800"], "json"), (deep(50000), ""), (float("nan"), "json")):
    outcome, why = place.swap(value)
    assert outcome == "refused" and said in why, (outcome, why)
    assert place.stored() == "s3://b/x"
    print("refused:", why)
assert place.swap(1)[0] == swap.SWAPPED

# What JSONB makes of JSON, of whatever JSON: named, and nothing else.
draw = random.Random(5)
def number():
    return draw.choice((0, -0.0, 1e16, 1e15, -1.5e300, 5e-324, 10**40, -7, 0.1, 1.0, draw.uniform(-1e20, 1e20), draw.random()))
def value(depth=3):
    kind = draw.randrange(6 if depth else 3)
    if kind < 3:
        return draw.choice((None, True, "", "\\u00e9", number(), number(), number()))
    names = draw.sample(["", "b", "a", "aa", "\\u00e9", "c c"], draw.randrange(4))
    return [value(depth - 1) for _ in names] if kind == 3 else {name: value(depth - 1) for name in names}
seen = set()
for _ in range(150):
    given = value()
    outcome, held = place.swap(given)
    found = changes(given, held)
    assert outcome == swap.SWAPPED and found is not None, (given, held)
    assert found or json.dumps(given) == json.dumps(held), (given, held)
    seen |= found
print(*sorted(seen))
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_a_real_postgresql_with_either_sqlalchemy(line, postgres_url):
    found = output_on(line, f"{ON_EACH}URL = {postgres_url!r}\n{POSTGRES}").splitlines()
    assert found[:2] == ["2 bytea", "3 jsonb"]
    assert [each.partition(":")[0] for each in found[2:-1]] == ["refused"] * 4
    assert found[-1] == "key_order large_float negative_zero"


SQLITE = """
with tempfile.TemporaryDirectory() as folder:
    engine = sa.create_engine(f"sqlite:///{folder}/airflow.db", connect_args={"timeout": 0.02})
    for line in Line:
        place = Place(engine, line)
        row = place.row()
        with engine.connect() as other:
            cursor = other.connection.cursor()
            cursor.execute("SELECT 1 FROM xcom")  # a reader that is not done: nobody can commit
            assert place.swap(1, row)[0] == swap.LOCKED
            cursor.close()
        assert place.row().text == "s3://b/x"  # another connection can write
        assert place.swap(10**30, row) == (swap.SWAPPED, 1e30 if line is Line.AF3 else b"1" + b"0" * 30)
        place.writer.close()
        print("ok")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_a_sqlite_that_cannot_be_committed_to_with_either_sqlalchemy(line):
    assert output_on(line, ON_EACH + SQLITE).split() == ["ok", "ok"]
