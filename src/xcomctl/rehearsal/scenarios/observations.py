"""Observations that several scenarios require, and the looks at the store and the database behind them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.killswitch import ACTION, REHYDRATE
from xcomctl.model.phases import Phase
from xcomctl.model.rehydrate import RehydrateAnswer
from xcomctl.model.verdicts import Verdict
from xcomctl.rehearsal.scenarios.interface import CONSUMERS, DAG_ID, PRODUCER, Stage
from xcomctl.rehearsal.scenarios.runs import CONTROL_FLOW, RunView
from xcomctl.rehearsal.timeline import CurrentStep

#: Nothing of the rehearsal runs when it waits for a barrier: what is left then does not go away, in seconds.
BARRIER_TIMEOUT_S = 60.0
_POLL_S = 2.0


def require_phase(stage: Stage, step: CurrentStep, name: str = "") -> requests.Resolution:
    """A process that starts now resolves the phase that Airflow is in. ``name`` begins the check's id, else the step's."""
    resolution = requests.Resolution.from_json(stage.agent.request(requests.RESOLVE))
    if resolution.phase == Phase.OFFLOAD.value:
        stage.findings.offload = resolution
    step.require(
        f"{name or step.id}_phase",
        f"A process that starts now resolves the phase {stage.phase.value}",
        resolution.phase == stage.phase.value,
        f"phase {resolution.phase}: class {resolution.class_path}, path {resolution.path.value!r}, "
        f"threshold {resolution.threshold.value!r}",
        "The carrier's edit did not take: look at the sources of the settings in `data`.",
        resolution.to_json(),
    )
    return resolution


def require_barrier(stage: Stage, step: CurrentStep, following: Phase) -> None:
    """The step's barrier is passed, as ``xcomctl wait`` waits for it before ``xcomctl flip`` takes the next step."""
    until = stage.timeline.now() + BARRIER_TIMEOUT_S
    found = stage.barrier(step.waiting, following).barrier
    while not found.passed and stage.timeline.now() < until:
        step.waiting(f"the barrier of {stage.phase.value}")
        time.sleep(_POLL_S)
        found = stage.barrier(step.waiting, following).barrier
    held_by = [*(f"{each.name} {each.reason}" for each in found.blockers), *found.unknown]
    step.require(
        f"{step.id}_barrier",
        f"Nothing that began before {stage.phase.value} is left: the barrier is passed",
        found.passed,
        "; ".join(held_by) or f"{found.passage}; everything old was gone at {found.moment}",
        "See xcomctl wait: what holds it, and the ways out, are in `data`.",
        found.to_json(),
    )


def require_green(stage: Stage, step: CurrentStep, view: RunView, name: str) -> None:
    """The run is green, its consumers got what was pushed, and what rides on XComs went the right way."""
    failed = view.failed()
    step.require(
        f"{name}_run_green",
        f"Run {view.run.run_id} is green",
        view.run.state == "success",
        f"the run is {view.run.state}" + (f"; failed: {', '.join(failed)}" if failed else ""),
    )
    step.require(
        f"{name}_values_verified",
        "Every consumer got what was pushed, by type and digest",
        view.values_verified(len(stage.sizes)) and not any(view.received(task) for task in CONSUMERS),
        f"{sum(r['equal'] for r in view.observed('compare_cells'))} of {len(stage.sizes)} values are equal",
    )
    flow = view.control_flow()
    step.require(
        f"{name}_control_flow",
        "Branch, short-circuit and expansion went the way that their XComs say",
        flow == CONTROL_FLOW and sum(i.task_id == PRODUCER for i in view.instances) == len(stage.sizes),
        ", ".join(f"{task} {state}" for task, state in flow.items()),
    )


def require_in_flight(stage: Stage, step: CurrentStep, name: str, run_id: str, dag_id: str = DAG_ID) -> RunView:
    """Trigger a run, hold it between its producers and its consumers, and look at the references that it holds."""
    stage.hold(True, dag_id)
    stage.trigger(run_id, dag_id)
    stage.wait_for_hold(run_id, step.waiting, dag_id)
    held = RunView.of(stage, run_id, dag_id)
    step.require(
        f"{name}_holds_references",
        "The run in flight holds references, and no task of it runs",
        len(held.references) == offloaded_cells(stage),
        f"{len(held.references)} references",
    )
    return held


def rerun(stage: Stage, step: CurrentStep, run_id: str, tasks: Sequence[tuple[str, int | None]]) -> RunView:
    """Clear these tasks of a run (every index where it is ``None``) and wait until the run is over."""
    with stage.timeline.span("run", f"{run_id} (again)"):
        params = {"dag_id": DAG_ID, "run_id": run_id, "tasks": [list(task) for task in tasks]}
        answer = requests.ClearAnswer.from_json(stage.agent.request(requests.CLEAR, params))
        for warning in answer.warnings:
            step.warn(f"{step.id}_clear", "Clearing has a reservation", warning, "Look at it by hand.")
        stage.wait_for_run(run_id, step.waiting)
    return RunView.of(stage, run_id)


def broken_tasks(view: RunView) -> int:
    """Consumers that received a path string where data was expected, whatever their state."""
    return sum(bool(view.received(task)) for task in CONSUMERS)


def offloaded_cells(stage: Stage) -> int:
    """How many values of a run go into the store under ``offload``."""
    return sum(size >= stage.threshold for size in stage.sizes)


@dataclass(frozen=True)
class Rehydrated:
    """What the last kill-switch wrote back: rows, bytes of JSON, the seconds that took, and when it was done."""

    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    at: datetime | None = None


def rehydrated(stage: Stage) -> Rehydrated:
    """The same, as the journal tells; of the last kill-switch that was begun."""
    found = Rehydrated()
    for entry in opened(stage.journal).entries():
        if entry.action == ACTION and entry.verdict is None:
            found = Rehydrated()
        if entry.action == f"{ACTION}.{REHYDRATE}" and entry.verdict is Verdict.OK and "answer" in entry.data:
            answer = RehydrateAnswer.from_json(entry.data["answer"])
            found = Rehydrated(answer.rows, answer.bytes, float(entry.data["seconds"]), parse_time(entry.at))
    return found


def objects_of(stage: Stage) -> list[requests.ObjectItem]:
    """Every object under the base path."""
    records = stage.agent.stream(requests.OBJECTS, {"base_path": stage.base_path})
    return [requests.ObjectItem.from_json(record) for record in records]


def references_of(stage: Stage) -> list[requests.ReferenceItem]:
    """Every reference in the metadata database."""
    records = stage.agent.stream(requests.REFERENCES, {"base_path": stage.base_path})
    return [requests.ReferenceItem.from_json(record) for record in records]


def new_orphans(stage: Stage) -> list[Mapping[str, Any]]:
    """The objects that no reference names and that no scenario has reported yet; reported from now on."""
    # Objects first: one that is written while we list must not look like an orphan.
    objects = objects_of(stage)
    accounted = {item.uri for item in references_of(stage)} | {orphan["path"] for orphan in stage.findings.orphans}
    found: list[Mapping[str, Any]] = [
        {"path": item.uri, "size": item.size} for item in objects if item.uri not in accounted
    ]
    stage.findings.orphans.extend(found)
    return found
