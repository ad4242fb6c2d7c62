"""roundtrip_read: what the real class's ``deserialize_value`` makes of stored forms."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of
from xcomctl.model.requests import ReadAnswer
from xcomctl.roundtrip.read import read


def run(context: RequestContext) -> ReadAnswer:
    """Answer the request. ``stored`` is a list of ``{"value_id": …, "stored": {…}}``."""
    forms = context.raw("stored")
    if not isinstance(forms, list):
        raise RequestError("'stored' must be a list of {value_id, stored}")
    base_path = base_path_of(context)
    threshold = context.number("threshold", 4096)
    answers = []
    for form in forms:
        context.check()
        if not isinstance(form, dict) or not isinstance(form.get("value_id"), str):
            raise RequestError("an entry of 'stored' is {value_id, stored}")
        answers.append(read(form["value_id"], form.get("stored") or {}, base_path, threshold))
    return ReadAnswer(tuple(answers))
