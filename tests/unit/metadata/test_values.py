"""The scans on a real SQLite, and their statements for every database and SQLAlchemy."""

from __future__ import annotations

import json
import sys

import pytest
import sqlalchemy as sa

from tests.support.lines import output_on
from xcomctl.metadata import values
from xcomctl.metadata.expressions import HEAD, SCHEME_WITHIN, SMALL_VALUE
from xcomctl.metadata.tables import Tables, tables
from xcomctl.metadata.xcoms import count_pickled, url_like_rows
from xcomctl.model.phases import Line

#: Every statement, for every line that has it.
COMPILE = """
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata import values, xcoms
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
af2, af3 = tables(Line.AF2), tables(Line.AF3, "airflow")
for name, dialect in (("postgresql", postgresql.dialect()), ("mysql", mysql.dialect()), ("sqlite", sqlite.dialect())):
    for number, statement in enumerate((
        values.json_like_select(af2, name, True), values.json_like_select(af2, name, False),
        values.string_heads_select(af3, name), values.telling_keys_select(af3, name), values.pickled_select(af2),
        values.largest_skipmixin_select(af2, name), values.largest_skipmixin_select(af3, name),
        xcoms.url_like_select(af2, name, None, None, False), xcoms.url_like_select(af3, name, "d", "r", True),
    )):
        text = str(statement.compile(dialect=dialect))
        assert "FROM xcom" in text or "FROM airflow.xcom" in text, text
        print(name, number, sa.__version__)
    for found in (af2, af3):
        statement = xcoms.about_how_many_select(found, name)
        assert (statement is None) == (name == "sqlite"), name
        if statement is not None:
            text = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
            assert "xcom" in text and ("airflow" in text) == (found is af3), text
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_statements_compile_for_every_database_on_the_sqlalchemy_of_each_line(line):
    printed = output_on(line, COMPILE)
    assert len(printed.splitlines()) == 3 * 9
    assert printed.split()[2].startswith({"2.11": "1.4.", "3.3": "2."}[line])


@pytest.fixture
def engine():
    engine = sa.create_engine("sqlite://")
    yield engine
    engine.dispose()


def filled(connection, line: Line, stored: dict, state: str = "running") -> Tables:
    """The line's tables, with one run and these values under their keys."""
    found = tables(line)
    found.xcom.metadata.create_all(connection)
    connection.execute(found.dag_run.insert().values(id=1, dag_id="dag", run_id="run", state=state))
    for key, value in stored.items():
        connection.execute(
            found.xcom.insert().values(
                dag_run_id=1, task_id="task", map_index=-1, key=key, dag_id="dag", run_id="run", value=value
            )
        )
    return found


def as_json(stored: dict) -> dict[str, bytes]:
    return {key: json.dumps(value).encode() for key, value in stored.items()}


def test_strings_that_begin_like_json_are_found_whatever_their_size(engine):
    large = "[" + "1, " * SMALL_VALUE + "1]"
    like = {"a": "1", "b": "-x", "c": "{", "d": "[", "e": ' "', "f": '"', "g": "true", "h": "false?", "i": "null", "j": "NaN",
            "k": "Infinity", "l": "\n", "m": large, "n": "é"}  # fmt: skip
    other = {"o": "text", "p": "tru", "q": "Nano", "r": "x1", "s": 1, "t": {"a": "1"}, "u": ["1"], "v": None, "w": ""}
    with engine.connect() as connection:
        pickle = {"x": b"\x80\x02.", "y": b'"\xff"', "z": None}
        found = filled(connection, Line.AF2, {**as_json({**like, **other}), **pickle})
        rows = list(values.json_like_strings(connection, found))
        assert {row.key: row.value for row in rows} == like
        assert {(row.dag_id, row.run_id, row.task_id, row.map_index, row.run_state) for row in rows} == {
            ("dag", "run", "task", -1, "running")
        }
        assert values.pickled_counts(connection, found) == (1, 1)
        assert count_pickled(connection, found) == 1


def test_pickles_of_finished_runs_are_in_no_unfinished_one(engine):
    with engine.connect() as connection:
        found = filled(connection, Line.AF2, {"a": b"\x80\x04.", "b": b"\x80\x04.", "c": b"1"}, state="failed")
        assert values.pickled_counts(connection, found) == (2, 0)


def test_heads_of_strings_with_a_colon_near_the_beginning(engine):
    far = "x" * SCHEME_WITHIN + ": y"
    stored = {"a": "git: fix", "b": "git:" + "x" * 1_000_000, "c": '\n"é":', "d": far, "e": "no colon", "f": {"a:": 1},
              "g": ["a:"], "h": 1, "i": float("nan"), "j": None, "k": ""}  # fmt: skip
    with engine.connect() as connection:
        found = filled(connection, Line.AF3, stored)
        rows = {row.key: row.value for row in values.string_heads(connection, found)}
    assert rows == {"a": "git: fix", "b": stored["b"][:HEAD], "c": '\n"é":'}


def test_values_with_keys_that_look_like_tuples_or_dates(engine):
    telling = {"a": {"(1, 2)": 1}, "b": [{"x": {"2026-01-01": 1}}], "c": {"2026-01-01 00:00:00+01:00": 1}, "d": {"()": 1},
               "e": {"('a', \"b\")": 1}, "f": {"('é', '\n')": [1]}}  # fmt: skip
    other = {"g": {"a": "(1, 2)"}, "h": ["2026-01-01"], "i": "(1, 2)", "j": {"2026-01": 1}, "k": None, "l": float("nan"),
             "m": '{"(1, 2)": 1}', "n": {"a": '"(1, 2)":'}}  # fmt: skip
    with engine.connect() as connection:
        found = filled(connection, Line.AF3, {**telling, **other})
        rows = {row.key: row.value for row in values.values_with_telling_keys(connection, found)}
    assert rows == telling


@pytest.mark.parametrize("line", list(Line))
def test_the_largest_skipmixin_key(engine, line):
    with engine.connect() as connection:
        found = filled(connection, line, {"other": b"x" * 999 if line is Line.AF2 else "x" * 999})
        assert values.largest_skipmixin(connection, found) is None
        value = {"skipped": ["task", "höhe"]}
        for map_index, each in enumerate(({"skipped": []}, value, None)):
            stored = each if line is Line.AF3 else json.dumps(each).encode()
            connection.execute(
                found.xcom.insert().values(
                    dag_run_id=1, task_id="task", map_index=map_index, key="skipmixin_key", dag_id="dag", run_id="run",
                    value=stored,
                )
            )  # fmt: skip
        row = values.largest_skipmixin(connection, found)
    assert row is not None
    assert (row.map_index, row.value) == (1, len(json.dumps(value)))


def test_urls_are_still_found(engine):
    with engine.connect() as connection:
        found = filled(connection, Line.AF2, as_json({"a": "s3://b/k", "b": "s3:b", "c": ["s3://b/k"]}))
        assert [row.text for row in url_like_rows(connection, found)] == ["s3://b/k"]


def test_this_process_has_the_sqlalchemy_of_the_newer_line():
    assert sa.__version__.startswith("2."), sys.executable
