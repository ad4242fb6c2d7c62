"""A run at two moments: which instances ran once more, and which ran for the first time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from xcomctl.clients.airflow_api import DagRun, TaskInstance
from xcomctl.rehearsal.scenarios.runs import RunView

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
AGAIN = FIRST + timedelta(minutes=5)


def view(**instances: tuple[str | None, datetime | None]) -> RunView:
    run = DagRun("dag", "run", "running", FIRST, None)
    found = [TaskInstance(task, -1, state, 1, start, None) for task, (state, start) in instances.items()]
    return RunView(run, found, [])


def test_what_had_ended_and_started_anew_ran_again() -> None:
    held = view(a=("success", FIRST), b=("success", FIRST), c=("failed", FIRST), hold=("scheduled", None))
    later = view(a=("success", AGAIN), b=("success", FIRST), c=("success", AGAIN), hold=("success", AGAIN))
    assert [each.task_id for each in later.ran_again(held)] == ["a", "c"]


def test_what_has_not_ended_yet_or_was_skipped_did_not() -> None:
    before = view(a=("success", FIRST), b=("skipped", FIRST), c=("running", FIRST))
    later = view(a=("running", AGAIN), b=("success", AGAIN), c=("success", AGAIN))
    assert later.ran_again(before) == []


def test_what_failed_includes_what_waited_for_it() -> None:
    assert view(a=("failed", FIRST), b=("upstream_failed", None), c=("success", FIRST)).failed() == ["a", "b"]
