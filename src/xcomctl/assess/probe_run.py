"""The probe through a real run: triggers the probe DAG, waits, and reads what its tasks found.

A second run follows where there was no earlier one to pull from with ``include_prior_dates``. Runs stay: deleting them is
not ours to do.
"""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from xcomctl.assess.in_task import PAUSED_DAG, UNKNOWN_DAG, TaskWay
from xcomctl.errors import UserError
from xcomctl.model import probe
from xcomctl.model.probe import DAG_ID, REPORT_TASK, ProbeRunAnswer

_POLL_S = 1.0


def through_tasks(
    way: TaskWay, timeout_s: float, waiting: Callable[[str], None], *, once: bool = False
) -> ProbeRunAnswer:
    """What the tasks found; what could not be had is ``unmeasured``. Never raises :class:`UserError`.

    ``once``: no second run, whether or not there was an earlier one.
    """
    run_id = f"xcomctl-probe-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    try:
        first = _one(way, f"{run_id}-1", timeout_s, waiting)
        if first.prior or first.unmeasured:
            return first
        if once:
            note = "no earlier run of the probe was there: pulls with include_prior_dates were not tried (--once)"
            return dataclasses.replace(first, notes=(*first.notes, note))
        waiting("a second run, for pulls from an earlier one")
        second = _one(way, f"{run_id}-2", timeout_s, waiting)
        return dataclasses.replace(second, run_id=f"{first.run_id}, {second.run_id}")
    except UserError as error:
        hint = f" ({error.hint})" if error.hint else ""
        return ProbeRunAnswer(run_id, unmeasured=(f"{error.message}{hint}",))


def _one(way: TaskWay, run_id: str, timeout_s: float, waiting: Callable[[str], None]) -> ProbeRunAnswer:
    refused = way.trigger(run_id, {})
    if refused == UNKNOWN_DAG:
        raise UserError(
            f"Airflow knows no DAG {DAG_ID}",
            "xcomctl dags export probe DAGS_FOLDER, then wait until Airflow looks for new files",
        )
    if refused == PAUSED_DAG:
        raise UserError(f"the DAG {DAG_ID} is paused", f"airflow dags unpause {DAG_ID}")
    deadline = time.monotonic() + timeout_s
    while True:
        seen = way.progress(run_id)
        if seen.over:
            break
        if time.monotonic() >= deadline:
            raise UserError(f"no answer within {timeout_s:g} s: of {run_id}, {seen}", "allow more with --task-timeout")
        waiting(f"{run_id}: {seen}")
        time.sleep(_POLL_S)
    found = probe.unpacked(way.value(run_id)) or probe.in_log(way.log(run_id))
    if found is None:
        raise UserError(f"the task {REPORT_TASK} of {run_id} gave no answer ({seen})", "look at its log in Airflow")
    return found
