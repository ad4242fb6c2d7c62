"""trigger: start a run of a DAG, if it is there and not paused."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.airflow_compat import triggering
from xcomctl.model.requests import TriggerAnswer


def run(context: RequestContext) -> TriggerAnswer:
    """Answer the request."""
    dag_id = context.text("dag_id", required=True) or ""
    run_id = context.text("run_id", required=True) or ""
    conf = context.raw("conf", {})
    if not isinstance(conf, dict):
        raise RequestError("'conf' must be an object")
    context.progress("importing Airflow")
    paused = triggering.paused(dag_id)
    if paused is False:
        context.check()
        triggering.trigger(dag_id, run_id, conf)
    return TriggerAnswer(known=paused is not None, paused=bool(paused))
