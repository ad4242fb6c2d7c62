"""When task instances really started, and how long the schedulers that started them lived.

``start_date`` survives deferral and, on 2.x, a reschedule (F40); Airflow writes a row ``running`` into its ``log`` at each
real start. ``airflow db clean`` removes those rows: then a start is not known. That ``start_date`` survives a deferral has
one use: the first row since then is where the same try began, before it was deferred.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.tables import Tables
from xcomctl.model.phases import Line

#: Jobs whose processes hand their settings on to tasks, or run tasks' code themselves.
_JOBS = ("SchedulerJob", "TriggererJob", "BackfillJob")
_MOST_JOBS = 200
#: A process that did not write a heartbeat for so long is gone, whatever its row says: one that was killed stays "running"
#: until a scheduler looks after it. Airflow itself takes 30 s, unless configured otherwise.
GONE_AFTER = datetime.timedelta(minutes=2)
#: What a process may have lived on after the last heartbeat that it wrote.
_AFTER_HEARTBEAT = datetime.timedelta(seconds=30)


@dataclass(frozen=True)
class Start:
    """The last real start of an instance; ``None`` where the log does not tell.

    ``began`` is the first start of the same try: an earlier one than ``started`` where it was deferred and resumed, else
    ``None``. ``ended`` is ``None`` while it runs. ``start_date`` is Airflow's own, which survives a deferral.
    """

    task_id: str
    map_index: int
    state: Optional[str]
    started: Optional[datetime.datetime]
    began: Optional[datetime.datetime] = None
    ended: Optional[datetime.datetime] = None
    start_date: Optional[datetime.datetime] = None


@dataclass(frozen=True)
class Lifetime:
    """From when to when a process of Airflow lived; ``end`` is ``None`` while it does, ``beat`` its last heartbeat."""

    job_type: str
    hostname: str
    start: datetime.datetime
    end: Optional[datetime.datetime]
    beat: Optional[datetime.datetime] = None


def starts_of(connection: Any, tables: Tables, dag_id: str, run_id: str) -> list[Start]:
    """The instances of a run that ran or run, each with its last real start."""
    found = {(row.task_id, row.map_index): row for row in connection.execute(starts_select(tables, dag_id, run_id))}
    # A sensor that is rescheduled asks again from the beginning each time: what it read before is of no use to it.
    again = (
        {(row.task_id, row.map_index) for row in connection.execute(rescheduled_select(tables, dag_id, run_id))}
        if tables.line is Line.AF2
        else set()
    )
    starts = []
    for row in connection.execute(instances_select(tables, dag_id, run_id)):
        place = (row.task_id, row.map_index)
        logged = found.get(place)
        # Upstream-failed and skipped instances have dates, and no process.
        if logged is None and row.state in ("skipped", "upstream_failed", "removed"):
            continue
        started = _utc(logged.started) if logged is not None else None
        began = _utc(logged.began) if logged is not None and place not in again else None
        first = None if began == started else began
        starts.append(Start(*place, row.state, started, first, _utc(row.end_date), _utc(row.start_date)))
    return starts


def starts_select(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The last start of each instance of a run, and the first one of its current try."""
    import sqlalchemy as sa

    instance, log = tables.task_instance, tables.log
    same = sa.and_(*(log.c[name] == instance.c[name] for name in ("dag_id", "run_id", "task_id", "map_index")))
    of_this_try = sa.case((log.c.dttm >= instance.c.start_date, log.c.dttm), else_=sa.null())
    return (
        sa.select(
            log.c.task_id,
            log.c.map_index,
            sa.func.max(log.c.dttm).label("started"),
            sa.func.min(of_this_try).label("began"),
        )
        .select_from(log.join(instance, same))
        .where(log.c.dag_id == dag_id, log.c.run_id == run_id, log.c.event == "running")
        .group_by(log.c.task_id, log.c.map_index)
    )


def rescheduled_select(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The instances of a run of 2.x that were rescheduled (3.x gives those a new ``start_date``)."""
    import sqlalchemy as sa

    names = ("dag_id", "run_id", "task_id", "map_index")
    table = sa.table("task_reschedule", *(sa.column(name) for name in names), schema=tables.xcom.schema)
    of_run = sa.and_(table.c.dag_id == dag_id, table.c.run_id == run_id)
    return sa.select(table.c.task_id, table.c.map_index).distinct().where(of_run)


def instances_select(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The instances of a run that have a start."""
    import sqlalchemy as sa

    instance = tables.task_instance
    names = ("task_id", "map_index", "state", "start_date", "end_date")
    return sa.select(*(instance.c[name] for name in names)).where(
        instance.c.dag_id == dag_id, instance.c.run_id == run_id, instance.c.start_date.is_not(None)
    )


def lifetimes(
    connection: Any, tables: Tables, now: Optional[datetime.datetime] = None, job_types: Sequence[str] = _JOBS
) -> list[Lifetime]:
    """The latest processes that start or host tasks, or of other types of job, the newest first."""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    found = []
    for row in connection.execute(jobs_select(tables, job_types)):
        start, beat = _utc(row.start_date), _utc(row.latest_heartbeat)
        if start is None:
            continue
        end = _utc(row.end_date)
        if end is None and (row.state != "running" or beat is None or beat < now - GONE_AFTER):
            end = start if beat is None else beat + _AFTER_HEARTBEAT
        found.append(Lifetime(row.job_type, row.hostname or "", start, end, beat))
    return found


def jobs_select(tables: Tables, job_types: Sequence[str] = _JOBS) -> Any:
    """The rows behind :func:`lifetimes`."""
    import sqlalchemy as sa

    time = sa.DateTime(timezone=True)
    job = sa.table(
        "job",
        *(sa.column(name) for name in ("job_type", "state", "hostname")),
        *(sa.column(name, time) for name in ("start_date", "end_date", "latest_heartbeat")),
        schema=tables.xcom.schema,
    )
    return sa.select(job).where(job.c.job_type.in_(list(job_types))).order_by(job.c.start_date.desc()).limit(_MOST_JOBS)


def _utc(moment: Optional[datetime.datetime]) -> Optional[datetime.datetime]:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=datetime.timezone.utc)
