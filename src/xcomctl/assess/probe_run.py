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

from xcomctl.assess.api_login import connect
from xcomctl.assess.fleet import Fleet
from xcomctl.assess.in_task import PAUSED_DAG, UNKNOWN_DAG, AgentWay, RestWay, TaskWay
from xcomctl.deployment import bundle
from xcomctl.deployment.deployments import ApiEntry
from xcomctl.errors import UserError
from xcomctl.model import probe
from xcomctl.model.probe import DAG_ID, REPORT_TASK, ProbeRunAnswer
from xcomctl.model.redaction import redact

_POLL_S = 1.0
_EXPORT = "xcomctl dags export --force probe DAGS_FOLDER"


def through(
    fleet: Fleet | None, api: ApiEntry | None, timeout_s: float, waiting: Callable[[str], None], *, once: bool
) -> ProbeRunAnswer:
    """What the tasks found: by the API if there is one, else by the first context of the fleet that has the database.

    Never raises :class:`UserError`: whatever cannot be had is ``unmeasured``.
    """
    try:
        if api is not None:
            waiting("the API")
            with connect(api) as client:
                return through_tasks(RestWay(client, DAG_ID, REPORT_TASK), timeout_s, waiting, once=once)
        assert fleet is not None
        return fleet.with_database(
            lambda session: through_tasks(
                AgentWay(session, timeout_s, DAG_ID, REPORT_TASK), timeout_s, waiting, once=once
            )
        )
    except UserError as error:
        return ProbeRunAnswer("", unmeasured=(_said(error),))


def through_tasks(
    way: TaskWay, timeout_s: float, waiting: Callable[[str], None], *, once: bool = False
) -> ProbeRunAnswer:
    """What the tasks found; what could not be had is ``unmeasured``. Never raises :class:`UserError`.

    ``once``: no second run, whether or not there was an earlier one.
    """
    name = f"xcomctl-probe-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    found = ProbeRunAnswer("")
    started: list[str] = []
    unmeasured: tuple[str, ...] = ()
    try:
        found = _one(way, f"{name}-1", timeout_s, waiting, started)
        if not (found.prior or found.unmeasured or once):
            waiting("a second run, for pulls from an earlier one")
            found = _one(way, f"{name}-2", timeout_s, waiting, started)
            if not (found.prior or found.unmeasured):
                unmeasured = ("the second run saw no earlier one: pulls with include_prior_dates were not tried",)
    except UserError as error:
        unmeasured = (_said(error),)
    notes = found.notes
    if once and started and not (found.prior or found.unmeasured or unmeasured):
        notes = (
            *notes,
            "no earlier run of the probe was there: pulls with include_prior_dates were not tried (--once)",
        )
    return dataclasses.replace(
        found, run_id=", ".join(started), notes=notes, unmeasured=(*found.unmeasured, *unmeasured)
    )


def _said(error: UserError) -> str:
    return redact(f"{error.message}{f' ({error.hint})' if error.hint else ''}")


def _one(
    way: TaskWay, run_id: str, timeout_s: float, waiting: Callable[[str], None], started: list[str]
) -> ProbeRunAnswer:
    refused = way.trigger(run_id, {})
    if refused == UNKNOWN_DAG:
        raise UserError(
            f"Airflow knows no DAG {DAG_ID}",
            "xcomctl dags export probe DAGS_FOLDER, then wait until Airflow looks for new files",
        )
    if refused == PAUSED_DAG:
        raise UserError(f"the DAG {DAG_ID} is paused", f"airflow dags unpause {DAG_ID}")
    started.append(run_id)
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
    if found.digest != bundle.digest():
        note = f"the probe DAG carries another xcomctl than this one: {_EXPORT}, then wait until it is parsed again"
        return dataclasses.replace(found, notes=(*found.notes, note))
    return found
