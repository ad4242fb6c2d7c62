"""The few columns of Airflow's tables that we read, as SQLAlchemy Core tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.phases import Line


@dataclass(frozen=True)
class Tables:
    """``xcom``, ``dag_run``, ``task_instance`` and ``log`` of one line, in one schema of a database."""

    line: Line
    xcom: Any
    dag_run: Any
    task_instance: Any
    log: Any


@functools.cache
def tables(line: Line, schema: Optional[str] = None) -> Tables:
    """The tables of a line. The XCom value is bytes on 2.x, JSON (JSONB on PostgreSQL) on 3.x."""
    import sqlalchemy as sa

    metadata = sa.MetaData(schema=schema)
    time = sa.DateTime(timezone=True)
    dag_run = sa.Table(
        "dag_run",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("dag_id", sa.String),
        sa.Column("run_id", sa.String),
        sa.Column("state", sa.String),
        sa.Column("start_date", time),
        sa.Column("end_date", time),
    )
    task_instance = sa.Table(
        "task_instance",
        metadata,
        sa.Column("dag_id", sa.String, primary_key=True),
        sa.Column("task_id", sa.String, primary_key=True),
        sa.Column("run_id", sa.String, primary_key=True),
        sa.Column("map_index", sa.Integer, primary_key=True),
        sa.Column("state", sa.String),
        sa.Column("start_date", time),
        sa.Column("end_date", time),
        sa.Column("try_number", sa.Integer),
        sa.Column("hostname", sa.String),
        sa.Column("operator", sa.String),
        sa.Column("queued_dttm", time),
        sa.Column("updated_at", time),
    )
    log = sa.Table(
        "log",
        metadata,
        sa.Column("dag_id", sa.String),
        sa.Column("run_id", sa.String),
        sa.Column("task_id", sa.String),
        sa.Column("map_index", sa.Integer),
        sa.Column("event", sa.String),
        sa.Column("dttm", time),
    )
    return Tables(line, xcom_table(line, metadata), dag_run, task_instance, log)


def xcom_table(line: Line, metadata: Any, name: str = "xcom") -> Any:
    """``xcom`` of a line, or a table like it under another name."""
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql, postgresql

    value: Any
    if line is Line.AF2:
        value = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql")
    else:
        value = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
    return sa.Table(
        name,
        metadata,
        sa.Column("dag_run_id", sa.Integer, primary_key=True),
        sa.Column("task_id", sa.String, primary_key=True),
        sa.Column("map_index", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("dag_id", sa.String),
        sa.Column("run_id", sa.String),
        sa.Column("value", value),
        sa.Column("timestamp", sa.DateTime(timezone=True)),
    )


def number_of_run(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The number of a run, as a subquery.

    The primary key of ``xcom`` begins with it. No index of ``xcom`` begins with a DAG and a run (the one that begins with
    the DAG goes on with the task), so by these names a run's few XComs are found by a walk through all of the DAG's.
    """
    import sqlalchemy as sa

    run = tables.dag_run
    return sa.select(run.c.id).where(run.c.dag_id == dag_id, run.c.run_id == run_id).correlate(None).scalar_subquery()


def key_columns(tables: Tables) -> tuple[Any, ...]:
    """The primary key of ``xcom``."""
    xcom = tables.xcom
    return xcom.c.dag_run_id, xcom.c.task_id, xcom.c.map_index, xcom.c.key
