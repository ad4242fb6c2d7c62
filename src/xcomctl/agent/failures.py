"""How a failed request is told to the desk: a sentence and a hint, or a redacted traceback for what is unexpected."""

from __future__ import annotations

import traceback
from typing import Any

from xcomctl.agent.context import RequestError
from xcomctl.model import frames, requests
from xcomctl.model.redaction import redact

#: How much of a traceback travels: its end says the most.
MAX_TRACEBACK = 16_000


def error_frame(request_id: int, error: BaseException) -> bytes:
    """The error frame for an exception that ended a request."""
    payload: dict[str, Any] = {"kind": frames.ERROR, "id": request_id}
    known = as_request_error(error)
    if known is not None:
        payload.update(reason=known.reason, message=redact(known.message), hint=redact(known.hint))
    else:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        payload.update(
            reason=requests.UNEXPECTED,
            message=redact(f"{type(error).__name__}: {error}"),
            hint="",
            traceback=redact(text[-MAX_TRACEBACK:]),
        )
    return frames.encode(payload)


def as_request_error(error: BaseException) -> RequestError | None:
    """The error as one that needs no traceback, ``None`` when it is unexpected."""
    if isinstance(error, RequestError):
        return error
    from xcomctl.airflow_compat.errors import AirflowUnusable

    if isinstance(error, AirflowUnusable):
        return RequestError(error.message, error.hint, error.reason)
    return None
