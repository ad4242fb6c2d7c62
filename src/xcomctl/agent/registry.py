"""Which module answers which request. The modules are imported when they are asked for: a bare Python can say hello."""

from __future__ import annotations

import importlib
from typing import Callable

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.model import requests

Handler = Callable[[RequestContext], requests.Record]

#: Every one has a function ``run(context) -> Record``.
MODULES = {
    requests.IDENTIFY: "xcomctl.agent.requests.identify",
    requests.RESOLVE: "xcomctl.agent.requests.resolve",
    requests.REFERENCES: "xcomctl.agent.requests.references",
    requests.XCOMS: "xcomctl.agent.requests.xcoms",
    requests.OBJECTS: "xcomctl.agent.requests.objects",
    requests.CLEAR: "xcomctl.agent.requests.clear",
    requests.ROUNDTRIP_WRITE: "xcomctl.agent.requests.roundtrip_write",
    requests.ROUNDTRIP_READ: "xcomctl.agent.requests.roundtrip_read",
    requests.PREFLIGHT: "xcomctl.agent.requests.preflight",
    requests.PREFLIGHT_LIST: "xcomctl.agent.requests.preflight_list",
    requests.CONTROL_FLOW: "xcomctl.agent.requests.control_flow",
    requests.OFFLOAD_CANARY: "xcomctl.agent.requests.offload_canary",
    requests.TRIGGER: "xcomctl.agent.requests.trigger",
    requests.TASK_RUN: "xcomctl.agent.requests.task_run",
    requests.REFERENCE_OBJECTS: "xcomctl.agent.requests.reference_objects",
    requests.AT_RISK: "xcomctl.agent.requests.at_risk",
    requests.PULL: "xcomctl.agent.requests.pull",
    requests.PROBE: "xcomctl.agent.requests.probe",
    requests.RUN_REVIEW: "xcomctl.agent.requests.run_review",
    requests.RUN_STATE: "xcomctl.agent.requests.run_state",
    requests.STATUS: "xcomctl.agent.requests.status",
    requests.BARRIER: "xcomctl.agent.requests.barrier",
    requests.PAUSES: "xcomctl.agent.requests.pauses",
    requests.SUSPECTS: "xcomctl.agent.requests.suspects",
    requests.STEP_FACTS: "xcomctl.agent.requests.step_facts",
    requests.REHYDRATE: "xcomctl.agent.requests.rehydrate",
    requests.SIZE: "xcomctl.agent.requests.size",
}


def handler(name: str) -> Handler:
    """The function that answers a request of this name."""
    module = MODULES.get(name)
    if module is None:
        raise RequestError(
            f"this agent knows no request {name!r}; it knows {', '.join(sorted(MODULES))}",
            reason=requests.UNKNOWN_REQUEST,
        )
    run: Handler = importlib.import_module(module).run
    return run
