"""clear: let task instances of a run run again."""

from __future__ import annotations

from typing import Any, Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.airflow_compat import clearing
from xcomctl.model.requests import ClearAnswer, ClearedInstance
from xcomctl.model.suspects import instance_name


def run(context: RequestContext) -> ClearAnswer:
    """Answer the request."""
    dag_id = context.text("dag_id", required=True) or ""
    run_id = context.text("run_id", required=True) or ""
    tasks = _tasks(context.raw("tasks"))
    kill = context.raw("kill", [])
    if not isinstance(kill, list) or not all(isinstance(each, str) for each in kill):
        raise RequestError("'kill' must be a list of task ids")
    context.check()
    outcome = clearing.clear(dag_id, run_id, tasks, frozenset(kill) if context.flag("spare_running") else None)
    return ClearAnswer(
        tuple(ClearedInstance(each.task_id, each.map_index, each.state_before) for each in outcome.cleared),
        outcome.run_state,
        outcome.warnings,
        tuple(instance_name(each.task_id, each.map_index) for each in outcome.running),
    )


def _tasks(given: Any) -> Optional[list[tuple[str, Optional[int]]]]:
    if given is None:
        return None
    if not isinstance(given, list) or not given:
        raise RequestError("'tasks' must be null for the whole run, or a list of [task_id, map_index or null]")
    tasks: list[tuple[str, Optional[int]]] = []
    for entry in given:
        if (
            not isinstance(entry, list)
            or len(entry) != 2
            or not isinstance(entry[0], str)
            or not (entry[1] is None or (isinstance(entry[1], int) and not isinstance(entry[1], bool)))
        ):
            raise RequestError(f"not a [task_id, map_index or null]: {entry!r}")
        tasks.append((entry[0], entry[1]))
    return tasks
