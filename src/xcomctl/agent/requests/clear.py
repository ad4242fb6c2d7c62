"""clear: let task instances of a run run again."""

from __future__ import annotations

from typing import Any, Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.airflow_compat import clearing
from xcomctl.model.requests import ClearAnswer, ClearedInstance


def run(context: RequestContext) -> ClearAnswer:
    """Answer the request."""
    dag_id = context.text("dag_id", required=True) or ""
    run_id = context.text("run_id", required=True) or ""
    tasks = _tasks(context.raw("tasks"))
    context.check()
    cleared, run_state, warnings = clearing.clear(dag_id, run_id, tasks)
    return ClearAnswer(
        tuple(ClearedInstance(each.task_id, each.map_index, each.state_before) for each in cleared),
        run_state,
        tuple(warnings),
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
