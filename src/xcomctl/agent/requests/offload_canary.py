"""offload_canary: one value above the threshold through the resolved class: write, read, purge."""

from __future__ import annotations

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of
from xcomctl.model.requests import CanaryAnswer
from xcomctl.roundtrip.canary import Canary, is_run_id, new_run_id


def run(context: RequestContext) -> CanaryAnswer:
    """Answer the request. ``threshold`` is that of the settings, in bytes; ``run_id`` the run that the value is of."""
    threshold = context.number("threshold", -1)
    if threshold < 0:
        raise RequestError("'threshold' must be 0 or more: with less, no value is offloaded")
    run_id = context.text("run_id", new_run_id()) or ""
    if not is_run_id(run_id):
        raise RequestError(f"{run_id!r} is no run of a canary")
    return Canary(base_path_of(context), threshold, run_id).play()
