"""Every request of the agent on a real Airflow: after the walk, when all is ``inline`` again.

One agent answers nearly all of them. What changes something comes last, and on a run of this file's own; rows that are
inserted are gone at the end of their test, so that the runs of the walk stay what they were.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.rows import column_value
from tests.support.walk import KEPT, LEFT, OFFLOADED, SIZES, THRESHOLD, Walk, literal, sql
from xcomctl.deployment.agent_errors import AgentError, RequestFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.phases import BASE_XCOM, BASE_XCOM_SPELLINGS, OBJECT_STORAGE_BACKEND, phase_of
from xcomctl.model.phases import Line as AirflowLine
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, settings_from
from xcomctl.model.settings import THRESHOLD as THRESHOLD_SETTING
from xcomctl.rehearsal.sandbox.airflow import HOLD_POOL
from xcomctl.rehearsal.scenarios.interface import DAG_ID, HOLD, PRODUCER
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN, INLINE_RUN, OFFLOAD_RUN
from xcomctl.rehearsal.scenarios.soft import SOFT_RUN

#: The run that this file may change, and the sizes of its cells.
OWN_RUN = "rehearsal-agent-requests"
OWN_SIZES = [400, 700]
#: Whose XComs inserted rows are, and how their keys begin.
HOST_TASK = "summarise"
INSERTED = "requests_"

#: Rows of the two scans whose memory is compared, and what the further 9,000 may cost. Measured on 3.3: 0.1 to 0.3 MB
#: as it is, 9.5 MB with a list around the scan.
FEW, MANY = 1_000, 10_000
SLOPE_BYTES = 3_000_000

#: A pickle that ends the process that loads it.
OPENED_AT_ONES_PERIL = b"\x80\x02cos\n_exit\nK\x07\x85R."


@pytest.fixture(scope="module")
def agent(walk: Walk) -> Iterator[AgentSession]:
    """One agent in the sandbox's own environment."""
    with walk.sandbox.agent() as agent:
        yield agent


@pytest.fixture(scope="module")
def own_run(walk: Walk) -> str:
    """A green run of this file's own, written under ``inline``."""
    walk.sandbox.airflow.api.trigger(DAG_ID, OWN_RUN, {"crypto_group": "requests", "cell_sizes": OWN_SIZES})
    wait_until_over(walk, OWN_RUN)
    assert walk.sandbox.airflow.api.run(DAG_ID, OWN_RUN).state == "success"
    return OWN_RUN


def wait_until_over(walk: Walk, run_id: str) -> None:
    api = walk.sandbox.airflow.api
    walk.sandbox.family.wait_until(lambda: api.run(DAG_ID, run_id).finished, f"run {run_id}", timeout_s=120)


@contextmanager
def inserted(walk: Walk, run_id: str, values: Mapping[str, str], copies: int = 1) -> Iterator[None]:
    """XComs of one task instance that exists: key → value as SQL, in which ``n`` counts the copies."""
    rows = ", ".join(f"({literal(INSERTED + key)} || n, {value})" for key, value in values.items())
    sql(
        walk,
        "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        f"SELECT r.id, {literal(HOST_TASK)}, -1, v.key, r.dag_id, r.run_id, v.value, now() "
        f"FROM dag_run r, generate_series(1, {copies}) n, LATERAL (VALUES {rows}) v (key, value) "
        f"WHERE r.dag_id = {literal(DAG_ID)} AND r.run_id = {literal(run_id)}",
    )
    try:
        yield
    finally:
        sql(walk, f"DELETE FROM xcom WHERE run_id = {literal(run_id)} AND key LIKE '{INSERTED}%'")


def own_path(walk: Walk, run_id: str, task_id: str = HOST_TASK) -> str:
    """A path as the backend names an object of that task; none is there."""
    return f"{walk.base_path}/{DAG_ID}/{run_id}/{task_id}/{uuid.uuid4()}"


def references(
    agent: AgentSession, base_path: str | None = None, **params: Any
) -> tuple[list[requests.ReferenceItem], requests.ReferencesAnswer]:
    """A whole scan: its items and its answer."""
    stream = agent.stream(requests.REFERENCES, {"base_path": base_path, **params})
    items = [requests.ReferenceItem.from_json(record) for record in stream]
    assert stream.answer is not None
    return items, requests.ReferencesAnswer.from_json(stream.answer)


def xcoms(agent: AgentSession, run_id: str, below: int = 0) -> tuple[list[requests.XcomItem], requests.XcomsAnswer]:
    """All XComs of a run, and the answer."""
    stream = agent.stream(requests.XCOMS, {"dag_id": DAG_ID, "run_id": run_id, "values_below": below})
    items = [requests.XcomItem.from_json(record) for record in stream]
    assert stream.answer is not None
    return items, requests.XcomsAnswer.from_json(stream.answer)


def objects(agent: AgentSession, **params: Any) -> tuple[list[requests.ObjectItem], requests.ObjectsAnswer]:
    """A whole listing: its items and its answer."""
    stream = agent.stream(requests.OBJECTS, params)
    items = [requests.ObjectItem.from_json(record) for record in stream]
    assert stream.answer is not None
    return items, requests.ObjectsAnswer.from_json(stream.answer)


def refusal(agent: AgentSession, name: str, params: Mapping[str, Any]) -> str:
    """The sentence with which a request is refused: for a reason that a person can mend, so without a traceback."""
    with pytest.raises(RequestFailed) as caught:
        agent.request(name, params)
    assert caught.value.reason == requests.USER_ERROR, caught.value
    assert caught.value.remote_traceback is None
    assert "\n" not in caught.value.message
    return f"{caught.value.message} {caught.value.hint}"


# -- identify and resolve


def test_identify_names_what_answers(walk: Walk, agent: AgentSession) -> None:
    identity = requests.Identity.from_json(agent.request(requests.IDENTIFY))
    environment = walk.sandbox.environment
    assert (identity.line, identity.airflow) == (walk.line, environment.airflow)
    assert identity.providers["common.io"] == environment.packages["apache-airflow-providers-common-io"]
    assert identity.dialect == "postgresql"
    assert identity.schema_known, identity.schema_revision
    assert [[identity.schema_revision]] == sql(walk, "SELECT version_num FROM alembic_version")
    assert identity.pid == agent.hello["pid"] == agent.pid
    assert identity.executable == str(walk.python)
    assert identity.warnings == ()


def test_resolve_under_inline_names_the_sources(walk: Walk, agent: AgentSession) -> None:
    resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
    assert resolution.phase == "inline"
    assert resolution.class_path in BASE_XCOM_SPELLINGS
    assert resolution.class_error is None
    # The revert named the backend alone: path and threshold are still there, for the way back up.
    assert resolution.backend == requests.ResolvedSetting(BASE_XCOM, BACKEND.env)
    assert resolution.path == requests.ResolvedSetting(walk.base_path, PATH.env)
    assert resolution.threshold == requests.ResolvedSetting(THRESHOLD, THRESHOLD_SETTING.env)
    # Nobody set this one; Airflow writes every default into the ``airflow.cfg`` that it makes.
    assert resolution.compression == requests.ResolvedSetting("", "airflow.cfg")


def test_a_dotted_variable_is_in_the_environment_and_ignored(walk: Walk) -> None:
    dotted = {
        setting.env.replace("COMMON_IO", "COMMON.IO"): value
        for setting, value in ((PATH, walk.base_path), (THRESHOLD_SETTING, "1600000"), (COMPRESSION, "gzip"))
    }
    with AgentSession(walk.reach({**walk.env, BACKEND.env: OBJECT_STORAGE_BACKEND, **dotted})) as agent:
        seen = Path(f"/proc/{agent.hello['pid']}/environ").read_text().split("\0")
        resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
        scan = refusal(agent, requests.REFERENCES, {})
    assert {f"{name}={value}" for name, value in dotted.items()} < set(seen)
    assert resolution.path == resolution.compression == requests.ResolvedSetting("", "airflow.cfg")
    assert resolution.threshold == requests.ResolvedSetting(-1, "airflow.cfg")
    settings = {setting.name: getattr(resolution, setting.name) for setting in SETTINGS}
    found = phase_of(settings_from(line=AirflowLine(walk.line), **settings))
    assert (resolution.phase, resolution.reason) == (found.phase.value, found.reason)
    assert resolution.phase == "misconfigured"
    assert "xcom_objectstorage_path" in scan


def test_a_class_that_does_not_import_is_told_in_airflows_words_and_survived(walk: Walk) -> None:
    missing = OBJECT_STORAGE_BACKEND + "Typo"
    with walk.sandbox.agent({BACKEND.env: missing}) as agent:
        # Twice, since 2.x says something misleading the second time it is asked (F18).
        for _ in range(2):
            resolution = requests.Resolution.from_json(agent.request(requests.RESOLVE))
            assert resolution.class_path is None
            assert resolution.class_error is not None
            assert missing in resolution.class_error
            assert "could not be loaded" in resolution.class_error
        assert resolution.phase == "unknown"
        identity = requests.Identity.from_json(agent.request(requests.IDENTIFY))
        assert (identity.airflow, identity.dialect, identity.warnings) == (
            walk.sandbox.environment.airflow,
            "postgresql",
            (),
        )
        items, _ = references(agent, run_id=OFFLOAD_RUN)
        assert len(items) == len(OFFLOADED)
        assert len(xcoms(agent, INLINE_RUN)[0]) > len(SIZES)
        # What needs Airflow's models refuses, and says the same.
        assert missing in refusal(agent, requests.OBJECTS, {"base_path": walk.base_path})
        assert missing in refusal(agent, requests.CLEAR, {"dag_id": DAG_ID, "run_id": INLINE_RUN, "tasks": None})
    assert walk.sandbox.airflow.api.run(DAG_ID, INLINE_RUN).state == "success"


# -- objects


def test_objects_are_listed_with_their_sizes(walk: Walk, agent: AgentSession) -> None:
    # Other test files leave objects of their own under the base path, but none of this DAG.
    items, answer = objects(agent, base_path=walk.base_path, under=DAG_ID)
    assert sorted(item.size for item in items) == sorted(LEFT + KEPT)
    assert (answer.objects, answer.bytes) == (len(items), sum(item.size for item in items))
    assert answer.base_path == walk.base_path
    assert answer.requests == 1
    assert all(item.modified is not None for item in items)
    orphans = {(orphan["path"], orphan["size"]) for orphan in walk.report.orphans if f"/{DAG_ID}/" in orphan["path"]}
    kept = {item.uri for item in references(agent, dag_id=DAG_ID)[0]}
    assert {(item.uri, item.size) for item in items if item.uri not in kept} == orphans
    everything, _ = objects(agent)
    assert {item.uri for item in items} <= {item.uri for item in everything}


def test_objects_under_a_folder_are_those_in_it(walk: Walk, agent: AgentSession) -> None:
    for under in (f"{DAG_ID}/{IN_FLIGHT_RUN}", f"/{DAG_ID}/{IN_FLIGHT_RUN}/{PRODUCER}/"):
        items, _ = objects(agent, base_path=walk.base_path + "/", under=under)
        orphans = {orphan["path"] for orphan in walk.report.orphans}
        assert {item.uri for item in items} == {path for path in orphans if f"/{IN_FLIGHT_RUN}/" in path}
    # A folder, not a prefix of a name; and one that is not there is empty.
    for under in (f"{DAG_ID}/{IN_FLIGHT_RUN[:-1]}", "no_such_dag"):
        items, answer = objects(agent, base_path=walk.base_path, under=under)
        assert (items, answer.objects, answer.bytes) == ([], 0, 0)


def test_a_path_whose_connection_does_not_exist_is_not_tried(walk: Walk, agent: AgentSession) -> None:
    bucket = walk.base_path.partition("@")[2]
    told = refusal(agent, requests.OBJECTS, {"base_path": f"s3://no_such_conn@{bucket}"})
    assert "'no_such_conn'" in told
    assert "airflow connections get no_such_conn" in told


def test_a_bucket_that_is_missing_is_named(walk: Walk, agent: AgentSession) -> None:
    gone = walk.base_path.removesuffix("/xcom") + "-gone/xcom"
    told = refusal(agent, requests.OBJECTS, {"base_path": gone})
    assert f"{gone} cannot be listed" in told
    assert "check the bucket's name" in told


def test_a_wrong_secret_is_one_sentence_without_the_secret(walk: Walk, agent: AgentSession) -> None:
    assert walk.sandbox.store is not None and walk.sandbox.store.connection is not None
    secret = "not-" + walk.sandbox.store.connection["password"]
    wrong = {**walk.sandbox.store.connection, "connection_id": "requests_wrong", "password": secret}
    walk.sandbox.airflow.api.create_connection(wrong)
    try:
        path = "s3://requests_wrong@" + walk.base_path.partition("@")[2]
        told = refusal(agent, requests.OBJECTS, {"base_path": path})
    finally:
        sql(walk, "DELETE FROM connection WHERE conn_id = 'requests_wrong'")
    assert f"{path} cannot be listed" in told
    assert "credentials" in told
    assert secret not in told
    assert not [line for line in agent.last_lines if secret in line]


# -- references and XComs of the walk's runs


def test_references_are_narrowed_in_the_database(walk: Walk, agent: AgentSession) -> None:
    found, answer = references(agent, dag_id=DAG_ID, run_id=OFFLOAD_RUN)
    assert len(found) == len(OFFLOADED)
    assert {(item.kind, item.dag_id, item.run_id, item.task_id, item.key) for item in found} == {
        (requests.REFERENCE, DAG_ID, OFFLOAD_RUN, PRODUCER, "return_value")
    }
    assert [item.map_index for item in found] == [i for i, size in enumerate(SIZES) if size >= THRESHOLD]
    assert {(item.run_state, item.ti_state) for item in found} == {("success", "success")}
    assert all(item.run_start and item.run_end and item.run_start < (item.timestamp or "") for item in found)
    # Without a base path it is that of the context: under ``inline`` the carrier still names it.
    assert answer == requests.ReferencesAnswer(len(OFFLOADED), 0, 0, 1, base_path=walk.base_path)
    assert references(agent, run_id=OFFLOAD_RUN)[0] == found
    assert references(agent, dag_id=DAG_ID)[0] == found
    for params in (
        {"run_id": INLINE_RUN},
        {"run_id": IN_FLIGHT_RUN},
        {"run_id": SOFT_RUN},
        {"dag_id": "no_such_dag"},
        {"dag_id": DAG_ID[:-1] + "_"},
        {"run_id": OFFLOAD_RUN, "unfinished_only": True},
    ):
        items, answer = references(agent, **params)
        assert (items, answer.references, answer.runs) == ([], 0, 0), params


def test_under_another_base_path_a_reference_is_foreign(walk: Walk, agent: AgentSession) -> None:
    items, answer = references(agent, walk.base_path + "x", run_id=OFFLOAD_RUN)
    assert {item.kind for item in items} == {requests.FOREIGN}
    assert (answer.references, answer.foreign, answer.runs) == (0, len(OFFLOADED), 0)


def test_xcoms_have_the_size_of_their_json(walk: Walk, agent: AgentSession) -> None:
    items, answer = xcoms(agent, INLINE_RUN, below=10 * max(SIZES))
    assert all(item.has_value and item.stored_bytes == len(json.dumps(item.value)) for item in items)
    cells = [item for item in items if item.task_id == PRODUCER and item.key == "return_value"]
    assert [item.map_index for item in cells] == list(range(len(SIZES)))
    assert [item.stored_bytes for item in cells] == list(SIZES)
    total = sum(item.stored_bytes for item in items)
    assert answer == requests.XcomsAnswer(len(items), total, references=0)


def test_values_below_is_a_strict_bound(walk: Walk, agent: AgentSession) -> None:
    items, answer = xcoms(agent, INLINE_RUN, below=THRESHOLD)
    assert [item.has_value for item in items] == [item.stored_bytes < THRESHOLD for item in items]
    assert [item.value for item in items if not item.has_value] == [None] * len(OFFLOADED)
    nothing, same = xcoms(agent, INLINE_RUN)
    assert not any(item.has_value or item.value is not None for item in nothing)
    assert same == answer


def test_xcoms_that_are_references_say_so(walk: Walk, agent: AgentSession) -> None:
    items, answer = xcoms(agent, OFFLOAD_RUN)
    found = [item.reference for item in items if item.reference is not None]
    assert found == [item.uri for item in references(agent, run_id=OFFLOAD_RUN)[0]]
    assert answer.references == len(OFFLOADED)
    assert all(item.stored_bytes == len(json.dumps(item.reference)) for item in items if item.reference)


@pytest.mark.parametrize("ids", [{"run_id": "no_such_run"}, {"dag_id": "no_such_dag"}])
def test_a_run_that_is_not_there_is_an_error_not_an_empty_answer(agent: AgentSession, ids: dict[str, str]) -> None:
    asked = {"dag_id": DAG_ID, "run_id": INLINE_RUN, **ids}
    for name in (requests.XCOMS, requests.CLEAR):
        told = refusal(agent, name, asked)
        assert repr(asked["dag_id"]) in told
        assert repr(asked["run_id"]) in told


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        (requests.XCOMS, {"dag_id": DAG_ID}, "'run_id'"),
        (requests.XCOMS, {"dag_id": DAG_ID, "run_id": INLINE_RUN, "values_below": "1"}, "'values_below'"),
        (requests.REFERENCES, {"unfinished_only": "yes"}, "'unfinished_only'"),
        (requests.REFERENCES, {"base_path": "/no/scheme"}, "/no/scheme"),
        (requests.CLEAR, {"dag_id": DAG_ID, "run_id": INLINE_RUN, "tasks": []}, "'tasks'"),
        (requests.CLEAR, {"dag_id": DAG_ID, "run_id": INLINE_RUN, "tasks": [["hold"]]}, "['hold']"),
    ],
)
def test_parameters_that_make_no_sense_are_named(
    agent: AgentSession, name: str, params: dict[str, Any], told: str
) -> None:
    assert told in refusal(agent, name, params)


# -- rows of this file's own, inserted and taken away again


def test_references_aliases_and_foreign_urls_are_told_apart(walk: Walk, agent: AgentSession, own_run: str) -> None:
    theirs = references(agent, run_id=OFFLOAD_RUN)[0][0].uri
    expected = {
        "own": (own_path(walk, own_run), requests.REFERENCE),
        "theirs": (theirs, requests.ALIAS),
        "elsewhere": ("gs://elsewhere/data é 'quoted' \"too\".parquet", requests.FOREIGN),
        "neighbour": (walk.base_path + "x/a/b/c/d", requests.FOREIGN),
        "page": ("https://airflow.apache.org/", requests.FOREIGN),
    }
    others: dict[str, Any] = {
        "sentence": f"see {theirs}",
        "nested": {"path": theirs},
        "listed": [theirs],
        "large": f"{walk.base_path}/{'x' * 20_000}",
        "nothing": None,
    }
    values = {key: column_value(walk, value) for key, (value, _) in expected.items()}
    values.update({key: column_value(walk, value) for key, value in others.items()})
    with inserted(walk, own_run, values):
        items, answer = references(agent, run_id=own_run)
        in_run, run_answer = xcoms(agent, own_run)
    found = {item.key.removeprefix(INSERTED).removesuffix("1"): (item.uri, item.kind) for item in items}
    assert found == expected
    assert answer == requests.ReferencesAnswer(1, foreign=3, aliases=1, runs=1, base_path=walk.base_path)
    # ``xcoms`` sees the same reference and the same alias, and no reference in what is foreign.
    named = {item.key.removeprefix(INSERTED).removesuffix("1"): item.reference for item in in_run if item.reference}
    assert named == {"own": expected["own"][0], "theirs": theirs}
    assert run_answer.references == 2
    assert references(agent, run_id=own_run)[0] == []


def test_pickled_values_are_counted_and_never_opened(walk: Walk, agent: AgentSession, own_run: str) -> None:
    # Whoever opens this one runs os._exit. On 3.x the column is JSON: there is no such thing, a string is a string.
    pickled = walk.line == "2"
    value = rf"'\x{OPENED_AT_ONES_PERIL.hex()}'::bytea" if pickled else column_value(walk, "\x80 is no pickle")
    with inserted(walk, own_run, {"pickle": value}):
        items, answer = references(agent, run_id=own_run)
        in_run, run_answer = xcoms(agent, own_run, below=1_000_000)
    assert (items, answer.pickled, run_answer.pickled) == ([], int(pickled), int(pickled))
    (row,) = [item for item in in_run if item.key.startswith(INSERTED)]
    assert (row.pickled, row.has_value) == (pickled, not pickled)
    assert row.value == (None if pickled else "\x80 is no pickle")
    assert not [item for item in in_run if item.pickled and item is not row]


def test_a_scan_that_is_left_early_ends_and_the_next_request_is_answered(
    walk: Walk, agent: AgentSession, own_run: str
) -> None:
    path = column_value(walk, own_path(walk, own_run))
    params = {"base_path": walk.base_path, "run_id": own_run}
    with inserted(walk, own_run, {"many": path}, copies=MANY):
        for leave in (True, False):
            stream = agent.stream(requests.REFERENCES, params)
            assert next(stream)["kind"] == requests.REFERENCE
            if leave:
                stream.close()
                with pytest.raises(AgentError, match="closed before its answer"):
                    stream.result()
            # Otherwise the next question itself puts an end to the last one.
            assert agent.request(requests.RESOLVE)["phase"] == "inline"
            assert stream.answer is None
        assert set(transactions(walk, agent)) <= {"idle"}
        items, answer = references(agent, run_id=own_run)
    assert len(items) == answer.references == MANY
    assert answer.runs == 1


def transactions(walk: Walk, agent: AgentSession) -> list[str]:
    """The states of the agent's sessions with the metadata database."""
    assert walk.sandbox.database is not None
    ports = [
        str(each.laddr.port)
        for each in psutil.Process(agent.hello["pid"]).net_connections("tcp")
        if each.raddr and each.raddr.port == walk.sandbox.database.port
    ]
    return [
        state
        for port, state in sql(walk, "SELECT client_port, state FROM pg_stat_activity WHERE client_port IS NOT NULL")
        if port in ports
    ]


def test_memory_does_not_grow_with_the_rows(walk: Walk, own_run: str) -> None:
    path = column_value(walk, own_path(walk, own_run))
    peak = {}
    for rows in (FEW, MANY):
        with inserted(walk, own_run, {"row": path}, copies=rows), walk.sandbox.agent() as agent:
            assert references(agent, run_id=INLINE_RUN)[0] == []  # what is imported and opened once, is now
            status = Path(f"/proc/{agent.hello['pid']}/status")
            stream = agent.stream(requests.REFERENCES, {"base_path": walk.base_path, "run_id": own_run})
            assert sum(1 for _ in stream) == rows
            peak[rows] = bytes_of(status, "VmHWM")
    assert peak[MANY] - peak[FEW] < SLOPE_BYTES, peak


def bytes_of(status: Path, field: str) -> int:
    """A field of ``/proc/PID/status``, which gives it in units of 1,024 bytes."""
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024


# -- clear: changes the run of this file


def test_a_task_that_is_not_there_clears_nothing(walk: Walk, agent: AgentSession, own_run: str) -> None:
    before = set(walk.sandbox.airflow.api.task_instances(DAG_ID, own_run))
    for task_id, map_index, named in (("no_such_task", None, "no_such_task"), (PRODUCER, 7, f"{PRODUCER}[7]")):
        tasks = [[PRODUCER, 0], [task_id, map_index]]
        told = refusal(agent, requests.CLEAR, {"dag_id": DAG_ID, "run_id": own_run, "tasks": tasks})
        assert named in told
        assert repr(own_run) in told
    assert set(walk.sandbox.airflow.api.task_instances(DAG_ID, own_run)) == before
    assert walk.sandbox.airflow.api.run(DAG_ID, own_run).state == "success"


def test_one_map_index_alone_runs_again_and_its_reference_becomes_data(
    walk: Walk, agent: AgentSession, own_run: str
) -> None:
    api = walk.sandbox.airflow.api
    cell = (PRODUCER, 1, "return_value")
    pushed = {(x.task_id, x.map_index, x.key): x for x in xcoms(agent, own_run, below=1_000_000)[0]}
    # What a bare revert leaves behind: the row names an object, and ``inline`` hands the name over.
    path = own_path(walk, own_run, PRODUCER)
    sql(
        walk,
        f"UPDATE xcom SET value = {column_value(walk, path)} WHERE run_id = {literal(own_run)} "
        f"AND task_id = {literal(cell[0])} AND map_index = {cell[1]} AND key = {literal(cell[2])}",
    )
    stranded, _ = references(agent, run_id=own_run)
    assert [(item.kind, item.uri, item.map_index) for item in stranded] == [(requests.REFERENCE, path, 1)]

    before = {(each.task_id, each.map_index): each for each in api.task_instances(DAG_ID, own_run)}
    answer = agent.request(requests.CLEAR, {"dag_id": DAG_ID, "run_id": own_run, "tasks": [[PRODUCER, 1]]})
    assert requests.ClearAnswer.from_json(answer) == requests.ClearAnswer(
        (requests.ClearedInstance(PRODUCER, 1, "success"),), "queued"
    )
    wait_until_over(walk, own_run)

    assert api.run(DAG_ID, own_run).state == "success"
    after = {(each.task_id, each.map_index): each for each in api.task_instances(DAG_ID, own_run)}
    assert {name for name in before if after.get(name) != before[name]} == {(PRODUCER, 1)}
    again = after[PRODUCER, 1]
    assert (again.state, again.try_number) == ("success", before[PRODUCER, 1].try_number + 1)
    assert again.start_date > before[PRODUCER, 1].start_date
    assert references(agent, run_id=own_run)[0] == []
    repaired = {(x.task_id, x.map_index, x.key): x for x in xcoms(agent, own_run, below=1_000_000)[0]}
    assert {name: item.value for name, item in repaired.items()} == {n: item.value for n, item in pushed.items()}
    rewritten = {name for name in repaired if repaired[name].timestamp != pushed[name].timestamp}
    assert rewritten == {cell, (PRODUCER, 1, "pushed")}
    assert objects(agent, base_path=walk.base_path, under=f"{DAG_ID}/{own_run}")[0] == []


def test_an_unfinished_run_is_all_that_unfinished_only_shows(walk: Walk, agent: AgentSession, own_run: str) -> None:
    api = walk.sandbox.airflow.api
    api.set_pool(HOLD_POOL, 0, "closed for a test")
    try:
        answer = agent.request(requests.CLEAR, {"dag_id": DAG_ID, "run_id": own_run, "tasks": [[HOLD, None]]})
        assert [each["task_id"] for each in answer["cleared"]] == [HOLD]
        with inserted(walk, own_run, {"row": column_value(walk, own_path(walk, own_run))}):
            items, totals = references(agent, unfinished_only=True)
        assert [(item.run_id, item.run_end) for item in items] == [(own_run, None)]
        assert items[0].run_state in ("queued", "running")
        assert (totals.references, totals.runs) == (1, 1)
    finally:
        api.set_pool(HOLD_POOL, 1, "open again")
    wait_until_over(walk, own_run)
    assert api.run(DAG_ID, own_run).state == "success"
    assert references(agent, unfinished_only=True)[0] == []
