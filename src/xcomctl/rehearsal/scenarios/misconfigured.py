"""The variables of common.io removed with the backend kept, as the runbook's way back allows: it is no way back.

The carrier says so for a moment and nothing is deployed: what a process that starts then would resolve is what counts.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from xcomctl.assess.fleet import Fleet
from xcomctl.change import flip, observed
from xcomctl.change.carrier_edit import edit_for
from xcomctl.change.observed import Standing
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.model import requests
from xcomctl.model.phases import Line, Phase
from xcomctl.model.transitions import MISCONFIGURATIONS, Direction, Misconfiguration, ValueForm
from xcomctl.model.verdicts import Status
from xcomctl.rehearsal.scenarios.interface import Stage
from xcomctl.rehearsal.scenarios.runbook import finished_run
from xcomctl.rehearsal.scenarios.runs import RunView
from xcomctl.rehearsal.timeline import CurrentStep


def play(stage: Stage) -> None:
    """Edit the carrier, look from a fresh process, put it back."""
    carrier = stage.sandbox.airflow.carrier
    with stage.timeline.step("misconfigured", "Remove the variables, keep the backend: refused and detected") as step:
        reference = str(RunView.of(stage, finished_run(stage)).references[0].reference)
        with _without_variables(carrier), Fleet([stage.sandbox.reach()], lambda name, line: None) as fleet:
            session = fleet.contexts[0].session
            found = observed.standing(fleet, step.waiting)
            _require_detected(step, session, found)
            _require_path(step, session, stage.base_path, reference, found.line)
            _require_refused(stage, step, fleet, found)
            repair = flip.step_to(found, Phase.DUAL_READ, fleet_stopped=False, options="")
            edit = edit_for(EnvFile.read(carrier), Phase.DUAL_READ, found.line, SettingsEntry(path=stage.base_path))
            step.require(
                "misconfigured_repair",
                "The repair is one step to dual-read, where every reference resolves again",
                repair.direction is Direction.REPAIR and edit.phase_after.phase is Phase.DUAL_READ,
                f"from {edit.phase_before.phase.value} to {edit.phase_after.phase.value}: {edit.phase_after.reason}",
            )


def _require_detected(step: CurrentStep, session: AgentSession, found: Standing) -> None:
    asked = {"phase": Phase.OFFLOAD.value, "only": ["config_phase"]}
    checks = {record["id"]: record for record in session.stream(requests.PREFLIGHT, asked)}
    judged = checks.get("config_phase", {}).get("status")
    step.require(
        "misconfigured_detected",
        "A process that starts now resolves misconfigured, and the pre-flight fails",
        found.phase is Phase.MISCONFIGURED and judged == Status.FAIL.value,
        f"phase {found.resolution.phase}: {found.resolution.reason}; config_phase {judged}",
        data=found.resolution.to_json(),
    )


def _require_refused(stage: Stage, step: CurrentStep, fleet: Fleet, found: Standing) -> None:
    try:
        flip.step_to(found, Phase.OFFLOAD, fleet_stopped=False, options="")
        said = "a flip to offload is not refused"
        refused = False
    except flip.Refused as error:
        said, refused = error.message, True
    barrier = stage.barrier(step.waiting, fleet=fleet).barrier
    step.require(
        "misconfigured_refused",
        "A flip to offload is refused, and so is every step that waits for the barrier",
        refused and not barrier.passed,
        "; ".join([said, *(f"{each.name} {each.reason}" for each in barrier.blockers), *barrier.unknown]),
        data=barrier.to_json(),
    )


def _require_path(step: CurrentStep, session: AgentSession, base_path: str, reference: str, line: Line) -> None:
    stored = (
        {"base64": base64.b64encode(json.dumps(reference).encode()).decode()}
        if line is Line.AF2
        else {"json": reference}
    )
    form = {"value_id": ValueForm.LARGE.value, "stored": stored}
    answer = requests.ReadAnswer.from_json(
        session.request(requests.ROUNDTRIP_READ, {"stored": [form], "base_path": base_path})
    )
    (got,) = answer.read
    step.require(
        "misconfigured_hands_over_paths",
        "A reader would receive the path string instead of the data",
        got.type == "str" and got.error is None,
        f"a {got.type}: {got.excerpt}",
    )


@contextlib.contextmanager
def _without_variables(path: Path) -> Iterator[None]:
    carrier = EnvFile.read(path)
    edit = carrier.edit(dict(MISCONFIGURATIONS[Misconfiguration.VARIABLES_REMOVED]))
    carrier.write(edit)
    try:
        yield
    finally:
        EnvFile.read(path).write(edit.inverse())
