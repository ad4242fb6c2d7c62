"""Runs that are not over, and what they hold: found through their few rows, never by a scan of all XComs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata import expressions
from xcomctl.metadata.reading import stream
from xcomctl.metadata.runs import instance_states
from xcomctl.metadata.tables import Tables, number_of_run
from xcomctl.metadata.xcoms import FINISHED_RUN_STATES, SMALL_ROWS, string_in

RUNS_AT_ONCE = 200
#: Task instances in these states read nothing any more, unless somebody clears them.
FINISHED_TASK_STATES = ("success", "failed", "skipped", "upstream_failed", "removed")


@dataclass(frozen=True)
class Run:
    """A run by its number and its name."""

    id: int
    dag_id: str
    run_id: str
    state: Optional[str]
    started: Optional[datetime.datetime]


@dataclass(frozen=True)
class Url:
    """A string that looks like a URL, whose it is, and when it was pushed."""

    dag_run_id: int
    dag_id: str
    run_id: str
    task_id: str
    text: str
    map_index: int = -1
    key: str = ""
    timestamp: Optional[datetime.datetime] = None


def unfinished_runs(connection: Any, tables: Tables, dag_id: Optional[str] = None) -> list[Run]:
    """The runs that are not over, the oldest first. As many as the deployment has going on."""
    import sqlalchemy as sa

    run = tables.dag_run
    statement = (
        sa.select(run.c.id, run.c.dag_id, run.c.run_id, run.c.state, run.c.start_date)
        .where(sa.or_(run.c.state.is_(None), run.c.state.not_in(FINISHED_RUN_STATES)))
        .order_by(run.c.start_date, run.c.id)
    )
    if dag_id is not None:
        statement = statement.where(run.c.dag_id == dag_id)
    return [Run(row.id, row.dag_id, row.run_id, row.state, row.start_date) for row in connection.execute(statement)]


def urls_of_runs(connection: Any, tables: Tables, ids: Sequence[int]) -> Iterator[Url]:
    """The URL-like strings that these runs hold. The primary key of ``xcom`` begins with the run's number."""
    import sqlalchemy as sa

    xcom = tables.xcom
    names = ("dag_run_id", "dag_id", "run_id", "task_id", "map_index", "key", "timestamp", "value")
    statement = sa.select(*(xcom.c[name] for name in names)).where(
        xcom.c.dag_run_id.in_(list(ids)), expressions.may_hold_url(tables, connection.dialect.name)
    )
    for row in connection.execute(statement):
        text = string_in(row.value, tables.line)
        if text is not None:
            yield Url(
                row.dag_run_id, row.dag_id, row.run_id, row.task_id, text, row.map_index, row.key, _utc(row.timestamp)
            )


def first_reference(
    connection: Any, tables: Tables, dag_id: str, run_id: str, base_path: str
) -> Optional[datetime.datetime]:
    """When the first URL under the base path that a run holds was pushed, ``None`` when it holds none."""
    import sqlalchemy as sa

    xcom = tables.xcom
    statement = sa.select(xcom.c.value, xcom.c.timestamp).where(
        xcom.c.dag_run_id == number_of_run(tables, dag_id, run_id),
        expressions.may_hold_url(tables, connection.dialect.name),
    )
    prefix = f"{base_path.rstrip('/')}/"
    moments = []
    for row in connection.execute(statement):
        text = string_in(row.value, tables.line)
        if text is not None and text.startswith(prefix) and row.timestamp is not None:
            moments.append(row.timestamp)
    return _utc(min(moments, default=None))


def others_hold_references(connection: Any, tables: Tables, dag_id: str, run_id: str, base_path: str) -> bool:
    """Whether any other run holds a URL under the base path."""
    import sqlalchemy as sa

    xcom = tables.xcom
    prefix = f"{base_path.rstrip('/')}/"
    statement = (
        sa.select(xcom.c.value)
        .where(sa.or_(xcom.c.dag_id != dag_id, xcom.c.run_id != run_id))
        .where(expressions.may_hold_url(tables, connection.dialect.name))
    )
    for row in stream(connection, statement, SMALL_ROWS):
        text = string_in(row.value, tables.line)
        if text is not None and text.startswith(prefix):
            return True
    return False


def waiting_instances(connection: Any, tables: Tables, dag_id: str, run_id: str) -> dict[str, int]:
    """How many task instances of a run may still read, by state."""
    found = instance_states(connection, tables, dag_id, run_id)
    return {state: count for state, count in sorted(found.items()) if state not in FINISHED_TASK_STATES}


def _utc(moment: Optional[datetime.datetime]) -> Optional[datetime.datetime]:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=datetime.timezone.utc)
