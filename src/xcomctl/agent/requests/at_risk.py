"""at_risk: the runs whose readers would get path strings if the backend were reverted to ``inline`` now."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.model.refs import AtRiskAnswer, AtRiskQuery
from xcomctl.references import at_risk


def run(context: RequestContext) -> AtRiskAnswer:
    """Answer the request: unfinished runs first."""
    query = AtRiskQuery.from_json(context.params)
    base_path = base_path_of(context)
    runs = [0, 0]
    references = [0, 0]
    with open_metadata() as metadata:
        for found in at_risk.unfinished(metadata.connection, metadata.tables, base_path, query.dag_id):
            runs[0] += 1
            references[0] += found.references
            context.emit(found)
        if not query.unfinished_only:
            context.progress("finished runs")
            for found in at_risk.finished(metadata.connection, metadata.tables, base_path, query.dag_id):
                runs[1] += 1
                references[1] += found.references
                context.emit(found)
    whole = not query.unfinished_only
    return AtRiskAnswer(
        base_path, runs[0], references[0],
        runs[1] if whole else None, references[1] if whole else None, metadata.warnings,
    )  # fmt: skip
