"""Clearing through the REST API: nothing that runs is killed unless it is named, whatever the API can spare."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import pytest

from xcomctl.change.clearing import ApiWay
from xcomctl.clients.airflow_api import ApiError, ApiSparesNothing, DagRun, TaskInstance
from xcomctl.model.retrigger import SUSPECT, SuspectInstance, SuspectRun
from xcomctl.model.retriggered import Cleared

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)


def run(*task_ids: str) -> SuspectRun:
    instances = tuple(SuspectInstance(task_id, -1, "success", SUSPECT, "why", clear=True) for task_id in task_ids)
    return SuspectRun("dag", "run", "running", 1, 0, instances)


class Api:
    """A client that keeps what it is asked for; a task of ``begins`` runs when the clear comes, and so is killed or spared."""

    def __init__(self, *, spares: bool, state: str = "running", begins: bool = False) -> None:
        self.clears_map_indexes = True
        self.cleared: list[bool] = []
        self._spares, self._state, self._begins = spares, state, begins

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return [TaskInstance("read", -1, "success", 1, NOON, NOON, "")]

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(dag_id, run_id, self._state, NOON, None)

    def clear(
        self, dag_id: str, run_id: str, instances: Sequence[tuple[str, int]], *, spare_running: bool = False
    ) -> list[tuple[str, int]]:
        if spare_running and not self._spares:
            raise ApiSparesNothing("it spares nothing")
        if spare_running and self._begins:
            raise ApiError("read runs", status=409)
        self.cleared.append(spare_running)
        return list(instances)


class Agent:
    """The other way, which is only asked."""

    name = "a context"

    def __init__(self) -> None:
        self.asked: list[frozenset[str]] = []

    def clear(self, run: SuspectRun, kill: Collection[str]) -> Cleared:
        self.asked.append(frozenset(kill))
        return Cleared(("read",), "queued", (), ("its own",))


@pytest.mark.parametrize("kill", [(), ("dag.other", "another.read")])
def test_what_begins_to_run_is_spared_although_a_task_of_another_run_may_be_killed(kill):
    api, agent = Api(spares=True), Agent()
    ApiWay(api, agent).clear(run("read"), kill)
    assert (api.cleared, agent.asked) == ([True], [])
    began = ApiWay(Api(spares=True, begins=True), agent).clear(run("read"), kill)
    assert (began.instances, began.running) == ((), ("read runs",))


def test_a_run_of_which_a_task_may_be_killed_goes_where_the_others_are_spared():
    api, agent = Api(spares=True), Agent()
    done = ApiWay(api, agent).clear(run("read", "last"), ("dag.read",))
    assert (api.cleared, agent.asked) == ([], [{"dag.read"}])
    assert "through a context instead" in done.warnings[0] and done.warnings[1:] == ("its own",)


@pytest.mark.parametrize(("state", "cleared", "elsewhere"), [("running", [], 1), ("queued", [], 1), ("success", [False], 0), ("failed", [False], 0)])  # fmt: skip
def test_an_api_that_spares_nothing_clears_runs_that_are_over_and_no_others(state, cleared, elsewhere):
    api, agent = Api(spares=False, state=state), Agent()
    done = ApiWay(api, agent).clear(run("read"), ())
    assert (api.cleared, len(agent.asked)) == (cleared, elsewhere)
    assert bool(done.warnings) == bool(elsewhere)
