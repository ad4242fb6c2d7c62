"""references: stored URLs with the state of their runs."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.metadata.xcoms import count_pickled
from xcomctl.model.requests import ALIAS, FOREIGN, REFERENCE, ReferencesAnswer
from xcomctl.references.scan import scan

PROGRESS_EVERY = 1000


def run(context: RequestContext) -> ReferencesAnswer:
    """Answer the request."""
    dag_id, run_id = context.text("dag_id"), context.text("run_id")
    unfinished_only = context.flag("unfinished_only")
    base_path = base_path_of(context)
    counts = {REFERENCE: 0, ALIAS: 0, FOREIGN: 0}
    runs = 0
    last_run = None
    with open_metadata() as metadata:
        for item in scan(metadata.connection, metadata.tables, base_path, dag_id, run_id, unfinished_only):
            counts[item.kind] += 1
            if item.kind == REFERENCE and (item.dag_id, item.run_id) != last_run:  # rows come run by run
                last_run = (item.dag_id, item.run_id)
                runs += 1
            context.emit(item)
            if sum(counts.values()) % PROGRESS_EVERY == 0:
                context.progress("references", done=sum(counts.values()))
        context.check()
        pickled = count_pickled(metadata.connection, metadata.tables, dag_id, run_id, unfinished_only)
    return ReferencesAnswer(
        references=counts[REFERENCE],
        foreign=counts[FOREIGN],
        aliases=counts[ALIAS],
        runs=runs,
        pickled=pickled,
        base_path=base_path,
        warnings=metadata.warnings,
    )
