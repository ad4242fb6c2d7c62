"""offload_canary: one value above the threshold through the resolved class: write, read, purge."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of
from xcomctl.model.requests import CanaryAnswer
from xcomctl.roundtrip.canary import Canary


def run(context: RequestContext) -> CanaryAnswer:
    """Answer the request. ``threshold`` is that of the settings, in bytes."""
    threshold = context.number("threshold", -1)
    if threshold < 0:
        raise RequestError("'threshold' must be 0 or more: with less, no value is offloaded")
    return Canary(base_path_of(context), threshold).play()
