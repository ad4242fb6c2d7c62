"""xcoms: every XCom of one run, with its size; small values included."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.metadata.xcoms import iso, rows_of_run, run_exists
from xcomctl.model.references import Owner
from xcomctl.model.requests import FOREIGN, XcomItem, XcomsAnswer
from xcomctl.references.scan import kind_of


def run(context: RequestContext) -> XcomsAnswer:
    """Answer the request."""
    dag_id = context.text("dag_id", required=True) or ""
    run_id = context.text("run_id", required=True) or ""
    below = context.number("values_below", 0)
    try:
        base_path = base_path_of(context)
    except RequestError:
        base_path = ""  # nothing is a reference then; the sizes are still wanted
        if context.text("base_path") is not None:
            raise
    xcoms = stored_bytes = references = pickled = 0
    with open_metadata() as metadata:
        if not run_exists(metadata.connection, metadata.tables, dag_id, run_id):
            raise RequestError(f"the DAG {dag_id!r} has no run {run_id!r}", "check both ids: they are matched exactly")
        for row in rows_of_run(metadata.connection, metadata.tables, dag_id, run_id):
            reference = None
            if base_path and isinstance(row.value, str):
                kind = kind_of(row.value, base_path, Owner(dag_id, run_id, row.task_id))
                reference = row.value if kind is not None and kind != FOREIGN else None
            has_value = row.stored_bytes < below and not row.pickled
            xcoms += 1
            stored_bytes += row.stored_bytes
            references += reference is not None
            pickled += row.pickled
            context.emit(
                XcomItem(
                    task_id=row.task_id,
                    map_index=row.map_index,
                    key=row.key,
                    stored_bytes=row.stored_bytes,
                    reference=reference,
                    value=row.value if has_value else None,
                    timestamp=iso(row.timestamp),
                    has_value=has_value,
                    pickled=row.pickled,
                )
            )
    return XcomsAnswer(xcoms, stored_bytes, references, pickled, metadata.warnings)
