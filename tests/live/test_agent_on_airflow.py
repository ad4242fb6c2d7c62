"""The agent's requests and the REST client on a real Airflow, after the walk: ``inline`` again, objects left behind."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.walk import SIZES, THRESHOLD, Walk
from xcomctl.clients.airflow_api import AirflowApi, ApiError
from xcomctl.deployment.agent_session import AgentSession, RequestFailed
from xcomctl.model import requests
from xcomctl.model.settings import BACKEND
from xcomctl.model.settings import THRESHOLD as THRESHOLD_SETTING
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN, INLINE_RUN, OFFLOAD_RUN

DAG = "diagnostic__s42"
OWN_RUN = "rehearsal-requests"

#: Rows of the scan between which memory is compared, and what the difference may be. A list of the 9,000 further rows
#: would hold at least 9,000 dicts of twelve strings: about 15 MB.
FEW, MANY = 1_000, 10_000
SLOPE_BYTES = 4_000_000


@pytest.fixture(scope="module")
def agent(walk: Walk) -> Iterator[AgentSession]:
    """One agent for the whole file: starting one costs an import of Airflow."""
    with walk.sandbox.agent() as agent:
        yield agent


@pytest.fixture(scope="module")
def own_run(walk: Walk) -> str:
    """A finished run that this file may change."""
    api = walk.sandbox.airflow.api
    api.trigger(DAG, OWN_RUN, {"crypto_group": "own", "cell_sizes": [500, 700]})
    wait_until_over(walk, OWN_RUN)
    assert api.run(DAG, OWN_RUN).state == "success"
    return OWN_RUN


def wait_until_over(walk: Walk, run_id: str) -> None:
    """Wait for the end of a run."""
    api = walk.sandbox.airflow.api
    walk.sandbox.family.wait_until(lambda: api.run(DAG, run_id).finished, run_id, timeout_s=120)


def sql(walk: Walk, statement: str) -> None:
    """Run one statement in the metadata database, with the sandbox's own psql."""
    from xcomctl.rehearsal.sandbox.postgres import binaries

    assert walk.sandbox.database is not None
    argv = [str(binaries() / "psql"), walk.sandbox.database.url, "-v", "ON_ERROR_STOP=1", "-qc", statement]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def stored(walk: Walk, run_id: str, task_id: str, text: str, rows: int = 1) -> Iterator[None]:
    """XComs of one task instance with this string as their value, under keys of their own, while in the block."""
    quoted = json.dumps(text).replace("'", "''")
    value = f"convert_to('{quoted}', 'UTF8')" if walk.line == "2" else f"'{quoted}'::jsonb"
    sql(
        walk,
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        f"SELECT r.id, '{task_id}', -1, 'inserted_' || n, r.dag_id, r.run_id, {value}, now() "
        f"FROM dag_run r, generate_series(1, {rows}) n WHERE r.run_id = '{run_id}'",
    )
    try:
        yield
    finally:
        sql(walk, "DELETE FROM xcom WHERE key LIKE 'inserted_%'")


def peak(agent: AgentSession) -> int:
    """The most memory that the agent ever had, in bytes."""
    status = Path(f"/proc/{agent.hello['pid']}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def references(agent: AgentSession, walk: Walk, **params: Any) -> list[requests.ReferenceItem]:
    """All items of a scan."""
    stream = agent.stream(requests.REFERENCES, {"base_path": walk.base_path, **params})
    return [requests.ReferenceItem.from_json(record) for record in stream]


def test_identify_names_what_answers(walk: Walk, agent: AgentSession) -> None:
    identity = requests.Identity.from_json(agent.request(requests.IDENTIFY))
    assert (identity.line, identity.airflow) == (walk.line, walk.sandbox.environment.airflow)
    assert identity.dialect == "postgresql"
    assert identity.schema_known
    assert identity.providers["common.io"] == walk.sandbox.environment.packages["apache-airflow-providers-common-io"]


def test_resolve_names_the_sources(agent: AgentSession) -> None:
    resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
    assert resolution.phase == "inline"
    assert resolution.backend.source == BACKEND.env
    assert (resolution.threshold.value, resolution.threshold.source) == (THRESHOLD, THRESHOLD_SETTING.env)


def test_a_dotted_variable_is_present_and_ignored(walk: Walk) -> None:
    environment = dict(walk.env)
    environment[BACKEND.env] = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
    environment["AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH"] = walk.base_path
    environment["AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_THRESHOLD"] = "1600000"
    with AgentSession(walk.reach(environment)) as agent:
        resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
    assert not resolution.path.value
    assert resolution.path.source != "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH"
    assert resolution.threshold.value == -1
    assert resolution.phase == "misconfigured"


def test_a_class_that_cannot_be_imported_is_survived(walk: Walk) -> None:
    environment = {**walk.env, BACKEND.env: "airflow.providers.common.io.xcom.backend.NoSuchBackend"}
    with AgentSession(walk.reach(environment)) as agent:
        resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
        assert resolution.class_path is None
        assert resolution.class_error is not None
        assert "NoSuchBackend" in resolution.class_error
        assert requests.Identity.from_json(agent.request(requests.IDENTIFY)).line == walk.line
        assert references(agent, walk, run_id=OFFLOAD_RUN)


def test_references_are_filtered_in_the_database(walk: Walk, agent: AgentSession) -> None:
    offloaded = [size for size in SIZES if size >= THRESHOLD]
    found = references(agent, walk, dag_id=DAG, run_id=OFFLOAD_RUN)
    assert len(found) == len(offloaded)
    assert {(item.kind, item.run_state, item.ti_state) for item in found} == {("reference", "success", "success")}
    assert references(agent, walk, run_id=INLINE_RUN) == []
    assert references(agent, walk, dag_id="no_such_dag") == []
    assert references(agent, walk, unfinished_only=True) == []


def test_foreign_urls_and_aliases_are_told_from_references(walk: Walk, agent: AgentSession, own_run: str) -> None:
    (path, *_) = [item.uri for item in references(agent, walk, run_id=OFFLOAD_RUN)]
    with stored(walk, own_run, "summarise", path):
        assert [item.kind for item in references(agent, walk, run_id=own_run)] == ["alias"]
    with stored(walk, own_run, "summarise", "gs://elsewhere/data.parquet"):
        assert [item.kind for item in references(agent, walk, run_id=own_run)] == ["foreign"]
    assert references(agent, walk, run_id=own_run) == []


def test_a_stream_that_is_left_early_does_not_disturb_the_next_request(walk: Walk, agent: AgentSession) -> None:
    next(agent.stream(requests.REFERENCES, {"base_path": walk.base_path}))
    assert agent.request(requests.RESOLVE)["phase"] == "inline"


def test_xcoms_have_the_size_that_the_backend_compares(walk: Walk, agent: AgentSession) -> None:
    stream = agent.stream(requests.XCOMS, {"dag_id": DAG, "run_id": INLINE_RUN, "values_below": 10_000})
    items = [requests.XcomItem.from_json(record) for record in stream]
    cells = {
        item.map_index: item for item in items if item.key == "return_value" and item.task_id == "discriminate_cell"
    }
    assert [cells[index].stored_bytes for index in range(len(SIZES))] == list(SIZES)
    assert [cells[index].has_value for index in range(len(SIZES))] == [size < 10_000 for size in SIZES]


def test_objects_are_listed_below_a_folder(walk: Walk, agent: AgentSession) -> None:
    under = f"{DAG}/{IN_FLIGHT_RUN}"
    stream = agent.stream(requests.OBJECTS, {"base_path": walk.base_path, "under": under})
    sizes = sorted(record["size"] for record in stream)
    assert sizes == sorted(size for size in SIZES if size >= THRESHOLD)
    assert stream.answer is not None
    assert (stream.answer["objects"], stream.answer["bytes"]) == (len(sizes), sum(sizes))


@pytest.mark.parametrize(
    ("path", "sentence"), [("s3://no_such_conn@bucket/xcom", "no_such_conn"), ("{bucket}-gone/xcom", "-gone")]
)
def test_a_store_that_cannot_be_asked_is_one_sentence(
    walk: Walk, agent: AgentSession, path: str, sentence: str
) -> None:
    base_path = path.format(bucket=walk.base_path.removesuffix("/xcom"))
    with pytest.raises(RequestFailed) as caught:
        list(agent.stream(requests.OBJECTS, {"base_path": base_path}))
    assert sentence in caught.value.message
    assert caught.value.remote_traceback is None


def test_a_run_or_a_task_that_is_not_there(walk: Walk, agent: AgentSession, own_run: str) -> None:
    with pytest.raises(RequestFailed, match="no_such_run"):
        agent.request(requests.CLEAR, {"dag_id": DAG, "run_id": "no_such_run", "tasks": None})
    with pytest.raises(RequestFailed, match=r"discriminate_cell\[7\]"):
        agent.request(requests.CLEAR, {"dag_id": DAG, "run_id": own_run, "tasks": [["discriminate_cell", 7]]})
    assert walk.sandbox.airflow.api.run(DAG, own_run).state == "success"


def test_one_map_index_is_cleared_and_runs_again_alone(walk: Walk, agent: AgentSession, own_run: str) -> None:
    api = walk.sandbox.airflow.api
    before = {(i.task_id, i.map_index): i.start_date for i in api.task_instances(DAG, own_run)}
    answer = agent.request(requests.CLEAR, {"dag_id": DAG, "run_id": own_run, "tasks": [["discriminate_cell", 1]]})
    cleared = requests.ClearAnswer.from_json(answer).cleared
    assert [(c.task_id, c.map_index, c.state_before) for c in cleared] == [("discriminate_cell", 1, "success")]
    wait_until_over(walk, own_run)
    after = {(i.task_id, i.map_index): i.start_date for i in api.task_instances(DAG, own_run)}
    assert {key for key in after if after[key] != before[key]} == {("discriminate_cell", 1)}


def test_memory_does_not_grow_with_the_rows(walk: Walk, own_run: str) -> None:
    peaks = []
    path = f"{walk.base_path}/{DAG}/{own_run}/summarise/x"
    for rows in (FEW, MANY):
        with stored(walk, own_run, "summarise", path, rows), walk.sandbox.agent() as agent:
            stream = agent.stream(requests.REFERENCES, {"base_path": walk.base_path, "run_id": own_run})
            assert sum(1 for _ in stream) == rows
            peaks.append(peak(agent))
    assert peaks[1] - peaks[0] < SLOPE_BYTES, peaks


def test_the_rest_client_says_what_is_wrong_without_the_password(walk: Walk) -> None:
    airflow = walk.sandbox.airflow
    with (
        AirflowApi(airflow.url, major=airflow.major, username="admin", password="not-the-one") as api,
        pytest.raises(ApiError) as caught,
    ):
        api.dag(DAG)
    assert caught.value.status in (401, 403)
    assert "not-the-one" not in str(caught.value)
    nobody = "http://127.0.0.1:9"
    with (
        AirflowApi(nobody, major=airflow.major, username="admin", password="x") as api,
        pytest.raises(ApiError, match=f"The Airflow API at {nobody} does not answer"),
    ):
        api.run(DAG, INLINE_RUN)


def test_the_rest_client_reads_and_changes_what_the_rehearsal_needs(walk: Walk) -> None:
    api = walk.sandbox.airflow.api
    assert api.dag("no_such_dag") is None
    name = f"pool_{time.time_ns()}"
    api.set_pool(name, 0, "created")
    api.set_pool(name, 3, "changed")
    with pytest.raises(ApiError) as caught:
        api.run(DAG, "no_such_run")
    assert caught.value.status == 404
    failed = [i for i in api.task_instances(DAG, IN_FLIGHT_RUN) if i.task_id == "compare_cells"]
    log = api.task_log(DAG, IN_FLIGHT_RUN, failed[0])
    assert log
    assert "ValueError" not in log  # its second try, which is green
