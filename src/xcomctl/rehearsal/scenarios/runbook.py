"""The runbook's own rehearsal: flip, break, re-trigger, heal.

Flip to ``offload``, write values above the threshold, revert the backend with a run in flight, watch its consumers
receive path strings, clear the run, watch it heal, list what is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xcomctl.change import retrigger
from xcomctl.change.clearing import AgentWay
from xcomctl.clients.airflow_api import FINISHED_RUN_STATES
from xcomctl.model import requests
from xcomctl.model.phases import Phase
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.model.retrigger import SUSPECT, Span, SuspectsQuery
from xcomctl.rehearsal.scenarios.interface import CONSUMERS, DAG_ID, PRODUCER, Stage
from xcomctl.rehearsal.scenarios.observations import (
    broken_tasks,
    new_orphans,
    objects_of,
    offloaded_cells,
    references_of,
    require_green,
    require_in_flight,
    require_phase,
)
from xcomctl.rehearsal.scenarios.runs import RunView
from xcomctl.rehearsal.timeline import CurrentStep

INLINE_RUN = "rehearsal-inline"
OFFLOAD_RUN = "rehearsal-offload"
#: A run for what is tried before the runbook has its own: by then its references are back in the database.
EARLY_RUN = "rehearsal-early"
IN_FLIGHT_RUN = "rehearsal-in-flight"


def offload(stage: Stage) -> None:
    """A run under ``offload``: exactly the large values are in the store, and everything arrives as it was pushed."""
    with stage.timeline.step("offload", "Run with offload: large values go to the store") as step:
        stage.hold(False)
        run = stage.run_and_wait(OFFLOAD_RUN, step.waiting)
        require_phase(stage, step)
        view = RunView.of(stage, run.run_id)
        require_green(stage, step, view, "offload")
        _require_exact_offload(stage, step, view)


def early(stage: Stage) -> None:
    """A run under ``offload`` before the one that everything is measured by."""
    with stage.timeline.step("offload_early", "Run with offload, for what is tried on its values") as step:
        stage.hold(False)
        run = stage.run_and_wait(EARLY_RUN, step.waiting)
        require_green(stage, step, RunView.of(stage, run.run_id), "offload_early")


def finished_run(stage: Stage) -> str:
    """The run under ``offload`` that is there to be read."""
    return EARLY_RUN if EARLY_RUN in stage.runs else OFFLOAD_RUN


class Runbook:
    """What the runbook does, act by act."""

    _held: RunView

    def inline(self, stage: Stage) -> None:
        """A run before anything is changed."""
        with stage.timeline.step("inline", "Run inline: everything in the metadata database") as step:
            stage.hold(False)
            run = stage.run_and_wait(INLINE_RUN, step.waiting)
            step.waiting("an agent in Airflow's environment")
            require_phase(stage, step)
            require_green(stage, step, RunView.of(stage, run.run_id), "inline")
            objects = objects_of(stage)
            step.require(
                "inline_nothing_in_store",
                "Nothing is in the store",
                not objects,
                f"{len(objects)} objects under {stage.base_path}",
            )

    def in_flight(self, stage: Stage) -> None:
        """A run that the revert will hit."""
        with stage.timeline.step("in_flight", "Leave a run in flight at the hold point") as step:
            self._in_flight_s = stage.timeline.now()
            self._held = require_in_flight(stage, step, "in_flight", IN_FLIGHT_RUN)

    def reverted(self, stage: Stage) -> None:
        """What the bare revert broke, the repair, and what it leaves behind."""
        timeline = stage.timeline
        with timeline.step("break", "Release the run in flight: its consumers receive path strings") as step:
            stage.hold(False)
            stage.wait_for_run(IN_FLIGHT_RUN, step.waiting)
            timeline.add_span("run", IN_FLIGHT_RUN, self._in_flight_s)
            require_phase(stage, step)
            broken = RunView.of(stage, IN_FLIGHT_RUN)
            _require_break(stage, step, broken)

        with timeline.step(
            "retrigger", "Find the suspects of the revert, clear them and their producers, wait"
        ) as step:
            rerun_began = timeline.now()
            _retrigger(stage, step)
            healed_at = timeline.now()
            timeline.add_span("run", f"{IN_FLIGHT_RUN} (again)", rerun_began)
            timeline.add_span("broken", "consumers receive path strings", stage.moved_s, healed_at)
            healed = RunView.of(stage, IN_FLIGHT_RUN)
            require_green(stage, step, healed, "healed")
            step.require(
                "healed_no_reference",
                "The healed run holds no reference any more",
                not healed.references,
                f"{len(healed.references)} references",
            )

        with timeline.step("left_behind", "List what the revert leaves behind") as step:
            orphans = _list_leftovers(stage, step, self._held)

        stage.findings.strategies.append(
            StrategyResult(
                name="runbook",
                tasks_broken=broken_tasks(broken),
                tasks_rerun=len(healed.ran_again(broken)),
                time_broken_s=round(healed_at - stage.moved_s, 1),
                objects_orphaned=len(orphans),
                bytes_orphaned=sum(orphan["size"] for orphan in orphans),
                bytes_moved=None,
            )
        )


def _retrigger(stage: Stage, step: CurrentStep) -> None:
    step.waiting("the scan for suspects")
    reverted = Span(stage.moved_at.isoformat(), None, Phase.INLINE.value, "the backend was reverted to inline")
    query = SuspectsQuery(stage.base_path, windows=(reverted,), producers=True)
    found = retrigger.look(stage.agent, query, step.waiting)
    for warning in (*found.answer.warnings, *(said for run in found.runs for said in run.warnings)):
        step.warn("retrigger_scan", "The scan for suspects has a reservation", warning, "Look at it by hand.")
    step.require(
        "retrigger_found",
        "The affected run, and no other, is found, with every consumer of it",
        [run.key for run in found.clearable] == [(DAG_ID, IN_FLIGHT_RUN)]
        and set(CONSUMERS) <= {each.task_id for each in found.clearable[0].to_clear if each.role == SUSPECT},
        "found: " + (", ".join(f"{run.dag_id} {run.run_id}" for run in found.clearable) or "none"),
        data={"runs": [run.to_json() for run in found.runs]},
    )
    for affected in found.clearable:
        for warning in AgentWay(stage.agent).clear(affected, ()).warnings:
            step.warn("retrigger_clear", "Clearing has a reservation", warning, "Look at it by hand.")
    for affected in found.clearable:
        stage.wait_for_run(affected.run_id, step.waiting)


def _require_exact_offload(stage: Stage, step: CurrentStep, view: RunView) -> None:
    expected = {index: size for index, size in enumerate(stage.sizes) if size >= stage.threshold}
    referenced = {
        xcom.map_index: xcom.reference
        for xcom in view.references
        if xcom.task_id == PRODUCER and xcom.key == "return_value"
    }
    own = f"{stage.base_path.rstrip('/')}/{DAG_ID}/{OFFLOAD_RUN}/"
    objects = {item.uri: item.size for item in objects_of(stage) if item.uri.startswith(own)}
    sizes = {index: objects.get(uri or "") for index, uri in referenced.items()}
    step.require(
        "offload_exact",
        "Exactly the values at or above the threshold are in the store, all others inline",
        sizes == expected and len(view.references) == len(expected) and len(objects) == len(expected),
        f"{len(objects)} objects, {sum(objects.values()):,} bytes; "
        f"expected {len(expected)} with {sum(expected.values()):,} bytes; {len(view.references)} references",
        data={"expected": sorted(expected.values()), "objects": sorted(objects.values())},
    )


def _require_break(stage: Stage, step: CurrentStep, view: RunView) -> None:
    paths = {str(xcom.reference) for xcom in view.references}
    for task in CONSUMERS:
        got = view.received(task)
        broken = len(got) == offloaded_cells(stage) and all(record["received"] in paths for record in got)
        sample = got[0]["received"] if got else None
        step.require(
            "break_path_string" if task == "summarise" else "break_path_string_compared",
            f"{task} receives the path string instead of the data",
            broken,
            f"{len(got)} of {len(stage.sizes)} values arrived as a path string; the task {_outcome(view.state(task))}"
            + (f"; it got {sample}" if sample else ""),
            "The break did not happen: the revert did not reach the processes, or nothing was offloaded.",
            {
                "dag_id": DAG_ID,
                "run_id": IN_FLIGHT_RUN,
                "task_id": task,
                "task_state": view.state(task),
                "received": sample,
                "all_received": [record["received"] for record in got],
            },
        )
    intact = [r for r in view.observed("compare_cells") if r["equal"]]
    step.require(
        "break_inline_intact",
        "Values below the threshold are untouched by the revert",
        len(intact) == len(stage.sizes) - offloaded_cells(stage),
        f"{len(intact)} of {len(stage.sizes)} values are still equal to what was pushed",
    )


def _outcome(state: str | None) -> str:
    return {"success": "succeeded all the same", "failed": "failed"}.get(state or "", f"is {state}")


def _list_leftovers(stage: Stage, step: CurrentStep, expected: RunView) -> list[Mapping[str, Any]]:
    orphans = new_orphans(stage)
    step.require(
        "orphans_listed",
        "The objects of the re-triggered run are orphaned, and no others",
        {orphan["path"] for orphan in orphans} == {xcom.reference for xcom in expected.references},
        f"{len(orphans)} objects, {sum(item['size'] for item in orphans):,} bytes, that no reference names",
        data={"orphans": orphans},
    )
    stranded = [
        item
        for item in references_of(stage)
        if item.kind == requests.REFERENCE and item.run_state in FINISHED_RUN_STATES
    ]
    stage.findings.stranded = len(stranded)
    if stranded:
        step.warn(
            "references_stranded",
            "Finished runs still hold references, which inline hands over as path strings",
            f"{len(stranded)} references of finished runs; a task of theirs that is cleared alone, or a pull from "
            "another run, receives the path",
            "Stay in dual-read after a flip (backend kept, threshold -1): there every reference still resolves.",
            {"runs": sorted({item.run_id for item in stranded})},
        )
    return orphans
