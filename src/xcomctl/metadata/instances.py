"""Task instances that failed although something upstream of them pushed an XCom: the first thing that a bad flip shows."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.structure import upstream_of
from xcomctl.metadata.tables import Tables
from xcomctl.model.upstream import Upstream

#: Failed instances that are looked at, the latest first: more say nothing more.
MOST = 500


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
    serialised. ``more``: there are more than were looked at."""

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

    Bounded: at most :data:`MOST` instances are looked at, found through the index on their state.
    """
    import sqlalchemy as sa

    instance = tables.task_instance
    statement = sa.select(
        instance.c.dag_id, instance.c.run_id, instance.c.task_id, instance.c.map_index, instance.c.state,
        instance.c.try_number,
    ).where(instance.c.state.in_(("failed", "up_for_retry")))  # fmt: skip
    if since is not None:
        statement = statement.where(instance.c.end_date >= since)
    if dag_id is not None:
        statement = statement.where(instance.c.dag_id == dag_id, instance.c.run_id == run_id)
    rows = connection.execute(statement.order_by(instance.c.end_date.desc()).limit(MOST + 1)).all()
    structures: dict[str, Optional[Upstream]] = {}
    pushers: dict[tuple[str, str], set[str]] = {}
    found, others, unknown = [], 0, 0
    for row in rows[:MOST]:
        if row.dag_id not in structures:
            structures[row.dag_id] = upstream_of(connection, tables, row.dag_id)
        upstream = structures[row.dag_id]
        if upstream is None:
            unknown += 1
            continue
        key = (row.dag_id, row.run_id)
        if key not in pushers:
            pushers[key] = pushed_in(connection, tables, *key)
        pushed = sorted(upstream.get(row.task_id, frozenset()) & pushers[key])
        if pushed:
            found.append(
                FailedInstance(
                    row.dag_id, row.run_id, row.task_id, row.map_index, row.state, row.try_number or 0, tuple(pushed)
                )
            )
        else:
            others += 1
    return FailedInstances(tuple(found), others, unknown, len(rows) > MOST)


def pushed_in(connection: Any, tables: Tables, dag_id: str, run_id: str) -> set[str]:
    """The tasks of a run that have an XCom."""
    import sqlalchemy as sa

    xcom = tables.xcom
    statement = sa.select(xcom.c.task_id).distinct().where(xcom.c.dag_id == dag_id, xcom.c.run_id == run_id)
    return {row.task_id for row in connection.execute(statement)}
