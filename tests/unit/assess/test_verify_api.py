"""What the REST API alone tells of a run, by a client that has its answers; the real ones are in the live tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from xcomctl.assess import verify_api
from xcomctl.clients.airflow_api import AirflowApi, ApiError, DagRun, TaskInstance
from xcomctl.model.verdicts import Check, Status

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)
BASE = "s3://store@bucket/xcom"
PATH = f"{BASE}/dag/run/a/01234567-89ab-cdef-0123-456789abcdef"


def instance(task_id: str, state: str = "success", tries: int = 1, map_index: int = -1) -> TaskInstance:
    return TaskInstance(task_id, map_index, state, tries, NOON, NOON, "host")


@dataclass
class Api:
    """The run ``dag`` ``run`` of a DAG ``a >> b``, as a client tells of it."""

    instances: tuple[TaskInstance, ...] = (instance("a"), instance("b"))
    pushed: frozenset[str] = frozenset({"a"})
    rendered: tuple[tuple[str, int, str], ...] = ()
    conf: Mapping[str, Any] = field(default_factory=dict)
    confs: tuple[tuple[str, str, str], ...] = ()
    logs: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def run(self, dag_id: str, run_id: str) -> DagRun:
        return DagRun(dag_id, run_id, "success", NOON, NOON, self.conf)

    def downstream(self, dag_id: str) -> dict[str, list[str]]:
        return {"a": ["b"], "b": []}

    def tasks_with_xcoms(self, dag_id: str, run_id: str) -> set[str]:
        return set(self.pushed)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        return list(self.instances)

    def rendered_fields(self, dag_id: str, run_id: str) -> list[tuple[str, int, str]]:
        return list(self.rendered)

    def confs_since(self, moment: datetime) -> Iterator[tuple[str, str, str]]:
        assert moment == NOON
        return iter(self.confs)

    def task_log(self, dag_id: str, run_id: str, instance: TaskInstance, try_number: int) -> str:
        if (instance.task_id, try_number) not in self.logs:
            raise ApiError("the worker is gone")
        return self.logs[instance.task_id, try_number]


def check(api: Api, check_id: str, base_path: str | None = BASE) -> Check:
    found = list(verify_api.checks_of(cast(AirflowApi, api), "dag", "run", base_path))
    return next(each for each in found if each.id == check_id)


@pytest.mark.parametrize(
    ("api", "status", "words"),
    [
        (Api(), Status.OK, "no task failed"),
        (Api((instance("a"), instance("b", "failed"))), Status.FAIL, "failed with an upstream that pushed: b"),
        (Api((instance("a"), instance("b", "up_for_retry"))), Status.FAIL, "failed with an upstream that pushed: b"),
        (Api((instance("a"), instance("b", "failed")), frozenset()), Status.OK, "no task failed"),
        (Api((instance("a", "failed"), instance("b", "upstream_failed"))), Status.OK, "no task failed"),
        (Api((instance("gone", "failed"),)), Status.SKIP, "gone failed, and the DAG has no such task any more"),
    ],
)
def test_a_task_that_failed_after_one_upstream_pushed(api: Api, status: Status, words: str) -> None:
    found = check(api, "tasks_failed_after_push")
    assert found.status is status and words in found.detail


@pytest.mark.parametrize(
    ("api", "words", "handed_over"),
    [
        (Api(rendered=(("b", -1, f'{{"command": "cat {PATH}"}}'),)), "rendered templates of b", ["b"]),
        (Api(conf={"files": [PATH]}), "the conf of this run itself", []),
        (Api(confs=(("other", "later", f'{{"file": "{PATH}"}}'),)), "the conf of other later", []),
    ],
)
def test_a_path_that_the_api_shows_was_handed_over(api: Api, words: str, handed_over: list[str]) -> None:
    found = check(api, "no_path_handed_over")
    assert (found.status, found.detail) == (Status.FAIL, words)
    assert found.data["handed_over"] == handed_over
    assert ("trigger the run again" in found.hint) == ("conf" in words)


def test_what_the_api_does_not_show_of_paths_stays_open() -> None:
    elsewhere = Api(
        rendered=(("b", -1, f'{{"folder": "{BASE}/dag"}}'),),
        conf={"folder": BASE},
        confs=(("other", "later", '{"file": "s3://else/x"}'), ("dag", "run", "{}")),
    )
    found = check(elsewhere, "no_path_handed_over")
    assert found.status is Status.SKIP and "of values and next_kwargs nothing is known" in found.detail
    assert check(Api(conf={"files": [PATH]}), "no_path_handed_over", None).hint == "--expect-path URL"


@pytest.mark.parametrize(
    ("logs", "status", "words"),
    [
        ({("a", 1): "fine", ("b", 1): "fine", ("b", 2): "fine"}, Status.OK, "the logs of 3 tries"),
        ({("a", 1): "fine", ("b", 1): "AirflowConfigException", ("b", 2): "fine"}, Status.FAIL, "b try 1: AirflowConfigException"),
        ({("a", 1): "fine", ("b", 1): "fine", ("b", 2): f"got {PATH}"}, Status.FAIL, f"; b: got {PATH}"),
        ({("a", 1): "fine", ("b", 2): "fine"}, Status.SKIP, "1 of 3 tries were not read: the worker is gone"),
    ],
)  # fmt: skip
def test_every_try_has_its_log_read(logs: dict[tuple[str, int], str], status: Status, words: str) -> None:
    api = Api((instance("a"), instance("b", tries=2)), logs=logs)
    found = verify_api.logs(cast(AirflowApi, api), "dag", "run", BASE)
    assert found.status is status and words in found.detail
    assert ("verify another run" in found.hint) == (status is Status.FAIL)
