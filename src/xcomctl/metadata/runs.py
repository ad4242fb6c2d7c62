"""The states of one run and of one of its tasks."""

from __future__ import annotations

import datetime
from typing import Any, Optional

from xcomctl.metadata.tables import Tables


def state_of(connection: Any, tables: Tables, dag_id: str, run_id: str) -> tuple[Optional[str], bool]:
    """The state of a run, and whether there is such a run."""
    import sqlalchemy as sa

    run = tables.dag_run
    row = connection.execute(sa.select(run.c.state).where(run.c.dag_id == dag_id, run.c.run_id == run_id)).first()
    return (None, False) if row is None else (row.state, True)


def span_of(connection: Any, tables: Tables, dag_id: str, run_id: str) -> tuple[Optional[str], Optional[str]]:
    """When a run began and when it ended, as ISO 8601 in UTC; ``None`` for what has not been yet."""
    import sqlalchemy as sa

    run = tables.dag_run
    row = connection.execute(
        sa.select(run.c.start_date, run.c.end_date).where(run.c.dag_id == dag_id, run.c.run_id == run_id)
    ).first()
    return (None, None) if row is None else (_in_utc(row.start_date), _in_utc(row.end_date))


def _in_utc(moment: Optional[datetime.datetime]) -> Optional[str]:
    """MySQL and SQLite give times without a zone, in UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.timezone.utc)
    return aware.astimezone(datetime.timezone.utc).isoformat()


def instance_states(connection: Any, tables: Tables, dag_id: str, run_id: str) -> dict[str, int]:
    """How many task instances of a run are in each state; ``no state yet`` for those without one."""
    import sqlalchemy as sa

    instance = tables.task_instance
    statement = (
        sa.select(instance.c.state, sa.func.count().label("many"))
        .where(instance.c.dag_id == dag_id, instance.c.run_id == run_id)
        .group_by(instance.c.state)
    )
    return {row.state or "no state yet": int(row.many) for row in connection.execute(statement)}


def states(
    connection: Any, tables: Tables, dag_id: str, run_id: str, task_id: str
) -> tuple[Optional[str], Optional[str]]:
    """The state of a run and that of a task of it that is not mapped; ``None`` for what has none, or is not there."""
    import sqlalchemy as sa

    run, instance = tables.dag_run, tables.task_instance
    run_state = connection.execute(
        sa.select(run.c.state).where(run.c.dag_id == dag_id, run.c.run_id == run_id)
    ).scalar_one_or_none()
    task_state = connection.execute(
        sa.select(instance.c.state).where(
            instance.c.dag_id == dag_id,
            instance.c.run_id == run_id,
            instance.c.task_id == task_id,
            instance.c.map_index == -1,
        )
    ).scalar_one_or_none()
    return run_state, task_state
