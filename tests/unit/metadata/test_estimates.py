"""How many values a threshold would send to the store: on a real SQLite, and compiled for every database."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.metadata.test_in_flight import database
from xcomctl.metadata.estimates import above
from xcomctl.model.phases import Line
from xcomctl.model.plan import Above

__all__ = ["database"]
ROOT = Path(__file__).parents[3]
COMPILE = """
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata.estimates import above_select
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
for dialect in (postgresql.dialect(), mysql.dialect(), sqlite.dialect()):
    for line in Line:
        text = str(above_select(tables(line), dialect.name, 1600000).compile(dialect=dialect))
        assert text.count("FROM xcom") == 1, text
        print("ok")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_the_statement_compiles_for_every_database_on_the_sqlalchemy_of_each_line(line):
    python = ROOT / ".venvs" / f"airflow-{line}" / "bin" / "python"
    done = subprocess.run([str(python), "-c", COMPILE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ok"] * 6


def test_values_from_the_threshold_up_are_counted_with_their_bytes(database):
    for number, length in enumerate((8, 18, 20, 98)):  # two quotes more as JSON
        database.pushed(f"task{number}", "x" * length)
    exact = database.tables.line is Line.AF2
    with database.engine.connect() as connection:
        assert above(connection, database.tables, 20) == Above(20, 3, 20 + 22 + 100, 4, exact)
        assert above(connection, database.tables, 101) == Above(101, 0, 0, 4, exact)


def test_an_empty_table(database):
    with database.engine.connect() as connection:
        assert above(connection, database.tables, 1).rows_in_all == 0
