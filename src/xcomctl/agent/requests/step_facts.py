"""step_facts: what a step of the phases depends on: values above a threshold, values that fit only in the store."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import replace

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import Metadata, base_path_of, open_metadata
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.metadata.estimates import above
from xcomctl.metadata.expressions import column_kind
from xcomctl.model.plan import Misfit, StepFactsAnswer, StepFactsQuery
from xcomctl.model.redaction import redact
from xcomctl.model.references import classify, escapes
from xcomctl.model.requests import REFERENCE, ReferenceItem
from xcomctl.references.fits import misfit
from xcomctl.references.scan import scan
from xcomctl.store.content import Contents
from xcomctl.store.opened import message_of

#: Values that are named.
_NAMED = 10
_TELL_EVERY = 50


def run(context: RequestContext) -> StepFactsAnswer:
    """Answer the request."""
    query = StepFactsQuery.from_json(context.params)
    with open_metadata() as metadata:
        answer = StepFactsAnswer(
            column_kind(metadata.tables, metadata.connection.dialect.name), warnings=metadata.warnings
        )
        if query.threshold is not None:
            context.progress("the sizes of values")
            answer = replace(answer, above=above(metadata.connection, metadata.tables, query.threshold))
        if query.values and answer.column == "jsonb":
            return _with_misfits(context, metadata, answer, query.values)
        return answer


def _with_misfits(context: RequestContext, metadata: Metadata, answer: StepFactsAnswer, values: int) -> StepFactsAnswer:
    base_path = base_path_of(context)
    newest, count = _newest(metadata, base_path, values)
    try:
        contents = Contents(base_path)
    except Exception as error:  # whatever making a file system raises
        why = error.message if isinstance(error, AirflowUnusable) else message_of(error)
        return replace(answer, references=count, unread=len(newest), unread_why=redact(why))
    found, unread, why = 0, 0, ""
    misfits: list[Misfit] = []
    for done, item in enumerate(newest):
        if done % _TELL_EVERY == 0:
            context.progress("objects", done, len(newest))
        reference = classify(item.uri, base_path).reference
        if reference is None or escapes(reference):
            continue
        try:
            problem = misfit(contents.read(reference))
        except Exception as error:  # missing, unreachable, undecodable: other checks name these one by one
            unread, why = unread + 1, why or redact(f"{item.uri}: {message_of(error)}")
            continue
        if problem is not None:
            found += 1
            if len(misfits) < _NAMED:
                misfits.append(Misfit(item.dag_id, item.run_id, item.task_id, item.map_index, item.key, problem))
    return replace(
        answer, references=count, looked_at=len(newest) - unread, misfit_count=found, misfits=tuple(misfits),
        unread=unread, unread_why=why,
    )  # fmt: skip


def _newest(metadata: Metadata, base_path: str, values: int) -> tuple[list[ReferenceItem], int]:
    """The references that were pushed last, and how many there are; memory is bounded by the former."""
    found = _References(scan(metadata.connection, metadata.tables, base_path))
    return heapq.nlargest(values, found, key=lambda item: item.timestamp or ""), found.count


class _References:
    """The references among the items of a scan, counted as they go by."""

    def __init__(self, items: Iterator[ReferenceItem]) -> None:
        self._items = items
        self.count = 0

    def __iter__(self) -> Iterator[ReferenceItem]:
        for item in self._items:
            if item.kind == REFERENCE:
                self.count += 1
                yield item
