"""run_state: how far a run is."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import open_metadata
from xcomctl.metadata.runs import instance_states, span_of, state_of
from xcomctl.model.verification import RunStateAnswer


def run(context: RequestContext) -> RunStateAnswer:
    """Answer the request."""
    dag_id = context.text("dag_id", required=True) or ""
    run_id = context.text("run_id", required=True) or ""
    with open_metadata() as metadata:
        state, _ = state_of(metadata.connection, metadata.tables, dag_id, run_id)
        states = instance_states(metadata.connection, metadata.tables, dag_id, run_id)
        began, ended = span_of(metadata.connection, metadata.tables, dag_id, run_id)
        return RunStateAnswer(state, states, began, ended)
