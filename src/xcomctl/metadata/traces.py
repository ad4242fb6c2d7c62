"""Where a path string leaves traces besides XComs (F45): rendered templates, what deferred tasks resume with, confs of runs."""

from __future__ import annotations

import json
from typing import Any

from xcomctl.metadata.reading import stream
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import LARGE_ROWS
from xcomctl.model.handed_over import path_in
from xcomctl.model.phases import Line

#: Further ones say nothing more.
MOST = 200


def rendered(connection: Any, tables: Tables, dag_id: str, run_id: str, base_path: str) -> list[tuple[str, int]]:
    """Task and map index of the instances whose rendered templates hold a path under the base path."""
    return _instances_with(
        connection, tables, "rendered_task_instance_fields", "rendered_fields", dag_id, run_id, base_path
    )


def next_kwargs(connection: Any, tables: Tables, dag_id: str, run_id: str, base_path: str) -> list[tuple[str, int]]:
    """Task and map index of the instances that resume, or resumed, with such a path."""
    return _instances_with(connection, tables, "task_instance", "next_kwargs", dag_id, run_id, base_path)


def confs_of_others(connection: Any, tables: Tables, dag_id: str, run_id: str, base_path: str) -> list[tuple[str, str]]:
    """DAG and run id of the other runs whose conf holds a path of this run: it triggered them with what it got."""
    statement = confs_select(tables, connection.dialect.name, dag_id, run_id, base_path)
    return [(row.dag_id, row.run_id) for row in connection.execute(statement)]


def confs_select(tables: Tables, dialect: str, dag_id: str, run_id: str, base_path: str) -> Any:
    """The runs that came after this one and have such a conf: what a run triggers has a higher number."""
    import sqlalchemy as sa

    run = sa.table(
        "dag_run", *(sa.column(name) for name in ("id", "dag_id", "run_id", "conf")), schema=tables.xcom.schema
    )
    itself = tables.dag_run.alias("itself")
    number = sa.select(itself.c.id).where(itself.c.dag_id == dag_id, itself.c.run_id == run_id).scalar_subquery()
    wanted = f"{base_path.rstrip('/')}/{dag_id}/{run_id}/"
    # As it is, and as JSON text spells it where the database keeps that as it was written.
    spelled = dict.fromkeys((wanted, json.dumps(wanted)[1:-1]))
    holds = (_holds(run.c.conf, text, dialect, binary=tables.line is Line.AF2) for text in spelled)
    return sa.select(run.c.dag_id, run.c.run_id).where(run.c.id > number, sa.or_(*holds)).limit(MOST)


def has_triggers(connection: Any, tables: Tables) -> bool:
    """Whether anything of the deployment waits in a trigger now."""
    import sqlalchemy as sa

    trigger = sa.table("trigger", sa.column("id"), schema=tables.xcom.schema)
    return connection.execute(sa.select(trigger.c.id).limit(1)).first() is not None


def _instances_with(
    connection: Any, tables: Tables, name: str, column: str, dag_id: str, run_id: str, base_path: str
) -> list[tuple[str, int]]:
    statement = instances_select(tables, connection.dialect.name, name, column, dag_id, run_id, base_path)
    found: list[tuple[str, int]] = []
    for row in stream(connection, statement, LARGE_ROWS):
        # The base path alone is no path that was handed over: a template may well name it.
        if path_in(row.said, base_path) is not None:
            found.append((row.task_id, row.map_index))
        if len(found) == MOST:
            break
    return found


def instances_select(
    tables: Tables, dialect: str, name: str, column: str, dag_id: str, run_id: str, base_path: str
) -> Any:
    """The instances of a run in whose column the base path occurs, with the column as text."""
    import sqlalchemy as sa

    names = ("dag_id", "run_id", "task_id", "map_index", column)
    table = sa.table(name, *(sa.column(each) for each in names), schema=tables.xcom.schema)
    return (
        sa.select(table.c.task_id, table.c.map_index, sa.cast(table.c[column], sa.Text).label("said"))
        .where(table.c.dag_id == dag_id, table.c.run_id == run_id)
        .where(_holds(table.c[column], f"{base_path.rstrip('/')}/", dialect, binary=False))
        .order_by(table.c.task_id, table.c.map_index)
    )


def _holds(column: Any, text: str, dialect: str, *, binary: bool) -> Any:
    """Whether a column's text holds this one. 2.x pickles the conf of a run, which keeps texts as they are."""
    import sqlalchemy as sa

    if binary:
        part = sa.literal(text.encode(), sa.LargeBinary)
        if dialect == "postgresql":
            return sa.func.position(part.op("IN")(column)) > 0
        return sa.func.instr(column, part) > 0
    as_text = sa.cast(column, sa.Text)
    if dialect == "postgresql":
        return sa.func.strpos(as_text, text) > 0
    return sa.func.instr(as_text, text) > 0
