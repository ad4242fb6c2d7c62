"""DAG files of a test in the sandbox: how they are parsed and forgotten, and one whose tasks trust whatever they pull."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.support.walk import Site, Walk, literal, sql

DAG_ID = "trusting_consumers"

#: ``hold`` stands in the pool of the rehearsal's hold point. ``size`` of the conf says how large the value is.
SOURCE = """
from datetime import datetime, timezone

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import dag, get_current_context, task
except ImportError:
    from airflow.decorators import dag, task
    from airflow.operators.bash import BashOperator
    from airflow.operators.python import get_current_context


@dag(dag_id="trusting_consumers", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=False)
def trusting_consumers():
    @task
    def produce():
        return "x" * int(get_current_context()["dag_run"].conf["size"])

    @task(pool="xcomctl_hold")
    def hold(): ...

    @task
    def trust():
        return len(get_current_context()["ti"].xcom_pull(task_ids="produce"))

    @task
    def pass_on():
        return get_current_context()["ti"].xcom_pull(task_ids="produce")

    # Short whatever it gets, so that the template never makes a line too long for a shell.
    render = BashOperator(task_id="render", bash_command="echo {{ ti.xcom_pull(task_ids='produce')[:200] }}")
    produce() >> hold() >> [trust(), pass_on(), render]


trusting_consumers()
"""


def add(walk: Walk, dag_id: str = DAG_ID) -> None:
    """The DAG whose consumers trust what they pull, by this id."""
    file = walk.sandbox.airflow.folder / "dags" / f"{dag_id}.py"
    file.write_text(SOURCE.replace(DAG_ID, dag_id))
    parse_now(walk, file)


def hold_run(site: Site, dag_id: str, run_id: str, size: int) -> None:
    """A run of it whose value has this size, and whose consumers wait for the hold point."""
    site.sandbox.airflow.wait_for_dag(dag_id, lambda what: None)
    api = site.sandbox.airflow.api
    api.trigger(dag_id, run_id, {"size": size})

    def held() -> bool:
        states = {each.task_id: each.state for each in api.task_instances(dag_id, run_id)}
        return states.get("produce") == "success" and states.get("hold") == "scheduled"

    site.sandbox.family.wait_until(held, f"{run_id} to be held", timeout_s=120, poll_s=0.5)


def wait_for_run(site: Site, dag_id: str, run_id: str) -> None:
    """Wait until it is over."""
    api = site.sandbox.airflow.api
    site.sandbox.family.wait_until(
        lambda: api.run(dag_id, run_id).finished, f"{run_id} to be over", timeout_s=120, poll_s=0.5
    )


def parse_now(walk: Walk, file: Path) -> None:
    """Ask for this file to be parsed: new files are looked for every five minutes only."""
    key = literal(hashlib.md5(str(file).encode()).hexdigest())
    columns, values = ("fileloc", literal(str(file)))
    if walk.line == "3":
        columns, values = "bundle_name, relative_fileloc", f"'dags-folder', {literal(file.name)}"
    sql(walk, f"INSERT INTO dag_priority_parsing_request (id, {columns}) VALUES ({key}, {values})")


def forget_dag(walk: Walk, dag_id: str) -> None:
    """Its file, its runs, their rows and objects; for whoever comes after, the DAG is not there."""
    (walk.sandbox.airflow.folder / "dags" / f"{dag_id}.py").unlink(missing_ok=True)
    forget_runs(walk, dag_id, "%")
    gone = "is_stale = true" if walk.line == "3" else "is_active = false"
    sql(walk, f"UPDATE dag SET {gone} WHERE dag_id = {literal(dag_id)}")


def forget_runs(walk: Walk, dag_id: str, like: str) -> None:
    """The runs of a DAG whose id is like that: their rows, and their objects below the base path."""
    of_it = f"dag_id = {literal(dag_id)} AND run_id LIKE {literal(like)}"
    runs = [run_id for (run_id,) in sql(walk, f"SELECT run_id FROM dag_run WHERE {of_it}")]
    for table in ("xcom", "task_instance", "dag_run"):
        sql(walk, f"DELETE FROM {table} WHERE {of_it}")
    if runs:
        remove_objects(walk, [f"{dag_id}/{run_id}/" for run_id in runs])


def remove_objects(walk: Walk, folders: list[str]) -> None:
    """What lies in these folders below the base path."""
    from tests.support.object_store import owner

    bucket, _, prefix = walk.base_path.partition("@")[2].partition("/")
    with owner(walk) as owned:
        for folder in folders:
            for key in owned.keys(bucket, f"{prefix}/{folder}"):
                assert "error" not in owned("delete_object", Bucket=bucket, Key=key)
