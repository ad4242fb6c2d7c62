"""The pre-flight as a task: the exported file in the DAGs folder of a real Airflow, asked both ways.

The connection of the sandbox's store exists in the metadata database alone. The file is all that is put anywhere: the
task's Airflow gets nothing installed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.dags import parse_now
from tests.support.walk import THRESHOLD, Walk, literal, sql
from xcomctl.assess import in_task
from xcomctl.assess.in_task import AgentWay, RestWay, TaskWay, run_in_task
from xcomctl.cli.main import main
from xcomctl.clients.airflow_api import AirflowApi, ApiError
from xcomctl.deployment import bundle, dag_files
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model.in_task import DAG_ID, MAX_ANSWER_BYTES, TASK_ID
from xcomctl.model.preflight import ContextReport, PreflightOptions
from xcomctl.model.verdicts import Check, Status
from xcomctl.rehearsal.sandbox.ports import free_ports

TIMEOUT_S = 90.0
CONTENT = dag_files.content(DAG_ID).decode()


@pytest.fixture(scope="module")
def agent(walk: Walk) -> Iterator[AgentSession]:
    """One agent in the sandbox's own environment."""
    with AgentSession(walk.warm.reach(walk.sandbox.airflow.environment())) as agent:
        yield agent


@pytest.fixture(scope="module")
def api(walk: Walk) -> Iterator[AirflowApi]:
    """The REST API, whose version nobody told us."""
    airflow = walk.sandbox.airflow
    user, password = airflow.login
    with AirflowApi.detect(airflow.url, username=user, password=password, use_proxy=False) as api:
        yield api


@dataclass(frozen=True)
class Ways:
    """Both ways, by their names."""

    rest: RestWay
    agent: AgentWay

    def __getitem__(self, name: str) -> TaskWay:
        way: TaskWay = getattr(self, name)
        return way


@pytest.fixture(scope="module")
def ways(api: AirflowApi, agent: AgentSession) -> Ways:
    return Ways(RestWay(api), AgentWay(agent))


@pytest.fixture(scope="module")
def canary(walk: Walk) -> Iterator[Path]:
    """The exported DAG file, parsed. It, its runs, and with them their XComs, are gone at the end."""
    folder = walk.sandbox.airflow.folder / "dags"
    assert main(["dags", "export", "canary", str(folder)]) == 0
    file = folder / f"{DAG_ID}.py"
    parse_now(walk, file)
    walk.sandbox.airflow.wait_for_dag(DAG_ID, lambda what: None)
    yield file
    file.unlink()
    sql(walk, f"DELETE FROM dag_run WHERE dag_id = {literal(DAG_ID)}")
    # What the DAG processor does once it notices: for whoever comes after, the DAG is not there.
    gone = "is_stale = true" if walk.line == "3" else "is_active = false"
    sql(walk, f"UPDATE dag SET {gone} WHERE dag_id = {literal(DAG_ID)}")


@contextmanager
def edited(file: Path, old: str, new: str) -> Iterator[None]:
    """The file with one place changed: a task reads it anew each time."""
    assert CONTENT.count(old) == 1
    file.write_text(CONTENT.replace(old, new))
    try:
        yield
    finally:
        file.write_text(CONTENT)


def ask(way: TaskWay, **options: Any) -> tuple[ContextReport, list[str]]:
    """A pre-flight in a task, and what was said meanwhile."""
    said: list[str] = []
    report = run_in_task(way, PreflightOptions(**options), timeout_s=TIMEOUT_S, progress=said.append)
    assert report.name == in_task.NAME
    return report, said


def planned(walk: Walk, conn_id: str | None = None) -> dict[str, Any]:
    """Options for a flip that is not deployed yet, with the path's connection or with another one."""
    path = walk.base_path
    if conn_id is not None:
        scheme, _, rest = path.partition("://")
        path = f"{scheme}://{conn_id}@{rest.rpartition('@')[2]}"
    return {"expect_path": path, "expect_threshold": THRESHOLD, "planned": True}


def by_id(report: ContextReport) -> dict[str, Check]:
    found = {check.id: check for check in report.checks}
    assert len(found) == len(report.checks)
    return found


def the_one(report: ContextReport) -> Check:
    """The check that says why there is no answer."""
    assert report.answer is None
    (check,) = report.checks
    assert (check.id, check.category, check.status) == ("connection_in_task", "connection", Status.SKIP)
    assert check.hint
    return check


WAYS = pytest.mark.parametrize("name", ["rest", "agent"])


@WAYS
def test_without_the_dag_the_answer_is_how_to_get_it(walk: Walk, ways: Ways, name: str) -> None:
    check = the_one(ask(ways[name])[0])
    assert DAG_ID in check.detail
    assert "xcomctl dags export canary" in check.hint
    assert sql(walk, f"SELECT count(*) FROM dag_run WHERE dag_id = {literal(DAG_ID)}") == [["0"]]


@WAYS
def test_a_task_runs_the_checks_and_its_answer_comes_back(walk: Walk, ways: Ways, canary: Path, name: str) -> None:
    """Through REST all of them, those of the store and of the real backend included: nothing of it is deployed yet."""
    everything = name == "rest"
    options = {**planned(walk), "functional": True} if everything else {**planned(walk), "only": ("connection",)}
    report, said = ask(ways[name], **options)
    checks = by_id(report)
    # It resolves for a task although no process of the context sees it by itself.
    found = checks["connection_in_task"]
    assert (found.status, found.category) == (Status.OK, "connection"), found
    assert "xcomctl_store" in found.detail
    bad = {check.id: check.detail for check in report.checks if check.status in (Status.FAIL, Status.SKIP)}
    assert not bad
    assert not {in_task.VERSION, in_task.PUSH} & set(checks)
    if everything:
        # In a child of the task, with the connection that the task resolves.
        assert checks["store_offload"].status is Status.OK
        assert "round_trip_inline" in checks
        assert not any(check.data.get("shortened") for check in report.checks)
    answer = report.answer
    assert answer is not None
    assert (answer.line, answer.airflow) == (walk.line, walk.sandbox.environment.airflow)
    assert answer.phase == "inline"
    assert answer.target["path"] == walk.base_path
    assert [text for text in said if "run is" in text or "task is" in text]
    # What came back is the task's return value, one plain object below the floor, whatever backend is in between.
    ((run_id, key, size),) = sql(
        walk,
        "SELECT run_id, key, length(" + ("convert_from(value, 'UTF8')" if walk.line == "2" else "value::text")
        + f") FROM xcom WHERE dag_id = {literal(DAG_ID)} AND task_id = {literal(TASK_ID)} ORDER BY timestamp DESC LIMIT 1",
    )  # fmt: skip
    assert key == "return_value"
    assert int(size) <= MAX_ANSWER_BYTES
    # No secret, neither in what came back nor in the log, where the secrets masker is not all that keeps it out.
    assert walk.sandbox.store is not None and walk.sandbox.store.connection is not None
    log = ways[name].log(run_id)
    assert "OK   connection_in_task" in log
    for text in (log, json.dumps([check.to_json() for check in report.checks])):
        assert walk.sandbox.store.connection["password"] not in text


@WAYS
def test_a_connection_that_is_nowhere_fails_in_a_task(walk: Walk, ways: Ways, canary: Path, name: str) -> None:
    # From the same file, by what the run is asked. The file claims to be of another xcomctl, too.
    with edited(canary, f'"{bundle.digest()}"', '"another"'):
        report, _ = ask(ways[name], **planned(walk, "nobody_has_this"), only=("connection_in_task",))
    checks = by_id(report)
    found = checks.pop("connection_in_task")
    assert found.status is Status.FAIL, found
    assert "nobody_has_this" in found.detail
    assert "airflow connections add nobody_has_this" in found.hint
    other = checks.pop(in_task.VERSION)
    assert (other.status, other.category) == (Status.WARN, "context")
    assert "another" in other.detail
    assert "xcomctl dags export --force canary" in other.hint
    assert not checks


@WAYS
def test_a_task_whose_push_fails_is_told_with_what_its_checks_found(
    walk: Walk, ways: Ways, canary: Path, name: str
) -> None:
    # No XCom backend takes a socket. The checks' answer is in the log, where none is in between.
    returned = 'return run(conf.get("options") or {}, DIGEST)'
    with edited(canary, returned, f"import socket; {returned.removeprefix('return ')}; return socket.socket()"):
        report, _ = ask(ways[name], **planned(walk), only=("connection_in_task",))
    checks = by_id(report)
    assert checks["connection_in_task"].status is Status.OK
    push = checks[in_task.PUSH]
    assert (push.status, push.category) == (Status.FAIL, "round trip")
    assert "the task is failed" in push.detail
    assert push.hint
    assert report.answer is not None and report.answer.line == walk.line


@WAYS
def test_a_task_that_cannot_run_the_checks_is_inconclusive_with_its_log(ways: Ways, canary: Path, name: str) -> None:
    check = the_one(ask(ways[name], only=("no_such_check",))[0])
    assert "failed" in check.detail
    assert any("no check 'no_such_check'" in line for line in check.data["log"]), check.data
    assert check.data["run_id"].startswith("xcomctl-preflight-")
    assert check.data["run_id"] in check.detail


def test_no_answer_in_time_is_inconclusive_and_names_the_run(walk: Walk, ways: Ways, canary: Path) -> None:
    report = run_in_task(ways.rest, PreflightOptions(**planned(walk)), timeout_s=0, progress=lambda text: None)
    check = the_one(report)
    assert check.data["run_id"] in check.detail
    assert "within 0 s" in check.detail
    assert "--task-timeout" in check.hint
    api = walk.sandbox.airflow.api
    finished = lambda: api.run(DAG_ID, check.data["run_id"]).finished  # noqa: E731
    walk.sandbox.family.wait_until(finished, "the run that was not waited for", timeout_s=60)


@WAYS
def test_a_paused_dag_is_left_alone(walk: Walk, ways: Ways, canary: Path, name: str) -> None:
    runs = f"SELECT count(*) FROM dag_run WHERE dag_id = {literal(DAG_ID)}"
    before = sql(walk, runs)
    sql(walk, f"UPDATE dag SET is_paused = true WHERE dag_id = {literal(DAG_ID)}")
    try:
        check = the_one(ask(ways[name])[0])
    finally:
        sql(walk, f"UPDATE dag SET is_paused = false WHERE dag_id = {literal(DAG_ID)}")
    assert "paused" in check.detail
    assert check.hint == f"airflow dags unpause {DAG_ID}"
    assert sql(walk, runs) == before


# -- the client


def test_the_version_is_found_out(walk: Walk, api: AirflowApi) -> None:
    assert api.major == int(walk.line)
    assert api.dag("diagnostic__s42") is not None


def test_where_no_airflow_is_the_version_cannot_be_found_out(walk: Walk) -> None:
    nobody = f"http://127.0.0.1:{free_ports(['nobody'])['nobody']}"
    with pytest.raises(ApiError, match="does not answer") as caught:
        AirflowApi.detect(nobody, username="admin", password="unsaid", use_proxy=False)
    assert caught.value.status is None
    with pytest.raises(ApiError, match="no Airflow API at") as caught:
        AirflowApi.detect(f"{walk.sandbox.airflow.url}/below", username="admin", password="unsaid", use_proxy=False)
    assert "without /api" in caught.value.hint


def test_a_token_stands_for_a_login(walk: Walk) -> None:
    airflow = walk.sandbox.airflow
    user, password = airflow.login
    token = "not-a-token"
    if walk.line == "3":
        login = httpx.post(f"{airflow.url}/auth/token", json={"username": user, "password": password}, trust_env=False)
        token = login.json()["access_token"]
        with AirflowApi(airflow.url, major=3, token=token, use_proxy=False) as api:
            assert api.dag("diagnostic__s42") is not None
    # 2.x has no tokens of its own: there it takes an auth backend that knows them, and this one says no.
    with (
        AirflowApi(airflow.url, major=airflow.major, token="not-a-token", use_proxy=False) as api,
        pytest.raises(ApiError) as caught,
    ):
        api.dag("diagnostic__s42")
    assert caught.value.status in (401, 403)
    assert "not-a-token" not in str(caught.value)
