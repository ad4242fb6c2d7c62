"""suspects: the task instances that may have got path strings, run by run, and what has to run again."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.airflow_compat.structure import Structures
from xcomctl.metadata import traces
from xcomctl.model.references import normalized_base
from xcomctl.model.retrigger import HandedOn, SuspectsAnswer, SuspectsQuery
from xcomctl.references.suspects import Look, spans


def run(context: RequestContext) -> SuspectsAnswer:
    """Answer the request."""
    query = SuspectsQuery.from_json(context.params)
    base_path = normalized_base(base_path_of(context))
    with open_metadata() as metadata:
        look = Look(metadata.connection, metadata.tables, base_path, query, Structures().of_run)
        bad = look.windows()
        context.progress("references")
        look.scan()
        runs = 0
        for row in look.runs():
            context.progress(f"{row.dag_id} {row.run_id}")
            found = look.at(row)
            if found is not None:
                runs += 1
                context.emit(found)
        context.progress("confs of runs")
        confs = traces.confs_holding(metadata.connection, metadata.tables, base_path)
        warnings = list(metadata.warnings)
        if look.unread_triggers:
            warnings.append(
                f"the kwargs of {look.unread_triggers} triggers cannot be decrypted here, and were not looked into"
            )
    return SuspectsAnswer(
        base_path,
        spans(bad),
        runs,
        look.unknown,
        tuple(HandedOn(*each) for each in confs),
        tuple(warnings),
        look.stored,
        look.holds_longest,
    )
