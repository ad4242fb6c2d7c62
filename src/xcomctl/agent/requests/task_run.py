"""task_run: how far a run and one task of it are, and the task's log."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import open_metadata
from xcomctl.airflow_compat import triggering
from xcomctl.metadata.runs import states
from xcomctl.model.redaction import redact
from xcomctl.model.requests import TaskRunAnswer


def run(context: RequestContext) -> TaskRunAnswer:
    """Answer the request."""
    dag_id = context.text("dag_id", required=True) or ""
    run_id = context.text("run_id", required=True) or ""
    task_id = context.text("task_id", required=True) or ""
    with_log = context.flag("log")
    with open_metadata() as metadata:
        run_state, task_state = states(metadata.connection, metadata.tables, dag_id, run_id, task_id)
    log = triggering.first_log(dag_id, run_id, task_id) if with_log else ""
    return TaskRunAnswer(run_state, task_state, redact(log))
