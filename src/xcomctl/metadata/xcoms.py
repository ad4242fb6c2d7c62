"""Streams XCom rows: the URL-like ones of the whole table, or all of one run."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata import expressions
from xcomctl.metadata.pickles import text_in
from xcomctl.metadata.reading import stream
from xcomctl.metadata.tables import Tables, number_of_run
from xcomctl.model.phases import Line

#: States of a run that is over, on both lines.
FINISHED_RUN_STATES = ("success", "failed")
#: How many small rows, and how many rows of any size, are in memory at a time.
SMALL_ROWS = 500
LARGE_ROWS = 4


@dataclass(frozen=True)
class StringRow:
    """A stored string that looks like a URL, with the state of its run and task instance."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    text: str
    timestamp: Optional[datetime.datetime]
    run_state: Optional[str]
    run_start: Optional[datetime.datetime]
    run_end: Optional[datetime.datetime]
    ti_state: Optional[str]


@dataclass(frozen=True)
class ValueRow:
    """One XCom of a run. ``value`` is the decoded JSON; rows that are ``pickled`` or not ``decodable`` have none."""

    task_id: str
    map_index: int
    key: str
    stored_bytes: int
    value: Any
    timestamp: Optional[datetime.datetime]
    pickled: bool = False
    #: What the column holds, as a reader gets it: bytes on 2.x, the JSON value on 3.x.
    column: Any = None
    #: Whether the column holds JSON that is not nested too deeply for Python.
    decodable: bool = True


def url_like_rows(
    connection: Any,
    tables: Tables,
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
    unfinished_only: bool = False,
) -> Iterator[StringRow]:
    """Every stored string that looks like a URL. Filtered in the database; memory is constant."""
    for row in stream(
        connection, url_like_select(tables, connection.dialect.name, dag_id, run_id, unfinished_only), SMALL_ROWS
    ):
        text = decoded(row.value, tables.line)
        if isinstance(text, str):
            yield StringRow(
                dag_id=row.dag_id,
                run_id=row.run_id,
                task_id=row.task_id,
                map_index=row.map_index,
                key=row.key,
                text=text,
                timestamp=row.timestamp,
                run_state=row.run_state,
                run_start=row.run_start,
                run_end=row.run_end,
                ti_state=row.ti_state,
            )


def url_like_select(
    tables: Tables, dialect: str, dag_id: Optional[str], run_id: Optional[str], unfinished_only: bool
) -> Any:
    """The statement behind :func:`url_like_rows`."""
    xcom = tables.xcom
    statement = with_states(tables, xcom.c.value).where(expressions.url_like(tables, dialect))
    statement = statement.order_by(xcom.c.dag_run_id, xcom.c.task_id, xcom.c.map_index, xcom.c.key)
    return narrowed(statement, tables, dag_id, run_id, unfinished_only)


def with_states(tables: Tables, *columns: Any) -> Any:
    """Where each XCom is stored, when it was pushed, the states of its run and task instance, and these columns."""
    import sqlalchemy as sa

    xcom, run, instance = tables.xcom, tables.dag_run, tables.task_instance
    joined = xcom.outerjoin(run, run.c.id == xcom.c.dag_run_id).outerjoin(
        instance,
        sa.and_(
            instance.c.dag_id == xcom.c.dag_id,
            instance.c.run_id == xcom.c.run_id,
            instance.c.task_id == xcom.c.task_id,
            instance.c.map_index == xcom.c.map_index,
        ),
    )
    return sa.select(
        xcom.c.dag_run_id,
        xcom.c.dag_id,
        xcom.c.run_id,
        xcom.c.task_id,
        xcom.c.map_index,
        xcom.c.key,
        xcom.c.timestamp,
        run.c.state.label("run_state"),
        run.c.start_date.label("run_start"),
        run.c.end_date.label("run_end"),
        instance.c.state.label("ti_state"),
        *columns,
    ).select_from(joined)


def count_pickled(
    connection: Any,
    tables: Tables,
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
    unfinished_only: bool = False,
) -> int:
    """How many rows are pickles, which we do not open. Always 0 on 3.x, whose column is JSON."""
    import sqlalchemy as sa

    if tables.line is Line.AF3:
        return 0
    joined = tables.xcom.outerjoin(tables.dag_run, tables.dag_run.c.id == tables.xcom.c.dag_run_id)
    statement = sa.select(sa.func.count()).select_from(joined).where(expressions.pickled(tables))
    return int(connection.execute(narrowed(statement, tables, dag_id, run_id, unfinished_only)).scalar() or 0)


def about_how_many(connection: Any, tables: Tables) -> Optional[int]:
    """The rows of ``xcom`` as the database's planner takes them to be, ``None`` when it does not know. Reads none."""
    statement = about_how_many_select(tables, connection.dialect.name)
    rows = None if statement is None else connection.execute(statement).scalar()
    return None if rows is None or rows < 0 else int(rows)  # PostgreSQL: -1 until the table was analysed once


def about_how_many_select(tables: Tables, dialect: str) -> Optional[Any]:
    """The statement behind :func:`about_how_many`; SQLite has none."""
    import sqlalchemy as sa

    xcom = tables.xcom
    if dialect == "postgresql":
        known = sa.table("pg_class", sa.column("oid"), sa.column("reltuples"), schema="pg_catalog")
        named = ".".join(f'"{part}"' for part in (xcom.schema, xcom.name) if part)
        return sa.select(known.c.reltuples).where(known.c.oid == sa.func.to_regclass(named))
    if dialect == "mysql":
        names = [sa.column(name, sa.String) for name in ("table_schema", "table_name")]
        known = sa.table("tables", *names, sa.column("table_rows"), schema="information_schema")
        return sa.select(known.c.table_rows).where(
            known.c.table_schema == (xcom.schema or sa.func.database()), known.c.table_name == xcom.name
        )
    return None


def run_exists(connection: Any, tables: Tables, dag_id: str, run_id: str) -> bool:
    """Whether there is such a run."""
    import sqlalchemy as sa

    run = tables.dag_run
    statement = sa.select(run.c.id).where(run.c.dag_id == dag_id, run.c.run_id == run_id)
    return connection.execute(statement).first() is not None


@dataclass(frozen=True)
class Narrow:
    """Which XComs of a run: all of them, or those of tasks, of a key, of a map index."""

    task_ids: tuple[str, ...] = ()
    key: Optional[str] = None
    map_index: Optional[int] = None


def rows_of_run(
    connection: Any,
    tables: Tables,
    dag_id: str,
    run_id: str,
    narrow: Narrow = Narrow(),
    *,
    in_order: bool = False,
    limit: Optional[int] = None,
) -> Iterator[ValueRow]:
    """XComs of a run, by task or, ``in_order``, as they were pushed; the first ``limit``, or all of them.

    A handful of values is in memory at a time.

    ``stored_bytes``: on 2.x the bytes in the column. On 3.x the length of the value's JSON as ``json.dumps`` writes it,
    which is what 2.x would store and what the backend compares with its threshold; the database's own text differs from
    that both ways (F: "Sizes"), and tuples count with their wrapper.
    """
    for row in stream(connection, _of_run(tables, dag_id, run_id, narrow, in_order).limit(limit), LARGE_ROWS):
        stored = bytes(row.value) if isinstance(row.value, memoryview) else row.value
        is_pickle = isinstance(stored, bytes) and stored[:1] == b"\x80"
        value, decodable = (None, False) if is_pickle else _parsed(stored)
        size = len(stored or b"") if tables.line is Line.AF2 or not decodable else _json_length(value, stored)
        yield ValueRow(
            task_id=row.task_id,
            map_index=row.map_index,
            key=row.key,
            stored_bytes=size,
            value=value,
            timestamp=row.timestamp,
            pickled=is_pickle,
            column=stored if tables.line is Line.AF2 else value,
            decodable=decodable,
        )


def count_of_run(connection: Any, tables: Tables, dag_id: str, run_id: str, narrow: Narrow = Narrow()) -> int:
    """How many XComs those are."""
    import sqlalchemy as sa

    of_run = _narrow(sa.select(sa.func.count()).select_from(tables.xcom), tables, dag_id, run_id, narrow)
    return int(connection.execute(of_run).scalar() or 0)


def _of_run(tables: Tables, dag_id: str, run_id: str, narrow: Narrow, in_order: bool) -> Any:
    import sqlalchemy as sa

    xcom = tables.xcom
    # As text on 3.x: what is nested too deeply for Python would end the whole result.
    value = xcom.c.value if tables.line is Line.AF2 else expressions.json_text(tables)
    statement = sa.select(xcom.c.task_id, xcom.c.map_index, xcom.c.key, value.label("value"), xcom.c.timestamp)
    order = (xcom.c.task_id, xcom.c.map_index, xcom.c.key)
    return _narrow(statement, tables, dag_id, run_id, narrow).order_by(
        *((xcom.c.timestamp,) if in_order else ()), *order
    )


def _narrow(statement: Any, tables: Tables, dag_id: str, run_id: str, narrow: Narrow) -> Any:
    xcom = tables.xcom
    statement = statement.where(xcom.c.dag_run_id == number_of_run(tables, dag_id, run_id))
    if narrow.task_ids:
        statement = statement.where(xcom.c.task_id.in_(narrow.task_ids))
    if narrow.key is not None:
        statement = statement.where(xcom.c.key == narrow.key)
    if narrow.map_index is not None:
        statement = statement.where(xcom.c.map_index == narrow.map_index)
    return statement


def _parsed(stored: Any) -> tuple[Any, bool]:
    """The JSON in a column, and whether it could be read: as Airflow reads it, which takes bytes for UTF-8."""
    if stored is None:
        return None, True
    try:
        return json.loads(stored.decode() if isinstance(stored, bytes) else stored), True
    except (ValueError, RecursionError):
        return None, False


def _json_length(value: Any, stored: Any) -> int:
    try:
        return len(json.dumps(value))
    except (ValueError, RecursionError):  # as deep as can be read, and a call more than can be written
        return len(stored)


def latest_run_ids(connection: Any, tables: Tables, dag_id: str, limit: int = 200) -> list[str]:
    """The latest runs of a DAG, the newest first."""
    import sqlalchemy as sa

    run = tables.dag_run
    statement = sa.select(run.c.run_id).where(run.c.dag_id == dag_id).order_by(run.c.id.desc()).limit(limit)
    return [row.run_id for row in connection.execute(statement)]


def iso(moment: Optional[datetime.datetime]) -> Optional[str]:
    """ISO 8601 in UTC; SQLite gives times without their zone, which is UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.astimezone(datetime.timezone.utc).isoformat()


def narrowed(
    statement: Any, tables: Tables, dag_id: Optional[str], run_id: Optional[str], unfinished_only: bool
) -> Any:
    """A statement over ``xcom`` and ``dag_run`` for a DAG, a run, or the runs that are not over."""
    import sqlalchemy as sa

    if dag_id is not None:
        statement = statement.where(tables.xcom.c.dag_id == dag_id)
    if run_id is not None:
        statement = statement.where(tables.xcom.c.run_id == run_id)
    if unfinished_only:
        state = tables.dag_run.c.state
        statement = statement.where(sa.or_(state.is_(None), state.not_in(FINISHED_RUN_STATES)))
    return statement


def decoded(value: Any, line: Line) -> Any:
    """The JSON in the column. Bytes that hold none, a pickle among them, give ``None``."""
    if line is Line.AF3 or value is None:
        return value
    try:
        return json.loads(bytes(value).decode())
    except (ValueError, RecursionError):
        return None


def string_in(value: Any, line: Line) -> Optional[str]:
    """The string in the column, pickled or not; ``None`` for any other value."""
    if line is Line.AF2 and value is not None and bytes(value[:1]) == b"\x80":
        return text_in(bytes(value))
    found = decoded(value, line)
    return found if isinstance(found, str) else None
