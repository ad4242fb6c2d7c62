"""run_review: one run, looked at in the metadata database and in the store, one check after the other."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.airflow_compat import configuration, loading
from xcomctl.checks import run_logs, run_paths, run_states, run_values
from xcomctl.checks.run_interface import RunSubject, run_all
from xcomctl.metadata.runs import state_of
from xcomctl.model.phases import phase_of
from xcomctl.model.references import normalized_base
from xcomctl.model.settings import settings_from
from xcomctl.model.verification import RunReviewAnswer, RunReviewQuery

#: The order tells the story: how it ended, what its values are, who got something else.
CHECKS = (*run_states.CHECKS, *run_values.CHECKS, *run_paths.CHECKS)


def run(context: RequestContext) -> RunReviewAnswer:
    """Answer the request."""
    query = RunReviewQuery.from_json(context.params)
    loading.airflow()
    settings = settings_from(line=loading.line(), **configuration.resolve_settings())
    phase = phase_of(settings).phase.value
    try:
        base_path = normalized_base(base_path_of(context))
    except RequestError:
        base_path = ""
    with open_metadata() as metadata:
        state, known = state_of(metadata.connection, metadata.tables, query.dag_id, query.run_id)
        if not known:
            raise RequestError(
                f"the DAG {query.dag_id!r} has no run {query.run_id!r}", "check both ids: they are matched exactly"
            )
        subject = RunSubject(
            connection=metadata.connection,
            tables=metadata.tables,
            dag_id=query.dag_id,
            run_id=query.run_id,
            settings=settings,
            phase=phase,
            base_path=base_path,
            observations=query.observations,
            safe_point=context.check,
            progress=context.progress,
        )
        for check in run_all((*CHECKS, *(run_logs.CHECKS if query.logs else ())), subject):
            context.emit(check)
            context.flush()
    return RunReviewAnswer(state, phase, base_path, tuple(subject.handed_over), metadata.warnings)
