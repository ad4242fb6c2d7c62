"""Which task instances have, or may have, a process: what the barrier between two phases waits for (DESIGN §2).

``start_date`` survives deferral and reschedule (F40), so a start is the last row ``running`` that Airflow wrote into its
``log``. That a process ended is known where it said so itself: it writes a row with the state that it leaves behind. A
state that somebody else set (marked, cleared, given up for a lost heartbeat) says nothing of the process.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.tables import Tables

#: States of an instance that has a process.
ALIVE = ("running", "restarting")
#: What a process writes into ``log`` as it ends: the state that it leaves behind.
_ENDS = ("success", "failed", "skipped", "up_for_retry", "up_for_reschedule", "deferred", "removed")
#: What a scheduler writes when it gives an instance up, and the process may run on.
_GIVEN_UP = "heartbeat timeout"
#: States that an instance gets from its own process alone, which then ends.
_LEFT_BY_ITSELF = ("deferred", "up_for_reschedule")


@dataclass(frozen=True)
class InFlight:
    """An instance that has a process, waits for one, or may still have one.

    ``started`` is its last real start and ``queued`` when it was queued, ``None`` where that is not known. ``changed`` is
    when its row was last written. ``given_up``: a scheduler did, since that start, for want of a heartbeat. Times are in UTC.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: Optional[str]
    hostname: str
    operator: str
    started: Optional[datetime.datetime]
    queued: Optional[datetime.datetime]
    changed: Optional[datetime.datetime]
    given_up: bool


@dataclass(frozen=True)
class TaskHost:
    """A host that ran tasks: how many instances started there last, and when the latest of them did."""

    hostname: str
    instances: int
    latest: datetime.datetime


def alive(connection: Any, tables: Tables) -> Iterator[InFlight]:
    """The instances that have a process by their state."""
    return _rows(connection, alive_select(tables))


def queued(connection: Any, tables: Tables) -> Iterator[InFlight]:
    """The instances that are queued: an executor has them, and may start them any moment."""
    return _rows(connection, queued_select(tables))


def without_known_end(connection: Any, tables: Tables, since: datetime.datetime) -> Iterator[InFlight]:
    """The instances that left ``running`` or ``queued`` after ``since``, and whose process did not say that it ends.

    Some of them run again: then it is an earlier process of theirs that did not.
    """
    return _rows(connection, without_end_select(tables, since))


def suspended_on_pods(connection: Any, tables: Tables) -> Iterator[InFlight]:
    """The deferred instances of operators that keep a pod: it runs on, with the environment that it was created with."""
    return _rows(connection, suspended_select(tables))


def hosts(connection: Any, tables: Tables, since: datetime.datetime) -> list[TaskHost]:
    """The hosts on which instances started after ``since``, the busiest first."""
    found = connection.execute(hosts_select(tables, since))
    return [TaskHost(row.hostname, row.instances, _utc(row.latest)) for row in found if row.latest is not None]


def alive_select(tables: Tables) -> Any:
    """The rows behind :func:`alive`."""
    return _select(tables).where(tables.task_instance.c.state.in_(ALIVE))


def queued_select(tables: Tables) -> Any:
    """The rows behind :func:`queued`."""
    return _select(tables).where(tables.task_instance.c.state == "queued")


def without_end_select(tables: Tables, since: datetime.datetime) -> Any:
    """The rows behind :func:`without_known_end`."""
    import sqlalchemy as sa

    instance = tables.task_instance
    started, ended, given_up = _last(tables, ("running",)), _last(tables, _ENDS), _last(tables, (_GIVEN_UP,))
    nothing = instance.c.state.is_(None)
    nobody_said = sa.and_(
        started.is_not(None),
        sa.or_(ended.is_(None), ended < started),
        sa.or_(nothing, instance.c.state.not_in(_LEFT_BY_ITSELF)),
    )
    # An executor may have it all the same, and start it if it is queued again.
    cleared_in_queue = sa.and_(
        sa.or_(nothing, instance.c.state == "scheduled"),
        instance.c.queued_dttm.is_not(None),
        sa.or_(started.is_(None), started < instance.c.queued_dttm),
    )
    gone = sa.and_(
        instance.c.updated_at >= since,
        sa.or_(nothing, instance.c.state.not_in(ALIVE)),
        sa.or_(nobody_said, given_up >= started, cleared_in_queue),
    )
    earlier, ended = _earlier(tables), _last(tables, _ENDS, before=started)
    back = sa.and_(
        instance.c.state.in_(ALIVE),
        started >= since,
        earlier.is_not(None),
        sa.or_(ended.is_(None), ended < earlier, _last(tables, (_GIVEN_UP,), before=started) >= earlier),
    )
    return _select(tables).where(sa.or_(gone, back))


def suspended_select(tables: Tables) -> Any:
    """The rows behind :func:`suspended_on_pods`. The class is known by its name alone, as the row has it."""
    instance = tables.task_instance
    return _select(tables).where(instance.c.state == "deferred", instance.c.operator.like("%Pod%"))


def hosts_select(tables: Tables, since: datetime.datetime) -> Any:
    """The rows behind :func:`hosts`."""
    import sqlalchemy as sa

    instance = tables.task_instance
    count = sa.func.count().label("instances")
    return (
        sa.select(instance.c.hostname, count, sa.func.max(instance.c.start_date).label("latest"))
        .where(instance.c.start_date >= since, instance.c.hostname.is_not(None), instance.c.hostname != "")
        .group_by(instance.c.hostname)
        .order_by(count.desc(), instance.c.hostname)
    )


def _select(tables: Tables) -> Any:
    import sqlalchemy as sa

    instance = tables.task_instance
    names = ("dag_id", "run_id", "task_id", "map_index", "state", "hostname", "operator", "queued_dttm", "updated_at")
    return sa.select(
        *(instance.c[name] for name in names),
        _last(tables, ("running",)).label("started"),
        _last(tables, (_GIVEN_UP,)).label("given_up"),
    )


def _last(tables: Tables, events: tuple[str, ...], before: Any = None) -> Any:
    """When the last of these events of an instance was logged; the index over its four names makes that a look-up."""
    import sqlalchemy as sa

    log = tables.log.alias()
    names = ("dag_id", "run_id", "task_id", "map_index")
    conditions = [log.c[name] == tables.task_instance.c[name] for name in names]
    conditions += [] if before is None else [log.c.dttm < before]
    found = sa.select(sa.func.max(log.c.dttm)).where(*conditions, log.c.event.in_(events))
    return found.correlate(tables.task_instance).scalar_subquery()


def _earlier(tables: Tables) -> Any:
    """When an instance started before it last did."""
    return _last(tables, ("running",), before=_last(tables, ("running",)))


def _rows(connection: Any, statement: Any) -> Iterator[InFlight]:
    for row in connection.execute(statement):
        started, given_up = _utc(row.started), _utc(row.given_up)
        yield InFlight(
            row.dag_id,
            row.run_id,
            row.task_id,
            row.map_index,
            row.state,
            row.hostname or "",
            row.operator or "",
            started,
            _utc(row.queued_dttm),
            _utc(row.updated_at),
            started is not None and given_up is not None and given_up >= started,
        )


def _utc(moment: Optional[datetime.datetime]) -> Any:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=datetime.timezone.utc)
