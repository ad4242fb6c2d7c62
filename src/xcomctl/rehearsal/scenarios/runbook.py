"""The runbook's own rehearsal: flip, break, re-trigger, heal.

Flip to ``offload``, write values above the threshold, revert the backend with a run in flight, watch its consumers
receive path strings, clear the run, watch it heal, list what is left behind.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from xcomctl.change import retrigger
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.phases import Phase
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal.scenarios.interface import (
    CONSUMERS,
    CONTROL_FLOW,
    DAG_ID,
    HOLD,
    PRODUCER,
    RunView,
    Stage,
)
from xcomctl.rehearsal.timeline import CurrentStep

INLINE_RUN = "rehearsal-inline"
OFFLOAD_RUN = "rehearsal-offload"
IN_FLIGHT_RUN = "rehearsal-in-flight"


def play(stage: Stage) -> None:
    """Play it. Raises :class:`~xcomctl.rehearsal.timeline.ObservationMissing` where the world did not comply."""
    timeline, sandbox = stage.timeline, stage.sandbox

    phase_began = timeline.now()
    with timeline.step("inline", "Run inline: everything in the metadata database") as step:
        stage.hold(False)
        run = stage.run_and_wait(INLINE_RUN, step.waiting)
        step.waiting("an agent in Airflow's environment")
        with sandbox.agent() as agent:
            _require_phase(step, agent, Phase.INLINE)
            _require_green(stage, step, RunView.of(stage, agent, run.run_id), "inline")
            objects = _objects(agent, stage)
            step.require(
                "inline_nothing_in_store",
                "Nothing is in the store",
                not objects,
                f"{len(objects)} objects under {stage.base_path}",
            )

    timeline.add_span("phase", "inline", phase_began)
    with timeline.step("flip", f"Flip to offload, threshold {stage.threshold:,} bytes") as step:
        _redeploy(stage, step, Phase.OFFLOAD)
    phase_began = timeline.now()

    with closing(sandbox.agent()) as agent:
        with timeline.step("offload", "Run with offload: large values go to the store") as step:
            agent.start()
            run = stage.run_and_wait(OFFLOAD_RUN, step.waiting)
            stage.findings.offload = _require_phase(step, agent, Phase.OFFLOAD)
            view = RunView.of(stage, agent, run.run_id)
            _require_green(stage, step, view, "offload")
            _require_exact_offload(stage, step, agent, view)
        with timeline.step("in_flight", "Leave a run in flight at the hold point") as step:
            stage.hold(True)
            in_flight_began = timeline.now()
            sandbox.airflow.api.trigger(DAG_ID, IN_FLIGHT_RUN, stage.conf())
            _wait_for_hold(stage, step)
            held = RunView.of(stage, agent, IN_FLIGHT_RUN)
            step.require(
                "in_flight_holds_references",
                "The run in flight holds references, and no task of it runs",
                held.state(HOLD) == "scheduled" and len(held.references) == _offloaded_cells(stage),
                f"{HOLD} is {held.state(HOLD)}; {len(held.references)} references",
            )
    timeline.add_span("phase", "offload", phase_began)

    reverted_at = datetime.now(UTC)
    broken_began = timeline.now()
    with timeline.step("revert", "Bare revert to inline, as the runbook's step 1 does") as step:
        _redeploy(stage, step, Phase.INLINE)
    phase_began = timeline.now()

    with closing(sandbox.agent()) as agent:
        with timeline.step("break", "Release the run in flight: its consumers receive path strings") as step:
            agent.start()
            stage.hold(False)
            stage.wait_for_run(IN_FLIGHT_RUN, step.waiting)
            timeline.add_span("run", IN_FLIGHT_RUN, in_flight_began)
            _require_phase(step, agent, Phase.INLINE)
            broken = RunView.of(stage, agent, IN_FLIGHT_RUN)
            _require_break(stage, step, broken)

        with timeline.step("retrigger", "Find the runs in flight that hold references, clear them, wait") as step:
            step.waiting("the scan for references")
            found = retrigger.find(agent, stage.base_path, reverted_at)
            affected = found.runs
            for warning in found.warnings:
                step.warn("retrigger_scan", "The scan for references has a reservation", warning, "Look at it by hand.")
            step.require(
                "retrigger_found",
                "The affected run, and no other, is found",
                [(run.dag_id, run.run_id) for run in affected] == [(DAG_ID, IN_FLIGHT_RUN)],
                "found: " + (", ".join(f"{run.dag_id} {run.run_id}" for run in affected) or "none"),
            )
            rerun_began = timeline.now()
            for each in affected:
                for warning in retrigger.clear(agent, each).warnings:
                    step.warn("retrigger_clear", "Clearing has a reservation", warning, "Look at it by hand.")
            sandbox.family.wait_until(
                lambda: retrigger.finished(sandbox.airflow.api, affected, step.waiting) is not None,
                "the cleared runs",
                timeout_s=300,
            )
            healed_at = timeline.now()
            timeline.add_span("run", f"{IN_FLIGHT_RUN} (again)", rerun_began)
            timeline.add_span("broken", "consumers receive path strings", broken_began, healed_at)
            healed = RunView.of(stage, agent, IN_FLIGHT_RUN)
            _require_green(stage, step, healed, "healed")
            step.require(
                "healed_no_reference",
                "The healed run holds no reference any more",
                not healed.references,
                f"{len(healed.references)} references",
            )

        with timeline.step("left_behind", "List what the revert leaves behind") as step:
            _list_leftovers(stage, step, agent, expected=held)

    timeline.add_span("phase", "inline", phase_began)
    orphans = stage.findings.orphans
    stage.findings.strategies.append(
        StrategyResult(
            name="runbook",
            tasks_broken=sum(bool(broken.received(task)) for task in CONSUMERS),
            tasks_rerun=len(healed.ran_since(broken)),
            time_broken_s=round(healed_at - broken_began, 1),
            objects_orphaned=len(orphans),
            bytes_orphaned=sum(orphan["size"] for orphan in orphans),
            bytes_moved=None,
        )
    )


def _redeploy(stage: Stage, step: CurrentStep, phase: Phase) -> None:
    settings = settings_for(phase, path=stage.base_path, threshold=stage.threshold)
    with stage.timeline.span("restart", f"restart into {phase.value}"):
        took = stage.sandbox.redeploy(settings, step.waiting)
    stage.findings.restarts_s.append(round(took, 1))


def _require_phase(step: CurrentStep, agent: AgentSession, phase: Phase) -> requests.Resolution:
    resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
    step.require(
        f"{step.id}_phase",
        f"A process that starts now resolves the phase {phase.value}",
        resolution.phase == phase.value,
        f"phase {resolution.phase}: class {resolution.class_path}, path {resolution.path.value!r}, "
        f"threshold {resolution.threshold.value!r}",
        "The carrier's edit did not take: look at the sources of the settings in `data`.",
        resolution.to_json(),
    )
    return resolution


def _require_green(stage: Stage, step: CurrentStep, view: RunView, name: str) -> None:
    failed = sorted({i.task_id for i in view.instances if i.state in ("failed", "upstream_failed")})
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


def _offloaded_cells(stage: Stage) -> int:
    return sum(size >= stage.threshold for size in stage.sizes)


def _require_exact_offload(stage: Stage, step: CurrentStep, agent: AgentSession, view: RunView) -> None:
    expected = {index: size for index, size in enumerate(stage.sizes) if size >= stage.threshold}
    referenced = {
        xcom.map_index: xcom.reference
        for xcom in view.references
        if xcom.task_id == PRODUCER and xcom.key == "return_value"
    }
    objects = {item.uri: item.size for item in _objects(agent, stage)}
    sizes = {index: objects.get(uri or "") for index, uri in referenced.items()}
    step.require(
        "offload_exact",
        "Exactly the values at or above the threshold are in the store, all others inline",
        sizes == expected and len(view.references) == len(expected) and len(objects) == len(expected),
        f"{len(objects)} objects, {sum(objects.values()):,} bytes; "
        f"expected {len(expected)} with {sum(expected.values()):,} bytes; {len(view.references)} references",
        data={"expected": sorted(expected.values()), "objects": sorted(objects.values())},
    )


def _wait_for_hold(stage: Stage, step: CurrentStep) -> None:
    api = stage.sandbox.airflow.api

    def held() -> bool:
        instances = api.task_instances(DAG_ID, IN_FLIGHT_RUN)
        producers = [i for i in instances if i.task_id == PRODUCER]
        done = sum(i.state == "success" for i in producers)
        hold = next((i.state for i in instances if i.task_id == HOLD), None)
        step.waiting(f"the producers: {done} of {len(stage.sizes)} done, {HOLD} is {hold or 'not scheduled'}")
        idle = not any(i.state in ("running", "queued") for i in instances)
        return idle and done == len(stage.sizes) and hold == "scheduled"

    stage.sandbox.family.wait_until(held, "the run to reach the hold point", timeout_s=300, poll_s=0.5)


def _require_break(stage: Stage, step: CurrentStep, view: RunView) -> None:
    paths = {str(xcom.reference) for xcom in view.references}
    for task in CONSUMERS:
        got = view.received(task)
        broken = len(got) == _offloaded_cells(stage) and all(record["received"] in paths for record in got)
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
        len(intact) == len(stage.sizes) - _offloaded_cells(stage),
        f"{len(intact)} of {len(stage.sizes)} values are still equal to what was pushed",
    )


def _outcome(state: str | None) -> str:
    return {"success": "succeeded all the same", "failed": "failed"}.get(state or "", f"is {state}")


def _objects(agent: AgentSession, stage: Stage) -> list[requests.ObjectItem]:
    records = agent.stream(requests.OBJECTS, {"base_path": stage.base_path})
    return [requests.ObjectItem.from_json(record) for record in records]


def _list_leftovers(stage: Stage, step: CurrentStep, agent: AgentSession, *, expected: RunView) -> None:
    # Objects first: one that is written while we list must not look like an orphan.
    objects = _objects(agent, stage)
    items = [
        requests.ReferenceItem.from_json(record)
        for record in agent.stream(requests.REFERENCES, {"base_path": stage.base_path})
    ]
    referenced = {item.uri for item in items}
    orphans = [{"path": item.uri, "size": item.size} for item in objects if item.uri not in referenced]
    stage.findings.orphans.extend(orphans)
    step.require(
        "orphans_listed",
        "The objects of the re-triggered run are orphaned, and no others",
        {orphan["path"] for orphan in orphans} == {xcom.reference for xcom in expected.references},
        f"{len(orphans)} objects, {sum(item['size'] for item in orphans):,} bytes, that no reference names",  # type: ignore[misc]
        data={"orphans": orphans},
    )
    stranded = [item for item in items if item.kind == requests.REFERENCE and item.run_state in ("success", "failed")]
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
