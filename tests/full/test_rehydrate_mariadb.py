"""A MariaDB for metadata: references in it are found and their objects read, and nothing is ever written into it.

Airflow does not support MariaDB and does not migrate on it, so its tables are made of the columns that we read. What is asked
is the agent's own request, in Airflow's own Python. Run with ``make test-full PART=rehydrate-mariadb``; it fails where the
server is missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from tests.support import mariadb
from tests.support.rehydrating import TASK, Rehydrating, rehydrating
from tests.support.resumable import ROOT
from xcomctl.metadata import paged, swap
from xcomctl.metadata.expressions import url_like
from xcomctl.metadata.paged import Which, page_select, pages
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.tables import Tables, xcom_table
from xcomctl.metadata.tables import tables as tables_of
from xcomctl.metadata.xcoms import count_pickled
from xcomctl.model.phases import Line, Phase
from xcomctl.model.settings import settings_for

BUDGET_S = 300
#: The driver's dialects: Airflow's URL for MySQL, which a MariaDB answers as well, and MariaDB's own.
DIALECTS = ("mysql", "mariadb")
LINES = {Line.AF3: "3.3", Line.AF2: "2.11"}
NOON = datetime(2026, 6, 6, 12, 0, 0, 123456, UTC)
#: What is found, and what is not.
URLS = {"reference": "s3://b/xcom/dag/run/task/x", "elsewhere": "https://there/é\\n", "quoted": 'file://"x"'}
OTHERS = {
    "text": "no URL", "number": 1e16, "inside": {"a": "s3://b/x"}, "list": ["s3://b/x"], "null": None, "long": "s3://" + "x" * 20_000,
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if mariadb.missing():
        pytest.fail(f"{', '.join(mariadb.missing())} is missing. Install it: {mariadb.INSTALL}", pytrace=False)
    with mariadb.running() as url:
        yield url


@pytest.fixture(params=list(Line), ids=lambda line: line.value)
def tables(request: pytest.FixtureRequest, server: str) -> Iterator[Tables]:
    """The tables of a line with one run, and nothing in ``xcom``."""
    found = tables_of(request.param)
    metadata = _as_created_on_mysql(found)
    engine = sa.create_engine(f"mysql+pymysql:{server}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        of_it: dict[str, Any] = {"dag_id": "dag", "run_id": "run", "state": "success"}
        connection.execute(found.dag_run.insert().values(id=1, **of_it))
        connection.execute(found.task_instance.insert().values(task_id=TASK, map_index=-1, **of_it))
    yield found
    metadata.drop_all(engine)
    engine.dispose()


def _as_created_on_mysql(found: Tables) -> sa.MetaData:
    """The same tables as MySQL wants them to be created: with lengths, and times with their microseconds."""
    metadata = sa.MetaData()
    for table in (xcom_table(found.line, sa.MetaData()), found.dag_run, found.task_instance, found.log):
        columns = []
        for column in table.columns:
            kind: Any = column.type
            if type(kind) is sa.String:
                kind = sa.String(250)
            elif isinstance(kind, sa.DateTime):
                kind = mysql.TIMESTAMP(fsp=6)
            columns.append(sa.Column(column.name, kind, primary_key=column.primary_key, autoincrement=False))
        sa.Table(table.name, metadata, *columns)
    return metadata


@pytest.fixture(params=DIALECTS)
def engine(request: pytest.FixtureRequest, server: str) -> Iterator[Any]:
    found = sa.create_engine(f"{request.param}+pymysql:{server}")
    yield found
    found.dispose()


def push(engine: Any, tables: Tables, key: str, value: Any, at: datetime = NOON) -> None:
    """As the line's column holds it."""
    stored = json.dumps(value).encode() if tables.line is Line.AF2 and not isinstance(value, bytes) else value
    row = {"dag_run_id": 1, "task_id": TASK, "map_index": -1, "key": key, "dag_id": "dag", "run_id": "run"}
    with engine.begin() as connection:
        connection.execute(tables.xcom.insert().values(**row, value=stored, timestamp=at))


def test_pages_have_the_strings_that_look_like_urls_and_nothing_else(tables, engine, monkeypatch):
    monkeypatch.setattr(paged, "PAGE", 2)
    for key, value in {**URLS, **OTHERS}.items():
        push(engine, tables, key, value)
    found = list(pages(lambda: read_only(engine), tables, Which()))
    assert [len(page) for page in found] == [2, 1]
    assert {row.key: row.text for page in found for row in page} == URLS
    assert all(row.run_state == "success" and row.timestamp.replace(tzinfo=UTC) == NOON for row in found[0])
    with read_only(engine) as connection:
        asked = sa.select(tables.xcom.c.key).where(url_like(tables, connection.dialect.name))
        assert {row.key for row in connection.execute(asked)} == set(URLS)
        before = page_select(tables, connection.dialect.name, Which("dag", "run", False, NOON), None)
        assert connection.execute(before).all() == []


def test_pickles_are_counted(tables, engine):
    push(engine, tables, "reference", URLS["reference"])
    if tables.line is Line.AF2:
        push(engine, tables, "pickled", b"\x80\x04\x8c\x01x\x94.")
    with read_only(engine) as connection:
        assert count_pickled(connection, tables) == (1 if tables.line is Line.AF2 else 0)


def test_it_cannot_be_written_to_while_it_is_read(tables, engine):
    push(engine, tables, "reference", URLS["reference"])
    with read_only(engine) as connection, pytest.raises(sa.exc.DBAPIError, match="READ ONLY"):
        connection.execute(tables.xcom.delete())


def test_writes_are_refused(engine):
    with engine.connect() as connection:
        refused = swap.refusal(connection)
    assert refused is not None and refused.startswith("MariaDB is not written to")


# --- the request, in Airflow's own Python


#: Airflow tells a driver of this name how its own times are written, whichever it uses.
CONVERTERS = "from pymysql.converters import conversions, escape_datetime as DateTime2literal\n"


@pytest.fixture(params=DIALECTS)
def there(request: pytest.FixtureRequest, tables: Tables, server: str, tmp_path: Path) -> Iterator[Rehydrating]:
    """A context that has the MariaDB for its metadata and a folder for its objects. The driver alone is ours."""
    drivers = tmp_path / "drivers"
    (drivers / "MySQLdb").mkdir(parents=True)
    (drivers / "MySQLdb" / "__init__.py").touch()
    (drivers / "MySQLdb" / "converters.py").write_text(CONVERTERS)
    (drivers / "pymysql").symlink_to(Path(pymysql.__file__).parent)
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"{request.param}+pymysql:{server}",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": "sqlite+aiosqlite://",
        **settings_for(Phase.DUAL_READ, path=f"file://{tmp_path}/xcom", threshold=20_000),
    }
    python = ROOT / ".venvs" / f"airflow-{LINES[tables.line]}" / "bin" / "python"
    with rehydrating(python, environment, tmp_path / "log", drivers) as found:
        yield found


def test_a_dry_run_reads_every_object_and_nothing_is_written(there):
    there.push("run", values={"small": {"a": [1, "é"]}, "large": "x" * 50_000, "gone": [1]})
    before = there.held("run")
    Path(json.loads(before["gone"].stored).removeprefix("file://")).unlink()
    before = there.held("run")
    came = there.run(write=False, max_value_bytes=10_000)
    assert came.error == "" and came.why() == {"too_large": ["large"], "dangling": ["gone"]}
    assert (came.answer["references"], came.answer["rows"]) == (3, 1)
    assert any("no schema revision" in warning for warning in came.answer["warnings"])
    refused = there.run()
    assert refused.error.startswith("MariaDB is not written to") and "--dry-run" in refused.error
    assert there.held("run") == before
