"""pull: a run's XComs in the order in which they were pushed, as a task would get them."""

from __future__ import annotations

import difflib
import json
from typing import Any, Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.airflow_compat import configuration, loading, xcom_class
from xcomctl.metadata import runs
from xcomctl.metadata.xcoms import Narrow, ValueRow, count_of_run, iso, latest_run_ids, rows_of_run
from xcomctl.model import describe, pull
from xcomctl.model.frames import MAX_PAYLOAD
from xcomctl.model.phases import phase_of
from xcomctl.model.references import Owner, normalized_base
from xcomctl.model.settings import settings_from
from xcomctl.references.values import Reader, Resolved

#: Characters of a value's text that travel in any case.
EXCERPT = 400
#: After how many XComs the desk is told.
_TELL_EVERY = 20


def run(context: RequestContext) -> pull.PulledAnswer:
    """Answer the request."""
    query = pull.PullQuery.from_json(context.params)
    loading.airflow()
    phase = phase_of(settings_from(line=loading.line(), **configuration.resolve_settings())).phase.value
    base_path, warnings = "", []
    try:
        base_path = normalized_base(base_path_of(context))
    except RequestError as error:
        if context.text("base_path") is not None:
            raise
        warnings.append(f"{error.message}: nothing is taken for a reference")
    xcom_class.resolved_class()
    reader = Reader(base_path, phase)
    narrow = Narrow(query.task_ids, query.key, query.map_index)
    shown = 0
    with open_metadata() as metadata:
        state, found = runs.state_of(metadata.connection, metadata.tables, query.dag_id, query.run_id)
        if not found:
            known = latest_run_ids(metadata.connection, metadata.tables, query.dag_id)
            raise RequestError(f"the DAG {query.dag_id!r} has no run {query.run_id!r}", _close_to(query.run_id, known))
        total = count_of_run(metadata.connection, metadata.tables, query.dag_id, query.run_id, narrow)
        rows = rows_of_run(
            metadata.connection, metadata.tables, query.dag_id, query.run_id, narrow, in_order=True, limit=query.limit
        )
        for row in rows:
            if shown % _TELL_EVERY == 0:
                context.progress("XComs", shown, min(total, query.limit or total))
            resolved = reader.read(row, Owner(query.dag_id, query.run_id, row.task_id))
            context.emit(_item(row, resolved, query.values_below))
            shown += 1
    return pull.PulledAnswer(total, shown, phase, base_path, state, (*metadata.warnings, *warnings))


def _close_to(run_id: str, known: list[str]) -> str:
    if not known:
        return "check the DAG's id: no run of it is in the metadata database"
    close = difflib.get_close_matches(run_id, known, n=3) or known[:3]
    return f"its runs are matched exactly; such as {', '.join(close)}"


def _item(row: ValueRow, resolved: Resolved, values_below: Optional[int]) -> pull.PulledItem:
    fields: dict[str, Any] = {"problem": resolved.problem, "detail": resolved.detail}
    if not resolved.problem:
        fields = _value(resolved.value, values_below)
    return pull.PulledItem(
        task_id=row.task_id,
        map_index=row.map_index,
        key=row.key,
        pushed=iso(row.timestamp),
        place=resolved.place,
        stored_bytes=row.stored_bytes,
        object_bytes=resolved.object_bytes,
        uri=resolved.uri,
        alias=resolved.alias,
        **fields,
    )


def _value(value: Any, values_below: Optional[int]) -> dict[str, Any]:
    """What of a value travels; it is let go with the item."""
    plain = pull.is_plain_json(value)
    fields: dict[str, Any] = {"type": describe.type_name(value), "digest": pull.digest(value), "is_json": plain}
    try:
        text = json.dumps(value) if plain else repr(value)
    except Exception as error:  # repr is the value's own code, and recursive
        return {**fields, **_left_out("", f"its repr raises {type(error).__name__}", values_below)}
    # As a frame carries it: what is not ASCII takes more room there.
    carried = len(text) if plain else len(json.dumps(text))
    fields["value_bytes"] = len(text.encode("utf-8", "surrogatepass"))
    if carried > (MAX_PAYLOAD // 2 if values_below is None else values_below):
        return {
            **fields,
            **_left_out(text[:EXCERPT], f"its {fields['value_bytes']:,} bytes fit in no answer", values_below),
        }
    if plain:
        return {**fields, "text": text[:EXCERPT], "whole_text": len(text) <= EXCERPT, "json": value, "has_json": True}
    return {**fields, "text": text, "whole_text": True}


def _left_out(text: str, why: str, values_below: Optional[int]) -> dict[str, Any]:
    """Of a value that does not travel its beginning; a problem if all of it is wanted."""
    found: dict[str, Any] = {"text": text, "whole_text": False, "elided": True}
    if values_below is None:
        found.update(problem=pull.NOT_CARRIED, detail=f"a task gets the value, and {why}")
    return found
