"""Re-trigger: find the runs that hold references, clear them so that their producers run again, wait until green.

This is the repair after a bare revert to ``inline``. A task cleared in such a run pushes its value again, inline now,
and everything downstream reads data instead of a path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from xcomctl.clients.airflow_api import FINISHED_RUN_STATES, AirflowApi, DagRun
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
class Found:
    """What a scan for affected runs found; ``warnings`` say what it could not look into."""

    runs: tuple[AffectedRun, ...]
    warnings: tuple[str, ...]


def find(agent: AgentSession, base_path: str, since: datetime) -> Found:
    """The runs that hold references under ``base_path`` and were not over at ``since``, by DAG and run id.

    A path that a task passed on (an alias) counts too: whoever reads it gets a path string as well.
    """
    counts: dict[tuple[str, str], int] = {}
    states: dict[tuple[str, str], str | None] = {}
    stream = agent.stream(requests.REFERENCES, {"base_path": base_path})
    for record in stream:
        item = requests.ReferenceItem.from_json(record)
        if item.kind != requests.FOREIGN and not _over_at(since, item):
            key = item.dag_id, item.run_id
            counts[key] = counts.get(key, 0) + 1
            states[key] = item.run_state
    totals = requests.ReferencesAnswer.from_json(stream.result())
    warnings = list(totals.warnings)
    if totals.pickled:
        warnings.append(f"{totals.pickled} pickled XComs could not be looked into")
    return Found(tuple(AffectedRun(*key, states[key], count) for key, count in sorted(counts.items())), tuple(warnings))


def _over_at(since: datetime, item: requests.ReferenceItem) -> bool:
    # Both: an end alone says nothing of a run that was set to run again by some other way than Airflow's clear.
    return (
        item.run_state in FINISHED_RUN_STATES
        and item.run_end is not None
        and datetime.fromisoformat(item.run_end) <= since
    )


def clear(agent: AgentSession, run: AffectedRun) -> requests.ClearAnswer:
    """Clear every task instance of the run, whatever its state, and set the run to be scheduled again."""
    answer = agent.request(requests.CLEAR, {"dag_id": run.dag_id, "run_id": run.run_id, "tasks": None})
    return requests.ClearAnswer.from_json(answer)


def finished(api: AirflowApi, runs: Sequence[AffectedRun], waiting: Callable[[str], None]) -> list[DagRun] | None:
    """The runs as the API shows them once all are over, green or not; ``None`` while one is not. To be polled."""
    seen = [api.run(run.dag_id, run.run_id) for run in runs]
    for run in seen:
        if not run.finished:
            waiting(f"{run.dag_id} {run.run_id}, which is {run.state}")
            return None
    return seen
