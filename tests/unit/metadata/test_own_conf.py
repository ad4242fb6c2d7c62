"""The conf of the run that is looked at: on a real SQLite, and for every database."""

from __future__ import annotations

import json
import pickle

import pytest

from tests.support.lines import output_on
from tests.support.run_database import BASE, Database
from xcomctl.metadata import traces
from xcomctl.model.phases import Line

PATH = f"{BASE}/dag/run/task/01234567-89ab-cdef-0123-456789abcdef"

COMPILE = """
from sqlalchemy.dialects import mysql, postgresql, sqlite
from xcomctl.metadata import traces
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
for dialect in (postgresql.dialect(), mysql.dialect(), sqlite.dialect()):
    for found in (tables(Line.AF2), tables(Line.AF3, "airflow")):
        text = str(traces.conf_select(found, "d", "r").compile(dialect=dialect))
        assert ("airflow.dag_run" in text, "CAST(" in text) == (found.line is Line.AF3,) * 2, text
        print("compiled")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_it_is_asked_for_in_every_database_on_the_sqlalchemy_of_each_line(line):
    assert output_on(line, COMPILE).splitlines() == ["compiled"] * 6


@pytest.fixture(params=list(Line))
def database(request):
    database = Database(request.param)
    yield database
    database.engine.dispose()


@pytest.mark.parametrize(
    ("conf", "holds"),
    [
        (None, False),
        ({}, False),
        ({"file": PATH}, True),
        ({"files": [{"é": PATH.replace("/dag/run/", "/dag/zurück/")}]}, True),
        ({"folder": f"{BASE}/dag/run/"}, False),  # a conf may well name the base path
        ({"file": PATH.replace(BASE, "s3://else/x")}, False),
    ],
)
def test_whether_a_runs_own_conf_holds_a_path(database, conf, holds):
    stored: object = json.dumps(conf)
    if database.tables.line is Line.AF2:
        stored = pickle.dumps(conf)
    database.add("UPDATE dag_run SET conf = ? WHERE run_id = 'run'", None if conf is None else stored)
    with database.engine.connect() as connection:
        assert traces.own_conf(connection, database.tables, "dag", "run", BASE) is holds
