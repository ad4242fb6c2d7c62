"""XComs in a run of a test's own: inserted as the line's column holds them, and gone at the end with their run."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.walk import Site, Walk, literal, psql, sql


def column_value(site: Site, value: Any) -> str:
    """A JSON value as SQL for the line's column: the bytes of its JSON, or JSONB."""
    text = literal(json.dumps(value))
    return f"convert_to({text}, 'UTF8')" if site.line == "2" else f"{text}::jsonb"


@contextmanager
def gone_dag(walk: Walk, dag_id: str, run_id: str, task_id: str, state: str = "success") -> Iterator[None]:
    """A run with one task instance of a DAG that Airflow does not know any more: no scheduler looks at it."""
    come, go = of_gone_dag(walk.line, dag_id, run_id, task_id, state)
    try:
        for statement in come:
            sql(walk, statement)
        yield
    finally:
        for statement in go:
            sql(walk, statement)


def of_gone_dag(
    line: str, dag_id: str, run_id: str, task_id: str, state: str = "success"
) -> tuple[Sequence[str], Sequence[str]]:
    """The statements by which it comes and goes, for whichever database."""
    of_it = f"dag_id = {literal(dag_id)} AND run_id = {literal(run_id)}"
    when = "execution_date" if line == "2" else "run_after"
    more, values = ("", "") if line == "2" else (", id, try_number", f", '{uuid.uuid4()}', 1")
    come = (
        f"INSERT INTO dag_run (dag_id, run_id, state, run_type, {when}) "
        f"VALUES ({literal(dag_id)}, {literal(run_id)}, {literal(state)}, 'manual', CURRENT_TIMESTAMP)",
        f"INSERT INTO task_instance (dag_id, run_id, task_id, state, pool, pool_slots{more}) VALUES "
        f"({literal(dag_id)}, {literal(run_id)}, {literal(task_id)}, 'success', 'default_pool', 1{values})",
    )
    return come, [f"DELETE FROM {table} WHERE {of_it}" for table in ("xcom", "task_instance", "dag_run")]


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


@contextmanager
def locked(site: Site, which: str) -> Iterator[None]:
    """Somebody else holds locks on the rows of ``xcom`` for which that is true."""
    argv, environment = psql(site)
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"BEGIN; SELECT 'held' FROM xcom WHERE {which} FOR UPDATE;\n")
        process.stdin.flush()
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.stdin.close()


def copies_of(walk: Walk, dag_id: str, run_id: str, task_id: str, key: str, start: int, end: int) -> None:
    """More XComs like one that :func:`xcoms_of` inserted, numbered from beyond ``start``; they go with it."""
    sql(
        walk,
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        "SELECT x.dag_run_id, x.task_id, x.map_index, x.key || '_' || n, x.dag_id, x.run_id, x.value, now() "
        f"FROM xcom x, generate_series({start + 1}, {end}) n WHERE x.dag_id = {literal(dag_id)} "
        f"AND x.run_id = {literal(run_id)} AND x.task_id = {literal(task_id)} AND x.key = {literal(key)}",
    )
