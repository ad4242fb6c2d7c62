"""roundtrip_write: what the real class's ``serialize_value`` makes of values of the corpus."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of
from xcomctl.model.requests import WriteAnswer
from xcomctl.roundtrip import corpus
from xcomctl.roundtrip.write import write


def run(context: RequestContext) -> WriteAnswer:
    """Answer the request. ``values`` are ids (default: all), ``threshold`` is that of the offload."""
    values = context.raw("values", list(corpus.VALUE_IDS))
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RequestError("'values' must be a list of ids")
    base_path = base_path_of(context)
    threshold = context.number("threshold", 4096)
    written = []
    for value_id in values:
        context.check()
        written.append(write(value_id, base_path, threshold))
    return WriteAnswer(tuple(written))
