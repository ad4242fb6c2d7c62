"""What a scenario is given, and what every scenario does with it: run the reference DAG and look at what it left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from xcomctl.clients.airflow_api import DagRun, TaskInstance
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.rehearsal.sandbox.airflow import HOLD_POOL
from xcomctl.rehearsal.sandbox.deployment import Sandbox
from xcomctl.rehearsal.timeline import Timeline

DAG_ID = "diagnostic__s42"
PRODUCER = "discriminate_cell"
CONSUMERS = ("compare_cells", "summarise")
HOLD = "hold"

#: Of the reference DAG, in bytes: what a cell's dict has at the least, and what a consumer records per cell.
SMALLEST_CELL = 200
RECORD_BYTES = 400

#: No run of the reference DAG takes longer on a machine that works, in seconds.
RUN_TIMEOUT_S = 300.0


def cell_sizes(threshold: int) -> tuple[int, ...]:
    """Sizes of the cells in bytes: a few kB, near the threshold, one byte below it, on it, above it."""
    small = (size for size in (2_000, 3_000, 5_000, 8_000, 40_000) if size < threshold // 2)
    return (*small, threshold * 15 // 16, threshold - 1, threshold, threshold * 5 // 4)


def size_problem(sizes: tuple[int, ...], threshold: int) -> str | None:
    """Why values of these sizes could not show the break, in a sentence; ``None`` if they can."""
    if min(sizes) < SMALLEST_CELL:
        return f"a value of the reference DAG has at least {SMALLEST_CELL} bytes"
    if max(sizes) < threshold or min(sizes) >= threshold:
        return f"the sizes need one below the threshold of {threshold} bytes, and one from it up"
    if len(sizes) > threshold // RECORD_BYTES:
        # What the consumers record about the cells has to stay inline itself.
        return f"with a threshold of {threshold} bytes there is room for {threshold // RECORD_BYTES} sizes"
    return None


@dataclass
class Findings:
    """What a scenario adds to the report besides its steps and observations."""

    strategies: list[StrategyResult] = field(default_factory=list)
    orphans: list[Mapping[str, Any]] = field(default_factory=list)
    stranded: int | None = None
    restarts_s: list[float] = field(default_factory=list)
    #: What Airflow resolved in the phase ``offload``, once it was there.
    offload: requests.Resolution | None = None


@dataclass
class Stage:
    """The sandbox with what a scenario needs around it."""

    sandbox: Sandbox
    timeline: Timeline
    threshold: int
    sizes: tuple[int, ...]
    findings: Findings = field(default_factory=Findings)

    @property
    def base_path(self) -> str:
        """Where XComs are offloaded to."""
        assert self.sandbox.store is not None
        return self.sandbox.store.path

    def conf(self) -> dict[str, Any]:
        """The parameters of every run of the reference DAG."""
        return {"crypto_group": "defi_top5", "cell_sizes": list(self.sizes)}

    def hold(self, held: bool) -> None:
        """Close the hold point between producers and consumers, or open it."""
        slots = 0 if held else 1
        self.sandbox.airflow.api.set_pool(HOLD_POOL, slots, "Hold point of the rehearsal: 0 slots hold, 1 releases.")

    def wait_for_run(self, run_id: str, waiting: Callable[[str], None]) -> DagRun:
        """Wait until the run is over. Raises a :class:`~xcomctl.errors.UserError` if that takes too long."""
        api = self.sandbox.airflow.api

        def over() -> bool:
            counts: dict[str, int] = {}
            for instance in api.task_instances(DAG_ID, run_id):
                counts[instance.state or "not started"] = counts.get(instance.state or "not started", 0) + 1
            states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            waiting(f"run {run_id}: {states}")
            return api.run(DAG_ID, run_id).finished

        self.sandbox.family.wait_until(over, f"run {run_id}", timeout_s=RUN_TIMEOUT_S, poll_s=0.5)
        return api.run(DAG_ID, run_id)

    def run_and_wait(self, run_id: str, waiting: Callable[[str], None]) -> DagRun:
        """Trigger a run of the reference DAG and wait until it is over."""
        with self.timeline.span("run", run_id):
            self.sandbox.airflow.api.trigger(DAG_ID, run_id, self.conf())
            return self.wait_for_run(run_id, waiting)


class Scenario(Protocol):
    """One way down, played on the stage."""

    def __call__(self, stage: Stage) -> None:
        """Play it. Raises :class:`~xcomctl.rehearsal.timeline.ObservationMissing` where the world did not comply."""


@dataclass(frozen=True)
class RunView:
    """A finished run, looked at in the metadata database and through the REST API."""

    run: DagRun
    instances: Sequence[TaskInstance]
    xcoms: Sequence[requests.XcomItem]

    @classmethod
    def of(cls, stage: Stage, agent: AgentSession, run_id: str) -> RunView:
        """Look at a run now."""
        api = stage.sandbox.airflow.api
        # What a consumer records per cell holds the path string at the most; the cells themselves are not needed.
        largest = 10_000 + 3_000 * len(stage.sizes)
        records = agent.stream(
            requests.XCOMS,
            {"dag_id": DAG_ID, "run_id": run_id, "values_below": largest, "base_path": stage.base_path},
        )
        xcoms = [requests.XcomItem.from_json(record) for record in records]
        return cls(api.run(DAG_ID, run_id), api.task_instances(DAG_ID, run_id), xcoms)

    @property
    def references(self) -> list[requests.XcomItem]:
        """The XComs of the run that lie in the store."""
        return [xcom for xcom in self.xcoms if xcom.reference is not None]

    def ran_since(self, before: RunView) -> list[TaskInstance]:
        """The instances that ran to an end again since an earlier look at the same run."""
        started = {(i.task_id, i.map_index): i.start_date for i in before.instances}
        return [
            i
            for i in self.instances
            if i.state in ("success", "failed") and i.start_date != started.get((i.task_id, i.map_index))
        ]

    def state(self, task_id: str) -> str | None:
        """The state of an unmapped task."""
        return next((i.state for i in self.instances if i.task_id == task_id), None)

    def observed(self, task_id: str) -> list[dict[str, Any]]:
        """What a consumer recorded; empty if it recorded nothing."""
        for xcom in self.xcoms:
            if xcom.task_id == task_id and xcom.key == "observed":
                return list(xcom.value or ())
        return []

    def values_verified(self, cells: int) -> bool:
        """Whether the comparing consumer got every cell, each a dict that equals what was pushed."""
        records = self.observed("compare_cells")
        return len(records) == cells and all(r["equal"] and r["got"]["type"] == "dict" for r in records)

    def received(self, task_id: str) -> list[dict[str, Any]]:
        """The records of a consumer in which it received a string where a dict was pushed."""
        return [record for record in self.observed(task_id) if "received" in record]

    def control_flow(self) -> dict[str, str | None]:
        """The states of what a branch, a short-circuit and an expansion decided about."""
        return {task: self.state(task) for task in ("many_cells", "one_cell", "wants_deep_dive", "deep_dive")}


#: What :meth:`RunView.control_flow` has to be when the XComs that decide arrived as what they were.
CONTROL_FLOW = {"many_cells": "success", "one_cell": "skipped", "wants_deep_dive": "success", "deep_dive": "skipped"}
