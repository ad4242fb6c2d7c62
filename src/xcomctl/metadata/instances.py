"""Task instances that failed although something upstream of them pushed an XCom: the first thing that a bad flip shows."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.risk import RUNS_AT_ONCE
from xcomctl.metadata.structure import upstream_of
from xcomctl.metadata.tables import Tables
from xcomctl.model.upstream import Upstream

#: Failed instances that are looked at, the latest first: more say nothing more.
MOST = 500
#: The states of one that failed for good, and of one whose last try failed.
FAILED, RETRYING = "failed", "up_for_retry"


@dataclass(frozen=True)
class FailedInstance:
    """A task instance that failed, or is to try again; ``pushed`` are tasks upstream of it that pushed, by name."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    try_number: int
    pushed: tuple[str, ...]


@dataclass(frozen=True)
class FailedInstances:
    """``with_push`` failed after a push. ``others`` counts those with none upstream, ``unknown`` those whose DAG is not
    serialised, or has no such task any more. ``more``: there are more than were looked at."""

    with_push: tuple[FailedInstance, ...]
    others: int
    unknown: int
    more: bool


def failed_after_push(
    connection: Any,
    tables: Tables,
    since: Optional[datetime.datetime] = None,
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
) -> FailedInstances:
    """The failed instances since a moment, or of a run. What a callable pulls is not in the database; upstream is.

    Bounded: at most :data:`MOST` instances are looked at, found through the index on their state; and what their runs
    pushed through the numbers of these runs, however much the DAGs hold.
    """
    rows = connection.execute(failed_select(tables, since, dag_id, run_id)).all()
    structures: dict[str, Optional[Upstream]] = {}
    pushers = pushed_in(connection, tables, [(row.dag_id, row.run_id) for row in rows[:MOST]])
    found, others, unknown = [], 0, 0
    for row in rows[:MOST]:
        if row.dag_id not in structures:
            structures[row.dag_id] = upstream_of(connection, tables, row.dag_id)
        upstream = structures[row.dag_id]
        if upstream is None or row.task_id not in upstream:  # gone from the DAG since
            unknown += 1
            continue
        pushed = sorted(upstream[row.task_id] & pushers.get((row.dag_id, row.run_id), frozenset()))
        if pushed:
            found.append(
                FailedInstance(
                    row.dag_id, row.run_id, row.task_id, row.map_index, row.state, row.try_number or 0, tuple(pushed)
                )
            )
        else:
            others += 1
    return FailedInstances(tuple(found), others, unknown, len(rows) > MOST)


@dataclass(frozen=True)
class Tried:
    """A task instance that was tried at least once: it ran on a host, or failed before."""

    task_id: str
    map_index: int
    try_number: int


def tried(connection: Any, tables: Tables, dag_id: str, run_id: str, most: int) -> tuple[list[Tried], int]:
    """The instances of a run that were tried, those that failed first, at most so many; and how many there are."""
    import sqlalchemy as sa

    instance = tables.task_instance
    # An EmptyOperator is counted as tried, and runs nowhere.
    somewhere = sa.or_(instance.c.hostname != "", instance.c.state.in_((FAILED, RETRYING)))
    of_run = sa.and_(instance.c.dag_id == dag_id, instance.c.run_id == run_id)
    ran = sa.and_(of_run, instance.c.try_number > 0, somewhere)
    count = int(connection.execute(sa.select(sa.func.count()).select_from(instance).where(ran)).scalar() or 0)
    rows = connection.execute(tried_select(tables, ran, most))
    return [Tried(row.task_id, row.map_index, row.try_number) for row in rows], count


def tried_select(tables: Tables, ran: Any, most: int) -> Any:
    """The rows behind :func:`tried`."""
    import sqlalchemy as sa

    instance = tables.task_instance
    failed_first = sa.case((instance.c.state.in_((FAILED, RETRYING)), 0), else_=1)
    return (
        sa.select(instance.c.task_id, instance.c.map_index, instance.c.try_number)
        .where(ran)
        .order_by(failed_first, instance.c.task_id, instance.c.map_index)
        .limit(most)
    )


def failed_select(
    tables: Tables, since: Optional[datetime.datetime], dag_id: Optional[str], run_id: Optional[str]
) -> Any:
    """The failed instances that are looked at, and one more."""
    import sqlalchemy as sa

    instance = tables.task_instance
    names = ("dag_id", "run_id", "task_id", "map_index", "state", "try_number")
    statement = sa.select(*(instance.c[name] for name in names)).where(instance.c.state.in_((FAILED, RETRYING)))
    if since is not None:
        statement = statement.where(instance.c.end_date >= since)
    if dag_id is not None:
        statement = statement.where(instance.c.dag_id == dag_id, instance.c.run_id == run_id)
    return statement.order_by(instance.c.end_date.desc()).limit(MOST + 1)


def pushed_in(
    connection: Any, tables: Tables, runs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], frozenset[str]]:
    """The tasks that have an XCom, by run: its DAG and its id. A run without any is left out."""
    found: dict[tuple[str, str], set[str]] = {}
    wanted = list(dict.fromkeys(runs))
    for start in range(0, len(wanted), RUNS_AT_ONCE):
        rows = connection.execute(numbers_select(tables, wanted[start : start + RUNS_AT_ONCE]))
        names = {row.id: (row.dag_id, row.run_id) for row in rows}
        for row in connection.execute(pushed_select(tables, list(names))):
            found.setdefault(names[row.dag_run_id], set()).add(row.task_id)
    return {name: frozenset(tasks) for name, tasks in found.items()}


def numbers_select(tables: Tables, runs: Sequence[tuple[str, str]]) -> Any:
    """The numbers of these runs."""
    import sqlalchemy as sa

    run = tables.dag_run
    return sa.select(run.c.id, run.c.dag_id, run.c.run_id).where(sa.tuple_(run.c.dag_id, run.c.run_id).in_(runs))


def pushed_select(tables: Tables, numbers: Sequence[int]) -> Any:
    """The rows behind :func:`pushed_in`, by the numbers of the runs, with which the primary key of ``xcom`` begins."""
    import sqlalchemy as sa

    xcom = tables.xcom
    return sa.select(xcom.c.dag_run_id, xcom.c.task_id).distinct().where(xcom.c.dag_run_id.in_(numbers))
