"""Starts a run of a DAG through Airflow's own function, and reads a task's log as the web server does."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Optional

from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.model.phases import Line


def paused(dag_id: str) -> Optional[bool]:
    """Whether the DAG is paused, ``None`` when Airflow does not know it or has lost its file."""
    xcom_class.resolved_class()  # the models import it: without it there is one clear sentence
    model = loading.module("airflow.models").DagModel
    create_session = loading.module("airflow.utils.session").create_session
    with create_session() as session:
        found = session.get(model, dag_id)
        if found is None or not getattr(found, "is_active", True) or getattr(found, "is_stale", False):
            return None
        return bool(found.is_paused)


def trigger(dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
    """Start a run of a DAG that is there, as somebody would by hand."""
    function = loading.module("airflow.api.common.trigger_dag").trigger_dag
    options: dict[str, Any] = {}
    if "triggered_by" in inspect.signature(function).parameters:  # 3.x
        options["triggered_by"] = loading.module("airflow.utils.types").DagRunTriggeredByType.CLI
    else:
        options["replace_microseconds"] = False  # or two runs of one second would have one logical date
    function(dag_id=dag_id, run_id=run_id, conf=dict(conf), **options)


def first_log(dag_id: str, run_id: str, task_id: str) -> str:
    """The log of the first try of a task that is not mapped, wherever Airflow keeps it; empty if there is none yet."""
    return log_of(dag_id, run_id, task_id, -1, 1)


def log_of(dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> str:
    """The log of one try of a task instance, wherever Airflow keeps it; empty if there is none. Raises what Airflow raises.

    On 3.x an earlier try is looked up in the history, as the API server does: it may have run on another host. On 2.x the
    web server asks the host of the latest try.
    """
    reader = loading.module("airflow.utils.log.log_reader").TaskLogReader()
    instance_class = loading.module("airflow.models.taskinstance").TaskInstance
    create_session = loading.module("airflow.utils.session").create_session
    select = loading.module("sqlalchemy").select
    names = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": map_index}
    with create_session() as session:
        instance = session.scalars(select(instance_class).filter_by(**names)).one_or_none()
        if instance is not None and instance.try_number > try_number and loading.line() is Line.AF3:
            history = loading.module("airflow.models.taskinstancehistory").TaskInstanceHistory
            earlier = select(history).filter_by(**names, try_number=try_number)
            instance = session.scalars(earlier).one_or_none() or instance
        if instance is None or not reader.supports_read:
            return ""
        parts, _ = reader.read_log_chunks(instance, try_number, {})
        return "\n".join(_texts(parts))


def _texts(part: Any) -> Iterator[str]:
    """2.x: lists of host and text. 3.x: structured messages; the error of a failed task is in ``error_detail``."""
    if isinstance(part, str):
        yield part
    elif hasattr(part, "model_dump"):
        message = part.model_dump()
        yield str(message.get("event", ""))
        for detail in message.get("error_detail") or ():
            for frame in detail.get("frames") or ():
                yield f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}'
            yield f"{detail.get('exc_type')}: {detail.get('exc_value')}"
    elif isinstance(part, Iterable):
        for entry in part:
            yield from _texts(entry)
