"""A pre-flight as a task: what the canary DAG calls once it has made this xcomctl importable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

import xcomctl
from xcomctl.agent.requests import preflight
from xcomctl.airflow_compat import loading
from xcomctl.model import in_task
from xcomctl.model.verdicts import Check


def run(options: Mapping[str, Any], digest: str = "") -> dict[str, Any]:
    """Run the checks that a task can run; the answer, small enough to be the task's return value.

    ``options`` are the fields of :class:`xcomctl.model.preflight.PreflightOptions`, ``digest`` tells which xcomctl the
    DAG file carries. Whatever the checks find, this returns. It raises only when they cannot be run.
    """
    loading.in_task()
    asked, selected = preflight.chosen({**options, "in_task": True})
    checks: list[Check] = []
    answer = preflight.examine(asked, selected, _say, lambda: None, lambda check: checks.append(_told(check)))
    value = in_task.packed(checks, answer, xcomctl.__version__, digest)
    # Once more where no XCom backend is in between: a push that fails must not take the answer with it.
    print(in_task.LOG_MARK + json.dumps(value), flush=True)
    return value


def _say(message: str, done: Optional[int], total: Optional[int]) -> None:
    print(f"xcomctl: {message}", flush=True)


def _told(check: Check) -> Check:
    print(f"{check.status.value.upper():4} {check.id}  {check.detail}", flush=True)
    if check.hint:
        print(f"     {check.hint}", flush=True)
    return check
