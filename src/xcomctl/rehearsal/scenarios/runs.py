"""A run of the reference DAG, looked at: what it did, what it holds, what its consumers got."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xcomctl.clients.airflow_api import DagRun, TaskInstance
from xcomctl.model import requests
from xcomctl.rehearsal.scenarios.interface import DAG_ID, Stage

#: States of an instance that ran to an end.
_RAN = ("success", "failed")


@dataclass(frozen=True)
class RunView:
    """A run at one moment, looked at in the metadata database and through the REST API."""

    run: DagRun
    instances: Sequence[TaskInstance]
    xcoms: Sequence[requests.XcomItem]

    @classmethod
    def of(cls, stage: Stage, run_id: str, dag_id: str = DAG_ID) -> RunView:
        """Look at a run now."""
        api = stage.sandbox.airflow.api
        # What a consumer records per cell holds the path string at the most; the cells themselves are not needed.
        largest = 10_000 + 3_000 * len(stage.sizes)
        records = stage.agent.stream(
            requests.XCOMS,
            {"dag_id": dag_id, "run_id": run_id, "values_below": largest, "base_path": stage.base_path},
        )
        xcoms = [requests.XcomItem.from_json(record) for record in records]
        return cls(api.run(dag_id, run_id), api.task_instances(dag_id, run_id), xcoms)

    @property
    def references(self) -> list[requests.XcomItem]:
        """The XComs of the run that lie in the store."""
        return [xcom for xcom in self.xcoms if xcom.reference is not None]

    def ran_again(self, before: RunView) -> list[TaskInstance]:
        """The instances that had run to an end at an earlier look at the same run, and did so once more since."""
        ended = {(i.task_id, i.map_index): i.start_date for i in before.instances if i.state in _RAN}
        return [
            i for i in self.instances
            if i.state in _RAN and i.start_date != ended.get((i.task_id, i.map_index), i.start_date)
        ]  # fmt: skip

    def state(self, task_id: str) -> str | None:
        """The state of an unmapped task."""
        return next((i.state for i in self.instances if i.task_id == task_id), None)

    def observed(self, task_id: str) -> list[dict[str, Any]]:
        """What a consumer recorded; empty if it recorded nothing."""
        for xcom in self.xcoms:
            if xcom.task_id == task_id and xcom.key == "observed":
                return list(xcom.value or ())
        return []

    def failed(self) -> list[str]:
        """The tasks that failed, or whose upstream did."""
        return sorted({i.task_id for i in self.instances if i.state in ("failed", "upstream_failed")})

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
