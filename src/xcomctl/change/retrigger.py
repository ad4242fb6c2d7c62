"""Re-trigger: find the runs that hold references, clear them so that their producers run again, wait until green.

This is the repair after a bare revert to ``inline``. A task cleared in such a run pushes its value again, inline now,
and everything downstream reads data instead of a path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from xcomctl.clients.airflow_api import AirflowApi, DagRun
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests


@dataclass(frozen=True)
class AffectedRun:
    """A run that holds references and was not over when the revert began."""

    dag_id: str
    run_id: str
    state: str | None
    references: int


@dataclass(frozen=True)
class Cleared:
    """What was cleared in one run; ``had_run`` counts the instances that had run, and so run once more."""

    run: AffectedRun
    instances: tuple[requests.ClearedInstance, ...]

    @property
    def had_run(self) -> int:
        """Instances that had run to an end before, in whatever way."""
        return sum(instance.state_before in ("success", "failed") for instance in self.instances)


def find(agent: AgentSession, base_path: str, since: datetime) -> list[AffectedRun]:
    """The runs that hold references under ``base_path`` and were unfinished at ``since``, by DAG and run id."""
    counts: dict[tuple[str, str], int] = {}
    states: dict[tuple[str, str], str | None] = {}
    for record in agent.stream(requests.REFERENCES, {"base_path": base_path}):
        item = requests.ReferenceItem.from_json(record)
        over_before = item.run_end is not None and datetime.fromisoformat(item.run_end) <= since
        if item.kind == requests.REFERENCE and not over_before:
            key = item.dag_id, item.run_id
            counts[key] = counts.get(key, 0) + 1
            states[key] = item.run_state
    return [AffectedRun(*key, states[key], count) for key, count in sorted(counts.items())]


def clear(agent: AgentSession, run: AffectedRun) -> Cleared:
    """Clear every task instance of the run, whatever its state, and set the run to be scheduled again."""
    answer = agent.request(requests.CLEAR, {"dag_id": run.dag_id, "run_id": run.run_id, "tasks": None})
    return Cleared(run, requests.ClearAnswer.from_json(answer).cleared)


def finished(api: AirflowApi, runs: Sequence[AffectedRun], waiting: Callable[[str], None]) -> list[DagRun] | None:
    """The runs as the API shows them once all are over, ``None`` while one is not. To be polled."""
    seen = [api.run(run.dag_id, run.run_id) for run in runs]
    for run in seen:
        if not run.finished:
            waiting(f"{run.dag_id} {run.run_id}, which is {run.state}")
            return None
    return seen
