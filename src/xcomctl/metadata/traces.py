"""Where a path string leaves traces besides XComs (F45): rendered templates, what deferred tasks resume with, confs of runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from xcomctl.metadata.reading import stream
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import LARGE_ROWS, decoded
from xcomctl.model.handed_over import holds_path, path_in
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


def own_conf(connection: Any, tables: Tables, dag_id: str, run_id: str, base_path: str) -> bool:
    """Whether the conf of this very run holds a path under the base path: whoever triggered it got that for a value."""
    stored = connection.execute(conf_select(tables, dag_id, run_id)).scalar()
    if stored is None:
        return False
    if tables.line is Line.AF2:  # loading a pickle runs it; it keeps texts as they are
        return path_in(bytes(stored).decode(errors="replace"), base_path) is not None
    return holds_path(json.loads(stored), base_path)


def conf_select(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The conf behind :func:`own_conf`: 2.x pickles it, 3.x keeps JSON, which is read as text."""
    import sqlalchemy as sa

    run = sa.table("dag_run", *(sa.column(name) for name in ("dag_id", "run_id", "conf")), schema=tables.xcom.schema)
    conf = run.c.conf if tables.line is Line.AF2 else sa.cast(run.c.conf, sa.Text)
    return sa.select(conf).where(run.c.dag_id == dag_id, run.c.run_id == run_id)


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
    holds = _holds_spelled(run.c.conf, wanted, dialect, binary=tables.line is Line.AF2)
    return sa.select(run.c.dag_id, run.c.run_id).where(run.c.id > number, holds).limit(MOST)


def confs_holding(connection: Any, tables: Tables, base_path: str) -> list[tuple[str, str]]:
    """DAG and run id of the runs whose conf holds a path under the base path."""
    statement = holding_select(tables, connection.dialect.name, base_path)
    return [(row.dag_id, row.run_id) for row in connection.execute(statement)]


def holding_select(tables: Tables, dialect: str, base_path: str) -> Any:
    """The runs behind :func:`confs_holding`, the latest first."""
    import sqlalchemy as sa

    names = ("id", "dag_id", "run_id", "conf")
    run = sa.table("dag_run", *(sa.column(name) for name in names), schema=tables.xcom.schema)
    return (
        sa.select(run.c.dag_id, run.c.run_id)
        .where(_holds_spelled(run.c.conf, f"{base_path.rstrip('/')}/", dialect, binary=tables.line is Line.AF2))
        .order_by(run.c.id.desc())
        .limit(MOST)
    )


def in_values(connection: Any, tables: Tables, run: int, base_path: str) -> Iterator[tuple[str, int, str, Any]]:
    """Task, map index, key and value of the XComs of a run (by its number) that hold such a path at any depth.

    A reference is one too: whose it is, the caller knows. Pickles are not looked into.
    """
    for row in stream(connection, values_select(tables, connection.dialect.name, run, base_path), LARGE_ROWS):
        value = decoded(row.value, tables.line)
        if holds_path(value, base_path):
            yield row.task_id, row.map_index, row.key, value


def values_select(tables: Tables, dialect: str, run: int, base_path: str) -> Any:
    """The XComs of a run in which the base path occurs."""
    import sqlalchemy as sa

    xcom = tables.xcom
    return (
        sa.select(xcom.c.task_id, xcom.c.map_index, xcom.c.key, xcom.c.value)
        .where(xcom.c.dag_run_id == run)
        .where(_holds_spelled(xcom.c.value, f"{base_path.rstrip('/')}/", dialect, binary=tables.line is Line.AF2))
        .order_by(xcom.c.task_id, xcom.c.map_index, xcom.c.key)
    )


def trigger_kwargs(connection: Any, tables: Tables, dag_id: str, run_id: str) -> list[tuple[str, int, str]]:
    """Task, map index and the kwargs, as they are stored, of the triggers that instances of a run wait for."""
    statement = triggers_select(tables, dag_id, run_id)
    return [(row.task_id, row.map_index, str(row.kwargs)) for row in connection.execute(statement)]


def triggers_select(tables: Tables, dag_id: str, run_id: str) -> Any:
    """The rows behind :func:`trigger_kwargs`."""
    import sqlalchemy as sa

    names = ("dag_id", "run_id", "task_id", "map_index", "trigger_id")
    instance = sa.table("task_instance", *(sa.column(name) for name in names), schema=tables.xcom.schema)
    trigger = sa.table("trigger", sa.column("id"), sa.column("kwargs"), schema=tables.xcom.schema)
    return (
        sa.select(instance.c.task_id, instance.c.map_index, trigger.c.kwargs)
        .select_from(instance.join(trigger, trigger.c.id == instance.c.trigger_id))
        .where(instance.c.dag_id == dag_id, instance.c.run_id == run_id)
    )


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


def _holds_spelled(column: Any, text: str, dialect: str, *, binary: bool) -> Any:
    """As it is, and as JSON text spells it where the database keeps that as it was written."""
    import sqlalchemy as sa

    spelled = dict.fromkeys((text, json.dumps(text)[1:-1]))
    return sa.or_(*(_holds(column, each, dialect, binary=binary) for each in spelled))


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
