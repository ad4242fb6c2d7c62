"""Which values of 3.x columns are fetched as text: on a real SQLite, and on a real PostgreSQL by either SQLAlchemy.

Whether those near a threshold are all that have to be fetched is for ``sizing/test_near.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.lines import output_on
from tests.support.run_database import BASE, Database, at
from xcomctl.metadata import texts
from xcomctl.metadata.sizes import Asked, Which
from xcomctl.metadata.texts import Text
from xcomctl.model.phases import Line

ALL = Asked(Which(), (at(0),))
TUPLE = '{"__classname__": "builtins.tuple", "__version__": 1, "__data__": [1]}'
FLOAT64 = '{"__classname__": "numpy.float64", "__version__": 1, "__data__": 0.5}'


@pytest.fixture
def database() -> Iterator[Database]:
    found = Database(Line.AF3)
    found.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (9, 'dag', 'later', 'running')")
    yield found
    found.engine.dispose()


def push(database: Database, *stored: str | None, minutes: float = 0) -> None:
    with database.engine.connect() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM xcom").scalar_one()
    for number, text in enumerate(stored, before):
        database.pushed(f"t{number}", 0, minutes)
        database.add("UPDATE xcom SET value = ? WHERE task_id = ?", text, f"t{number}")


def some(database: Database, most: int = 100, longest: int = 100, asked: Asked = ALL) -> list[Text]:
    with database.engine.connect() as connection:
        return sorted(texts.some(connection, database.tables, asked, most, longest), key=lambda each: each.size)


def near(database: Database, *thresholds: int, most: int = 100, asked: Asked = ALL) -> list[Text]:
    with database.engine.connect() as connection:
        return sorted(texts.near(connection, database.tables, asked, thresholds, most), key=lambda each: each.size)


def test_some_values_come_with_their_text_and_neither_nulls_nor_references(database):
    push(database, '"x"', None, f'"{BASE}/dag/run/a/x"', "null", '["é"]', '"' + "x" * 98 + '"', '"' + "x" * 99 + '"')
    told = Asked(Which(), (at(0),), base_path=BASE)
    expected = [(3, '"x"'), (4, "null"), (6, '["é"]'), (100, '"' + "x" * 98 + '"')]
    assert [(each.size, each.text) for each in some(database, asked=told)] == expected
    assert len(some(database)) == 5  # a base path tells what a reference is
    assert len(some(database, most=2)) == 2
    assert [each.size for each in some(database, longest=5, asked=told)] == [3, 4]
    large = Asked(Which(), (at(0),), place_from=4, base_path=BASE)
    assert [each.size for each in some(database, asked=large)] == [4, 6, 100]


def test_those_that_were_asked_for(database):
    push(database, '"a"')
    push(database, '"late"', TUPLE, minutes=10)
    recent = Asked(Which(since=at(5)), (at(0),))
    assert [each.size for each in some(database, asked=recent)] == [6, len(TUPLE)]
    assert [each.size for each in near(database, 5, asked=recent)] == [len(TUPLE)]
    assert near(database, 5, asked=Asked(Which(dag_id="other"), (at(0),))) == []
    assert len(near(database, 5, asked=Asked(Which(states=("success",)), (at(0),)))) == 1
    assert near(database, 5, asked=Asked(Which(states=("running",)), (at(0),))) == []


def test_on_sqlite_what_holds_a_wrapper_and_reaches_a_threshold_is_near_it(database):
    push(database, TUPLE, f"[{FLOAT64}]", '"' + "x" * 80 + '"', "1e+16", "[-0.0]", None)
    both = [Text(len(TUPLE), TUPLE), Text(len(FLOAT64) + 2, f"[{FLOAT64}]")]
    both.sort(key=lambda each: each.size)
    assert near(database, 10) == both
    assert near(database, 10, 1000) == both
    assert near(database, 10, most=1) in ([both[0], Text(both[1].size, None)], [Text(both[0].size, None), both[1]])
    assert near(database, 10, most=0) == [Text(each.size, None) for each in both]
    assert near(database, both[1].size) == both[1:]
    assert near(database, both[1].size + 1) == []


# --- a real PostgreSQL with the SQLAlchemy of each line


POSTGRES = """
import datetime, warnings
import sqlalchemy as sa
from xcomctl.metadata import texts
from xcomctl.metadata.reading import limit_statements, read_only
from xcomctl.metadata.sizes import Asked, Which
from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line

warnings.simplefilter("error")
BASE = "s3://store@bucket/xcom"
NOON = datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc)
WRAPPED = {"__classname__": "builtins.tuple", "__version__": 1, "__data__": []}
VALUES = {
    "ascii": "x" * 1000, "cyrillic": "я" * 200, "del": "\\x7f" * 200, "tuple": [WRAPPED, "x" * 1000],
    "huge": [1e300] * 10, "whole": [1e16] * 50, "zero": [-0.0] * 170, "small": [1e-5] * 60, "tiny": "я", "null": None,
    "reference": BASE + "/" + "я" * 1000, "other": BASE + "x/" + "я" * 1000,
}
engine = sa.create_engine(URL)
with engine.begin() as connection:
    connection.execute(sa.text("CREATE SCHEMA IF NOT EXISTS airflow"))
    version = tuple(connection.dialect.server_version_info)
for schema in (None, "airflow"):
    ours = tables(Line.AF3, schema)
    ours.xcom.metadata.drop_all(engine)
    ours.xcom.metadata.create_all(engine)
    with engine.begin() as connection:
        for number, (name, value) in enumerate(VALUES.items()):
            connection.execute(ours.xcom.insert(), [dict(
                dag_run_id=1, task_id=name, map_index=-1, key="k", dag_id=name, run_id="r", value=value, timestamp=NOON,
            )])
        stored = dict(connection.execute(sa.select(ours.xcom.c.task_id, sa.cast(ours.xcom.c.value, sa.Text))).fetchall())
    def near(*thresholds, most=100, **which):
        found = set()
        for name in VALUES:
            asked = Asked(Which(dag_id=name, **which), (NOON,), base_path=BASE, version=version)
            with read_only(engine, snapshot=True) as connection:
                limit_statements(connection, 60)
                rows = list(texts.near(connection, ours, asked, thresholds, most))
            for row in rows:
                assert row.text is None if not most else len(row.text.encode()) == row.size, row
                assert not most or row.text == stored[name]
                found.add(name)
        return found
    assert near(1000) == {"cyrillic", "del", "tuple", "huge", "whole", "zero"}, near(1000)
    assert near(1000, most=0) == near(1000)
    assert near(500) == {"cyrillic", "del", "tuple", "huge", "whole", "small"}, near(500)
    assert near(5000) == {"other"}, near(5000)
    assert near(1000, 5000) == near(1000) | near(5000)
    assert near(10_000_000) == set()
    assert near(1000, since=NOON + datetime.timedelta(seconds=1)) == set()
    print("ok")
"""


@pytest.mark.parametrize("line", ["2.11", "3.3"])
def test_a_real_postgresql_with_either_sqlalchemy(line, postgres_url):
    """Airflow 3.0 has the older one too."""
    assert output_on(line, f"URL = {postgres_url!r}\n{POSTGRES}").split() == ["ok", "ok"]
