"""pauses: which DAGs are paused, and pause or unpause some."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.airflow_compat import database, pausing
from xcomctl.model.pauses import PausesAnswer, PausesQuery


def run(context: RequestContext) -> PausesAnswer:
    """Answer the request."""
    query = PausesQuery.from_json(context.params)
    context.progress("importing Airflow")
    database.engine()  # where there is none, another context may have it
    missing: list[str] = []
    if query.paused is not None:
        context.check()
        missing = pausing.set_paused(query.dag_ids, query.paused)
    return PausesAnswer(pausing.states(), tuple(missing), tuple(pausing.backfills()))
