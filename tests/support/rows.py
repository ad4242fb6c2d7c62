"""XComs in a run of a test's own: inserted as the line's column holds them, and gone at the end with their run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.support.walk import Site, Walk, literal, sql


def column_value(site: Site, value: Any) -> str:
    """A JSON value as SQL for the line's column: the bytes of its JSON, or JSONB."""
    text = literal(json.dumps(value))
    return f"convert_to({text}, 'UTF8')" if site.line == "2" else f"{text}::jsonb"


@contextmanager
def gone_dag(walk: Walk, dag_id: str, run_id: str, task_id: str, state: str = "success") -> Iterator[None]:
    """A run with one task instance of a DAG that Airflow does not know any more: no scheduler looks at it."""
    of_it = f"dag_id = {literal(dag_id)} AND run_id = {literal(run_id)}"
    when = "execution_date" if walk.line == "2" else "run_after"
    more, values = ("", "") if walk.line == "2" else (", id, try_number", ", gen_random_uuid(), 1")
    try:
        sql(
            walk,
            f"INSERT INTO dag_run (dag_id, run_id, state, run_type, {when}) "
            f"VALUES ({literal(dag_id)}, {literal(run_id)}, {literal(state)}, 'manual', clock_timestamp())",
        )
        sql(
            walk,
            f"INSERT INTO task_instance (dag_id, run_id, task_id, state, pool, pool_slots{more}) VALUES "
            f"({literal(dag_id)}, {literal(run_id)}, {literal(task_id)}, 'success', 'default_pool', 1{values})",
        )
        yield
    finally:
        for table in ("xcom", "task_instance", "dag_run"):
            sql(walk, f"DELETE FROM {table} WHERE {of_it}")


@contextmanager
def xcoms_of(walk: Walk, dag_id: str, run_id: str, task_id: str, values: Mapping[str, str]) -> Iterator[None]:
    """XComs of a task instance that exists: key → value as SQL."""
    rows = ", ".join(f"({literal(key)}, {value})" for key, value in values.items())
    sql(
        walk,
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        f"SELECT r.id, {literal(task_id)}, -1, v.key, r.dag_id, r.run_id, v.value, now() "
        f"FROM dag_run r, LATERAL (VALUES {rows}) v (key, value) "
        f"WHERE r.dag_id = {literal(dag_id)} AND r.run_id = {literal(run_id)}",
    )
    of_it = f"dag_id = {literal(dag_id)} AND run_id = {literal(run_id)} AND task_id = {literal(task_id)}"
    try:
        yield
    finally:
        sql(walk, f"DELETE FROM xcom WHERE {of_it}")


def copies_of(walk: Walk, dag_id: str, run_id: str, task_id: str, key: str, start: int, end: int) -> None:
    """More XComs like one that :func:`xcoms_of` inserted, numbered from beyond ``start``; they go with it."""
    sql(
        walk,
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        "SELECT x.dag_run_id, x.task_id, x.map_index, x.key || '_' || n, x.dag_id, x.run_id, x.value, now() "
        f"FROM xcom x, generate_series({start + 1}, {end}) n WHERE x.dag_id = {literal(dag_id)} "
        f"AND x.run_id = {literal(run_id)} AND x.task_id = {literal(task_id)} AND x.key = {literal(key)}",
    )
