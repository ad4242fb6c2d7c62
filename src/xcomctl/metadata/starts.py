"""When task instances really started, and how long the schedulers that started them lived.

``start_date`` survives deferral and, on 2.x, a reschedule (F40); Airflow writes a row ``running`` into its ``log`` at each
real start. ``airflow db clean`` removes those rows: then a start is not known.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.tables import Tables

#: Jobs whose processes hand their settings on to tasks, or run tasks' code themselves.
_JOBS = ("SchedulerJob", "TriggererJob", "BackfillJob")
_MOST_JOBS = 200


@dataclass(frozen=True)
class Start:
    """The last real start of an instance; ``None`` where the log does not tell."""

    task_id: str
    map_index: int
    state: Optional[str]
    started: Optional[datetime.datetime]


@dataclass(frozen=True)
class Lifetime:
    """From when to when a process of Airflow lived; ``end`` is ``None`` while it does."""

    job_type: str
    hostname: str
    start: datetime.datetime
    end: Optional[datetime.datetime]


def starts_of(connection: Any, tables: Tables, dag_id: str, run_id: str) -> list[Start]:
    """The instances of a run that ran or run, each with its last real start."""
    import sqlalchemy as sa

    instance = tables.task_instance
    log = sa.table(
        "log",
        *(sa.column(name) for name in ("dag_id", "run_id", "task_id", "map_index", "event")),
        sa.column("dttm", sa.DateTime(timezone=True)),
        schema=tables.xcom.schema,
    )
    statement = (
        sa.select(log.c.task_id, log.c.map_index, sa.func.max(log.c.dttm).label("started"))
        .where(log.c.dag_id == dag_id, log.c.run_id == run_id, log.c.event == "running")
        .group_by(log.c.task_id, log.c.map_index)
    )
    started = {(row.task_id, row.map_index): _utc(row.started) for row in connection.execute(statement)}
    instances = sa.select(instance.c.task_id, instance.c.map_index, instance.c.state).where(
        instance.c.dag_id == dag_id, instance.c.run_id == run_id, instance.c.start_date.is_not(None)
    )
    # Upstream-failed and skipped instances have dates, and no process.
    return [
        Start(row.task_id, row.map_index, row.state, started.get((row.task_id, row.map_index)))
        for row in connection.execute(instances)
        if row.state not in ("skipped", "upstream_failed", "removed") or (row.task_id, row.map_index) in started
    ]


def lifetimes(connection: Any, tables: Tables) -> list[Lifetime]:
    """The latest processes that start or host tasks, the newest first."""
    import sqlalchemy as sa

    time = sa.DateTime(timezone=True)
    job = sa.table(
        "job",
        *(sa.column(name) for name in ("job_type", "state", "hostname")),
        *(sa.column(name, time) for name in ("start_date", "end_date", "latest_heartbeat")),
        schema=tables.xcom.schema,
    )
    statement = sa.select(job).where(job.c.job_type.in_(_JOBS)).order_by(job.c.start_date.desc()).limit(_MOST_JOBS)
    found = []
    for row in connection.execute(statement):
        start = _utc(row.start_date)
        if start is None:
            continue
        # One that was killed stays "running": its last heartbeat is what is known of it.
        alive = row.state == "running" and row.end_date is None
        end = None if alive else _utc(row.end_date) or _utc(row.latest_heartbeat)
        found.append(Lifetime(row.job_type, row.hostname or "", start, end))
    return found


def _utc(moment: Optional[datetime.datetime]) -> Optional[datetime.datetime]:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=datetime.timezone.utc)
