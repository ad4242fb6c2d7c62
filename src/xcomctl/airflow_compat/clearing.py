"""Clears task instances through Airflow's own function, so that producers and consumers run again."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.airflow_compat.errors import AirflowUnusable


@dataclass(frozen=True)
class Cleared:
    """One cleared task instance and the state that it was in."""

    task_id: str
    map_index: int
    state_before: Optional[str]


@dataclass(frozen=True)
class Outcome:
    """What was cleared, and the run's state after it. ``running`` were to be spared and run: then nothing was."""

    cleared: tuple[Cleared, ...]
    run_state: Optional[str]
    running: tuple[Cleared, ...] = ()
    warnings: tuple[str, ...] = ()


def clear(
    dag_id: str,
    run_id: str,
    tasks: Optional[Sequence[tuple[str, Optional[int]]]],
    spare_but: Optional[Collection[str]] = None,
) -> Outcome:
    """Clear these task instances of a run, or all of them.

    Whatever state they are in, failed or not; a finished run is queued again and never moved to the DAG's latest
    version. ``map_index`` ``None`` means every index of the task. One that runs is killed, unless ``spare_but`` names the
    tasks that alone may be: then nothing is cleared while another one runs. One transaction.
    """
    xcom_class.resolved_class()  # the models import it: without it there is one clear sentence
    taskinstance = loading.module("airflow.models.taskinstance")
    dag_run_class = loading.module("airflow.models.dagrun").DagRun
    states = loading.module("airflow.utils.state")
    create_session = loading.module("airflow.utils.session").create_session
    select = loading.module("sqlalchemy").select
    instance_class = taskinstance.TaskInstance

    with create_session() as session:
        run = session.scalars(
            select(dag_run_class).where(dag_run_class.dag_id == dag_id, dag_run_class.run_id == run_id)
        ).one_or_none()
        if run is None:
            raise AirflowUnusable(
                f"the DAG {dag_id!r} has no run {run_id!r}", "check both ids: they are matched exactly"
            )
        found = (
            select(instance_class)
            .where(instance_class.dag_id == dag_id, instance_class.run_id == run_id)
            .order_by(instance_class.task_id, instance_class.map_index)
        )
        if spare_but is not None:
            found = found.with_for_update(of=instance_class)  # none begins to run once it was looked at
        instances = session.scalars(found).unique().all()
        chosen = _choose(list(instances), tasks, dag_id, run_id, states.TaskInstanceState.REMOVED)
        alive = (states.TaskInstanceState.RUNNING, states.TaskInstanceState.RESTARTING)
        running = [
            each for each in chosen if spare_but is not None and each.state in alive and each.task_id not in spare_but
        ]
        if running:
            return Outcome((), _state(run.state), tuple(map(_seen, running)))
        warnings = []
        if getattr(run, "created_dag_version_id", "none of that kind") is None:
            warnings.append(f"the run {run_id!r} has no DAG version of its own, so Airflow runs it on the latest")
        cleared = tuple(map(_seen, chosen))
        if chosen:
            function = taskinstance.clear_task_instances
            options = {"dag_run_state": states.DagRunState.QUEUED}
            if "run_on_latest_version" in inspect.signature(function).parameters:
                options["run_on_latest_version"] = False
            function(chosen, session, **options)
            session.flush()
        run_state = _state(run.state)
    return Outcome(cleared, run_state, (), tuple(warnings))


def _seen(instance: Any) -> Cleared:
    return Cleared(instance.task_id, instance.map_index, _state(instance.state))


def _choose(
    instances: list[Any],
    tasks: Optional[Sequence[tuple[str, Optional[int]]]],
    dag_id: str,
    run_id: str,
    removed: Any,
) -> list[Any]:
    if tasks is None:
        return [each for each in instances if each.state != removed]
    for task_id, map_index in tasks:
        if not any(each.task_id == task_id and map_index in (None, each.map_index) for each in instances):
            index = "" if map_index is None else f"[{map_index}]"
            raise AirflowUnusable(f"the run {run_id!r} of {dag_id!r} has no task instance {task_id}{index}")
    wanted = set(tasks)
    return [each for each in instances if (each.task_id, None) in wanted or (each.task_id, each.map_index) in wanted]


def _state(state: Any) -> Optional[str]:
    return None if state is None else str(getattr(state, "value", state))
