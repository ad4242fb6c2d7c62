"""Runs in which something started in given windows, and what there is about one such run."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.reading import stream
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import SMALL_ROWS

#: From when to when, ``None`` for until now.
Span = tuple[datetime.datetime, Optional[datetime.datetime]]


@dataclass(frozen=True)
class RunRow:
    """A run: its number, its state, and whether its DAG is paused."""

    id: int
    dag_id: str
    run_id: str
    state: Optional[str]
    paused: bool


def runs_started_in(
    connection: Any,
    tables: Tables,
    spans: Sequence[Span],
    after: datetime.datetime,
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
) -> Iterator[tuple[str, str]]:
    """DAG and run id of the runs with an instance that started in a span, and was not over before ``after``."""
    for row in stream(connection, started_select(tables, spans, after, dag_id, run_id), SMALL_ROWS):
        yield row.dag_id, row.run_id


def started_select(
    tables: Tables,
    spans: Sequence[Span],
    after: datetime.datetime,
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
) -> Any:
    """The rows behind :func:`runs_started_in`. A real start is a row of the log (F40); ``start_date`` is the first one of a
    try, and all that there is where ``airflow db clean`` removed the log."""
    import sqlalchemy as sa

    instance, log = tables.task_instance, tables.log
    same = [log.c[name] == instance.c[name] for name in ("dag_id", "run_id", "task_id", "map_index")]
    really = sa.exists().where(*same, log.c.event == "running", _within(log.c.dttm, spans))
    statement = (
        sa.select(instance.c.dag_id, instance.c.run_id)
        .distinct()
        .where(instance.c.start_date.is_not(None))
        .where(sa.or_(instance.c.end_date.is_(None), instance.c.end_date > after))
        .where(sa.or_(_within(instance.c.start_date, spans), really))
        .order_by(instance.c.dag_id, instance.c.run_id)
    )
    for column, wanted in ((instance.c.dag_id, dag_id), (instance.c.run_id, run_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    return statement


def _within(column: Any, spans: Sequence[Span]) -> Any:
    import sqlalchemy as sa

    return sa.or_(
        *(column >= start if end is None else sa.and_(column >= start, column <= end) for start, end in spans)
    )


def run_of(connection: Any, tables: Tables, dag_id: str, run_id: str) -> Optional[RunRow]:
    """A run by its name, ``None`` for none."""
    row = connection.execute(run_select(tables, dag_id, run_id)).first()
    return None if row is None else RunRow(row.id, row.dag_id, row.run_id, row.state, bool(row.is_paused))


def run_select(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The row behind :func:`run_of`."""
    import sqlalchemy as sa

    run = tables.dag_run
    dag = sa.table("dag", sa.column("dag_id"), sa.column("is_paused"), schema=tables.xcom.schema)
    return (
        sa.select(run.c.id, run.c.dag_id, run.c.run_id, run.c.state, dag.c.is_paused)
        .select_from(run.outerjoin(dag, dag.c.dag_id == run.c.dag_id))
        .where(run.c.dag_id == dag_id, run.c.run_id == run_id)
    )


def states_of(connection: Any, tables: Tables, dag_id: str, run_id: str) -> dict[tuple[str, int], Optional[str]]:
    """The state of every instance of a run, by task and map index."""
    import sqlalchemy as sa

    instance = tables.task_instance
    statement = (
        sa.select(instance.c.task_id, instance.c.map_index, instance.c.state)
        .where(instance.c.dag_id == dag_id, instance.c.run_id == run_id)
        .order_by(instance.c.task_id, instance.c.map_index)
    )
    return {(row.task_id, row.map_index): row.state for row in connection.execute(statement)}
