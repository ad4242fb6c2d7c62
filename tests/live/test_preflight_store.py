"""The checks of connection and store, each failed for real: on buckets, connections and policies of this file's own.

Two contexts answer everything. In the first, all four settings lead to a bucket of this file's own, through connections
that its environment holds; in the second they are the walk's, whose connection is in the metadata database alone.
"""

from __future__ import annotations

import json
import shlex
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.object_store import PASS, REFUSE, STALL, Gateway, Owner, gateway, owner, reader
from tests.support.preflight import Asked, Context, context, offload
from tests.support.rows import column_value, gone_dag, xcoms_of
from tests.support.walk import THRESHOLD, Walk, sql
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.settings import COMPRESSION, PATH
from xcomctl.model.transitions import Stored, ValueForm
from xcomctl.model.verdicts import Check, Status
from xcomctl.rehearsal.sandbox.objectstore import BUCKET as WALKS_BUCKET
from xcomctl.rehearsal.sandbox.objectstore import CONNECTION_ID as WALKS_CONNECTION
from xcomctl.roundtrip.folder import PREFIX

BUCKET = f"xcomctl-preflight-{uuid.uuid4().hex[:8]}"
CONN = "preflight_store"
BASE = f"s3://{CONN}@{BUCKET}/xcom"
VARIABLE = f"AIRFLOW_CONN_{CONN.upper()}"

STEPS = ("store_put", "store_head", "store_get", "store_list", "store_delete")
#: Seconds that a check may take where the store never answers.
SHORT = 3.0

#: Secrets that nothing may ever say.
PLANTED = {
    "password": "planted-Passw0rd/with+signs",
    "extra": "planted-extra-9f3b2",
    "nested": "planted-nested-77c1",
    "key id": "PLANTEDACCESSKEY0123",
    "environment": "planted-environment-55aa",
    "path": "planted-path-81be",
    "endpoint": "planted-endpoint-4d4d",
}


class Said:
    """Everything that the agents of this file let out: answers and log lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def remember(self, asked: Asked) -> Asked:
        self.lines += [json.dumps(check.to_json()) for check in asked.checks.values()]
        self.lines.append(json.dumps(asked.answer.to_json()))
        return asked


@pytest.fixture(scope="module")
def said() -> Said:
    return Said()


@pytest.fixture(scope="module")
def s3(walk: Walk) -> Iterator[Owner]:
    """The store's owner, with the bucket of this file."""
    with owner(walk) as owned:
        assert "error" not in owned("create_bucket", Bucket=BUCKET)
        yield owned


@pytest.fixture(scope="module")
def front(s3: Owner) -> Iterator[Gateway]:
    """What stands in front of the store in the first context."""
    with gateway(s3) as front:
        yield front


@pytest.fixture(scope="module")
def variables(walk: Walk, s3: Owner, front: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The first context's. Its tasks, on 3.x, would first ask a file that has the walk's connection, too."""
    keys = {"conn_type": "aws", "login": s3.connection["login"], "password": s3.connection["password"]}
    there = {"endpoint_url": front.endpoint, "region_name": "us-east-1"}
    connections: dict[str, dict[str, Any]] = {
        CONN: {**keys, "extra": {**there, "api_token": PLANTED["extra"], "more": {"secret": PLANTED["nested"]}}},
        "preflight_type": {**keys, "conn_type": "postgres", "extra": there},
        "preflight_stranger": {
            "conn_type": "aws", "login": PLANTED["key id"], "password": PLANTED["password"], "extra": there
        },
        "preflight_reader": {"conn_type": "aws", **reader(walk), "extra": there},
        "preflight_nobody": {
            **keys, "extra": {**there, "endpoint_url": f"http://user:{PLANTED['endpoint']}@127.0.0.1:1"}
        },
    }  # fmt: skip
    variables = offload(walk, **{PATH.env: BASE})
    variables.update({f"AIRFLOW_CONN_{name.upper()}": json.dumps(found) for name, found in connections.items()})
    variables["AWS_SECRET_ACCESS_KEY"] = PLANTED["environment"]
    file = tmp_path_factory.mktemp("secrets") / "connections.json"
    file.write_text(json.dumps({WALKS_CONNECTION: {"conn_type": "aws"}}))
    variables["AIRFLOW__WORKERS__SECRETS_BACKEND"] = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    variables["AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS"] = json.dumps({"connections_file_path": str(file)})
    return {**walk.env, **variables}


@pytest.fixture(scope="module")
def own(walk: Walk, variables: Mapping[str, str], said: Said) -> Iterator[Context]:
    """The first context."""
    with AgentSession(walk.reach(variables), log=said.lines.append) as session:
        yield Context(session)


@pytest.fixture(scope="module")
def healthy(own: Context, s3: Owner, said: Said) -> Asked:
    """A pre-flight of the first context as it is."""
    return said.remember(own.preflight(functional=True, only=("connection", "store")))


@pytest.fixture(scope="module")
def walks(walk: Walk) -> Iterator[Asked]:
    """A pre-flight of the second context, whose codec is a suffix."""
    with context(walk, offload(walk, **{COMPRESSION.env: "gz"})) as walks:
        yield walks.preflight(functional=True, only=("connection", "store"))


def statuses(asked: Asked, *ids: str) -> list[str]:
    return [asked[each].status.value for each in ids]


# -- connection


def test_a_connection_in_the_metadata_database_alone_resolves(walk: Walk, walks: Asked) -> None:
    assert (
        statuses(walks, "connection_id", "connection_resolves", "connection_as_task", "connection_type") == ["ok"] * 4
    )
    assert walks["connection_resolves"].data["found_in"] == "the metadata database"
    assert "server component" in walks["connection_resolves"].detail
    as_task = walks["connection_as_task"]
    if walk.line == "2":
        assert as_task.data["found_in"] == "the metadata database"
    else:
        assert as_task.data["found_in"] == "the Execution API"
    assert as_task.detail.endswith("connection_in_task was not asked here (--in-task asks a task)")
    assert "connection_in_task" not in walks.checks


def test_a_connection_in_the_environment_is_one_context_s_own(healthy: Asked) -> None:
    assert healthy["connection_resolves"].status is Status.OK
    assert healthy["connection_resolves"].data["found_in"] == f"the environment variable {VARIABLE}"
    as_task = healthy["connection_as_task"]
    assert as_task.status is Status.WARN
    assert as_task.hint == f"set {VARIABLE} wherever tasks run; --in-task asks one of them"


def test_a_task_that_would_ask_another_backend_first(walk: Walk, own: Context, said: Said) -> None:
    check = said.remember(own.preflight(expect_path=walk.base_path, only=("connection_as_task",)))["connection_as_task"]
    if walk.line == "2":  # has no backend of the workers' own
        assert check.status is Status.OK
        return
    assert check.status is Status.WARN
    assert check.data["found_in"] == "the secrets backend LocalFilesystemBackend"
    assert "the metadata database" in check.detail
    assert "--in-task" in check.hint


def test_a_connection_that_is_not_there(own: Context, said: Said) -> None:
    path = f"s3://preflight_nowhere@{BUCKET}/xcom"
    asked = said.remember(own.preflight(functional=True, expect_path=path, only=("connection", "store")))
    check = asked["connection_resolves"]
    assert check.status is Status.FAIL
    assert "AIRFLOW_CONN_PREFLIGHT_NOWHERE" in check.detail
    assert "--expect-path" in check.detail
    assert check.hint.startswith("airflow connections add preflight_nowhere --conn-type aws")
    rest = ("connection_as_task", "connection_type", "store_bucket", *STEPS, "store_offload", "store_lifecycle")
    assert statuses(asked, *rest) == ["skip"] * len(rest)
    assert {asked[each].data["needs"] for each in rest} == {"connection_resolves"}

    # A server component that is asked with a task's options: what it says is a task's, where it looks is its own.
    as_a_task = said.remember(own.preflight(in_task=True, expect_path=path, only=("connection_in_task",)))
    assert as_a_task["connection_in_task"].status is Status.FAIL
    assert "does not resolve for this task" in as_a_task["connection_in_task"].detail
    assert as_a_task["connection_in_task"].hint == check.hint


def test_what_resolves_says_where_from_with_a_task_s_options_too(own: Context, said: Said) -> None:
    asked = said.remember(own.preflight(in_task=True, only=("connection",)))
    assert "connection_as_task" not in asked.checks
    assert asked["connection_in_task"].status is Status.OK
    assert asked["connection_in_task"].data["found_in"] == f"the environment variable {VARIABLE}"


def test_a_connection_of_another_type(own: Context, said: Said) -> None:
    path = f"s3://preflight_type@{BUCKET}/xcom"
    asked = said.remember(own.preflight(expect_path=path, connection_id=CONN, only=("connection",)))
    check = asked["connection_type"]
    assert (check.status, check.data["found"]) == (Status.FAIL, "postgres")
    assert "--conn-type aws" in check.hint
    named = asked["connection_id"]
    assert (named.status, named.data["expected"], named.data["found"]) == (Status.FAIL, CONN, "preflight_type")
    assert named.hint == f"{PATH.env}='{BASE}'"


@pytest.mark.parametrize(
    ("path", "status", "hint"),
    [
        (f"s3://{BUCKET}/xcom", Status.WARN, f"{PATH.env}='s3://CONNECTION@{BUCKET}/xcom'"),
        (f"s3://user:{PLANTED['path']}@{BUCKET}/xcom", Status.FAIL, f"s3://CONNECTION@{BUCKET}/xcom"),
        ("file:///nonexistent/xcom", Status.OK, ""),
    ],
    ids=["ambient", "user and password", "folder"],
)
def test_paths_that_name_no_connection(own: Context, said: Said, path: str, status: Status, hint: str) -> None:
    check = said.remember(own.preflight(expect_path=path, only=("connection_id",)))["connection_id"]
    assert check.status is status
    assert check.hint.endswith(hint)


# -- the bucket


def test_without_a_path_what_was_asked_for_is_skipped_and_not_left_out(walk: Walk) -> None:
    with context(walk, warm=True) as inline:
        asked = inline.preflight(functional=True, connection_id=WALKS_CONNECTION)
        unasked = inline.preflight(only=("connection", "store", "round-trip", "config_class"))
    skipped = {each for each in asked.checks if asked[each].category in ("connection", "store", "round trip")}
    assert skipped == {"connection_id", "store_bucket"}
    for each in sorted(skipped):
        assert asked[each].status is Status.SKIP
        assert asked[each].detail.startswith("there is no base path to look at: ")
        assert asked[each].hint == f"--expect-path s3://{WALKS_CONNECTION}@BUCKET/xcom"
    assert set(unasked.checks) == {"config_class"}


def test_a_bucket_that_is_not_there_is_not_made(own: Context, s3: Owner, said: Said) -> None:
    path = f"s3://{CONN}@{BUCKET}-typo/xcom"
    asked = said.remember(own.preflight(functional=True, expect_path=path, only=("store",)))
    check = asked["store_bucket"]
    assert check.status is Status.FAIL
    assert f"there is no bucket '{BUCKET}-typo'" in check.detail
    assert f"aws s3 mb s3://{BUCKET}-typo" in check.hint
    rest = [each for each in asked.checks if each != "store_bucket"]
    assert set(STEPS) < set(rest)
    assert statuses(asked, *rest) == ["skip"] * len(rest)
    assert s3("head_bucket", Bucket=f"{BUCKET}-typo") == {"error": "404"}


def test_a_refusal_is_not_a_missing_bucket(own: Context, said: Said) -> None:
    path = f"s3://preflight_stranger@{BUCKET}/xcom"
    asked = said.remember(own.preflight(functional=True, expect_path=path, only=("store_bucket", "store_put")))
    check = asked["store_bucket"]
    assert check.status is Status.FAIL
    assert "refuses" in check.detail
    assert "not the same as missing" in check.detail
    assert "credentials" in check.hint
    assert asked["store_put"].status is Status.SKIP


def test_a_store_that_never_answers_is_a_fail_once(own: Context, front: Gateway, said: Said) -> None:
    with front.ruled(STALL, " "):
        asked = said.remember(own.preflight(functional=True, only=("store",), timeout_s=SHORT))
    check = asked["store_bucket"]
    assert (check.status, check.data) == (Status.FAIL, {"timed_out": True})
    assert f"no answer within {SHORT:g} s" in check.detail
    assert "--timeout" in check.hint
    rest = [each for each in asked.checks if each != "store_bucket"]
    assert set(STEPS) < set(rest)
    assert statuses(asked, *rest) == ["skip"] * len(rest)
    waited = sum(each.duration_ms or 0 for each in asked.checks.values())
    assert SHORT * 1000 <= waited < 2 * SHORT * 1000


def test_a_store_that_stops_to_answer_is_a_fail_where_it_stopped(
    own: Context, front: Gateway, s3: Owner, said: Said
) -> None:
    with front.ruled(STALL, "GET", "/xcomctl-preflight/"):
        asked = said.remember(own.preflight(functional=True, only=(*STEPS, "store_offload"), timeout_s=SHORT))
    assert statuses(asked, *STEPS, "store_offload") == ["ok", "ok", "fail", "ok", "skip", "skip"]
    assert asked["store_get"].data == {"timed_out": True}
    (key,) = s3.keys(BUCKET)
    assert f"this object may stay behind: s3://{CONN}@{BUCKET}/{key}" in asked["store_delete"].detail
    s3("delete_object", Bucket=BUCKET, Key=key)


def test_a_store_that_cannot_be_reached_says_so(own: Context, said: Said) -> None:
    path = f"s3://preflight_nobody@{BUCKET}/xcom"
    asked = said.remember(own.preflight(functional=True, expect_path=path, only=("store_bucket",), timeout_s=60))
    assert asked["store_bucket"].status is Status.FAIL
    assert "cannot be asked" in asked["store_bucket"].detail
    assert "endpoint" in asked["store_bucket"].hint


# -- permissions, each by itself


def test_all_is_allowed_and_nothing_stays(healthy: Asked, s3: Owner) -> None:
    assert statuses(healthy, "store_bucket", *STEPS, "store_offload") == ["ok"] * 7
    assert all(healthy[each].data["latency_ms"] > 0 for each in STEPS)
    assert [healthy[each].data["requests"] for each in ("store_bucket", "store_put", "store_head")] == [1, 1, 1]
    passed = healthy["store_offload"].data
    assert passed["value_bytes"] == THRESHOLD + 1 == passed["object_bytes"]
    assert set(passed["steps_ms"]) == {"write", "read", "purge"}
    assert passed["reference"].startswith(f"{BASE}/xcomctl_preflight/")
    assert s3.keys(BUCKET) == []


@pytest.mark.parametrize(
    ("action", "refused"),
    [
        ("s3:PutObject", ["store_put"]),
        ("s3:GetObject", ["store_head", "store_get"]),
        ("s3:ListBucket", ["store_list"]),
        ("s3:DeleteObject", ["store_delete"]),
    ],
)
def test_each_permission_is_reported_by_itself(
    own: Context, s3: Owner, said: Said, action: str, refused: list[str]
) -> None:
    with s3.denied(BUCKET, action):
        asked = said.remember(own.preflight(functional=True, only=("store", "round_trip_offload")))
    assert [each for each in STEPS if asked[each].status is Status.FAIL] == refused
    assert [each for each in STEPS if asked[each].status is not Status.OK] == refused
    assert asked["store_bucket"].status is Status.OK
    for each in refused:
        assert "refused to this context's identity" in asked[each].detail
        place = BUCKET if action == "s3:ListBucket" else f"{BUCKET}/xcom/*"
        assert asked[each].hint == f"grant {action} on arn:aws:s3:::{place}"
    assert asked["store_offload"].status is Status.SKIP
    assert asked["round_trip_offload"].status is Status.SKIP
    assert asked["round_trip_offload"].data["needs"] in refused
    # Under s3:DeleteObject, too: SeaweedFS does not look at the policy where several objects are deleted in one request.
    assert s3.keys(BUCKET) == []


def test_an_identity_that_may_only_read(own: Context, s3: Owner, said: Said) -> None:
    path = f"s3://preflight_reader@{BUCKET}/xcom"
    asked = said.remember(own.preflight(functional=True, only=("store",), expect_path=path, planned=True))
    assert statuses(asked, "store_bucket", *STEPS) == ["ok", "fail", "ok", "ok", "ok", "fail"]
    assert "refused to this context's identity" in asked["store_put"].detail
    assert asked["store_put"].hint == f"grant s3:PutObject on arn:aws:s3:::{BUCKET}/xcom/*"
    assert asked["store_delete"].hint == f"grant s3:DeleteObject on arn:aws:s3:::{BUCKET}/xcom/*"
    assert asked["store_offload"].status is Status.SKIP
    assert s3.keys(BUCKET) == []


def test_without_put_and_list_a_403_for_what_is_not_there_tells_nothing(own: Context, s3: Owner, said: Said) -> None:
    with s3.denied(BUCKET, "s3:PutObject", "s3:ListBucket", "s3:GetObject"):
        asked = said.remember(own.preflight(functional=True, only=STEPS))
    assert statuses(asked, *STEPS) == ["fail", "skip", "skip", "fail", "ok"]
    assert "403 also means 404" in asked["store_get"].detail


# -- the real backend


def test_a_write_that_is_refused_to_the_backend(own: Context, s3: Owner, said: Said) -> None:
    with s3.denied(BUCKET, "s3:PutObject", below="xcom/xcomctl_preflight/"):
        check = said.remember(own.preflight(functional=True, only=("store_offload",)))["store_offload"]
    assert check.status is Status.FAIL
    assert "failed at its write" in check.detail
    assert check.hint
    assert s3.keys(BUCKET) == []


def test_an_object_that_cannot_be_deleted_at_all_is_named(own: Context, front: Gateway, s3: Owner, said: Said) -> None:
    with s3.denied(BUCKET, "s3:DeleteObject"), front.ruled(REFUSE, "POST", "?delete"):
        check = said.remember(own.preflight(functional=True, only=("store_delete",)))["store_delete"]
    (key,) = s3.keys(BUCKET)
    assert check.status is Status.FAIL
    assert f"this object may stay behind: s3://{CONN}@{BUCKET}/{key}" in check.detail
    s3("delete_object", Bucket=BUCKET, Key=key)


def test_a_purge_that_is_refused_names_what_stays(own: Context, front: Gateway, s3: Owner, said: Said) -> None:
    with s3.denied(BUCKET, "s3:DeleteObject", below="xcom/xcomctl_preflight/"), front.ruled(REFUSE, "POST", "?delete"):
        check = said.remember(own.preflight(functional=True, only=("store_offload",)))["store_offload"]
    (key,) = s3.keys(BUCKET)
    assert check.status is Status.FAIL
    assert "failed at its purge" in check.detail
    assert f"this object stays behind: s3://{CONN}@{BUCKET}/{key}" in check.detail
    assert check.data["left_behind"] == check.data["reference"] == f"s3://{CONN}@{BUCKET}/{key}"
    assert check.hint == f"grant s3:DeleteObject on arn:aws:s3:::{BUCKET}/xcom/*"
    s3("delete_object", Bucket=BUCKET, Key=key)


@pytest.mark.first_line_only
def test_a_backend_whose_store_stops_to_answer_leaves_nothing(
    own: Context, front: Gateway, s3: Owner, said: Said
) -> None:
    with front.ruled(STALL, "GET", "/xcomctl_preflight/"):
        asked = said.remember(own.preflight(functional=True, only=("store_offload",), timeout_s=SHORT))
    check = asked["store_offload"]
    assert (check.status, check.data) == (Status.FAIL, {"timed_out": True, "left_behind": None})
    assert f"what lay below s3://{CONN}@{BUCKET}/xcom/xcomctl_preflight/canary-" in check.detail
    assert s3.keys(BUCKET) == []


@pytest.mark.first_line_only
def test_a_round_trip_that_hangs_leaves_the_process_its_own_threshold(
    walk: Walk, variables: Mapping[str, str], front: Gateway, s3: Owner, said: Said
) -> None:
    with AgentSession(walk.reach(variables), log=said.lines.append) as session, front.ruled(STALL, "GET", f"/{PREFIX}"):
        asked = said.remember(
            Context(session).preflight(functional=True, only=("round_trip_offload",), timeout_s=SHORT)
        )
        check = asked["round_trip_offload"]
        assert not asked.answer.overridden, "this very process answered"
        assert (check.status, check.data) == (Status.FAIL, {"timed_out": True})
        small = session.request(requests.ROUNDTRIP_WRITE, {"values": [ValueForm.SMALL.value], "threshold": THRESHOLD})
    assert [each["kind"] for each in small["written"]] == [Stored.VALUE.value]
    left = s3.keys(BUCKET)
    assert all(f"xcom/{PREFIX}" in key for key in left)
    assert "objects may be left below" in check.detail
    for key in left:
        s3("delete_object", Bucket=BUCKET, Key=key)


@pytest.mark.first_line_only
def test_a_round_trip_that_is_stopped_removes_what_it_wrote(
    walk: Walk, variables: Mapping[str, str], front: Gateway, s3: Owner, said: Said
) -> None:
    class Enough(Exception):
        pass

    def slowly(line: str) -> str:
        time.sleep(0.3)
        return PASS

    begun: list[str] = []

    def stop(progress: Mapping[str, Any]) -> None:
        if str(progress.get("message")).startswith("offloaded values"):
            front.rule = slowly
            until = time.monotonic() + 15
            while not begun and time.monotonic() < until:
                begun.extend(key for key in s3.keys(BUCKET) if f"xcom/{PREFIX}" in key)
            raise Enough

    options = PreflightOptions(functional=True, only=("round_trip_offload",), expect_threshold=THRESHOLD + 1)
    try:
        with AgentSession(walk.reach(variables), log=said.lines.append) as session:
            with pytest.raises(Enough):
                session.stream(requests.PREFLIGHT, options.to_json(), stop).result()
            session.close(grace=20)  # the end of its input is all that the far side of a lost connection sees
    finally:
        front.rule = lambda line: PASS
    assert begun, "it was in the middle of it"
    assert s3.keys(BUCKET) == []


def test_a_codec_that_is_none_fails_in_the_backend(walks: Asked, s3: Owner) -> None:
    assert statuses(walks, "store_bucket", *STEPS) == ["ok"] * 6
    check = walks["store_offload"]
    assert check.status is Status.FAIL
    assert "gz" in check.detail
    assert COMPRESSION.env in check.hint
    assert s3.keys(WALKS_BUCKET, "xcom/xcomctl") == []


def test_nothing_is_offloaded_under_dual_read(own: Context, said: Said) -> None:
    asked = said.remember(own.preflight(functional=True, expect_threshold=-1, only=("store",)))
    assert "store_offload" not in asked.checks
    assert statuses(asked, *STEPS) == ["ok"] * 5


def test_a_folder(own: Context, said: Said, tmp_path: Path) -> None:
    asked = said.remember(
        own.preflight(functional=True, expect_path=f"file://{tmp_path}/new/xcom", only=("connection", "store"))
    )
    assert set(asked.checks) == {"connection_id", "store_bucket", *STEPS, "store_offload"}
    assert {check.status for check in asked.checks.values()} == {Status.OK}, asked.checks
    assert list(tmp_path.iterdir()) == []

    file = tmp_path / "no-folder"
    file.touch()
    blocked = said.remember(own.preflight(functional=True, expect_path=f"file://{file}/xcom", only=("store_bucket",)))
    assert blocked["store_bucket"].status is Status.FAIL
    assert f"{file} is no folder" in blocked["store_bucket"].detail


# -- how long objects are kept


@contextmanager
def old_xcom(walk: Walk, text: str) -> Iterator[None]:
    """An XCom of three days ago, in a run of its own."""
    names = ("preflight_store", "of_old", "task")
    with gone_dag(walk, *names), xcoms_of(walk, *names, {"old": column_value(walk, text)}):
        sql(walk, "UPDATE xcom SET timestamp = now() - interval '3 days' WHERE dag_id = 'preflight_store'")
        yield


def lifecycle(own: Context, said: Said, check_id: str = "store_lifecycle") -> Check:
    return said.remember(own.preflight(functional=True, only=(check_id,)))[check_id]


def test_without_a_rule_the_line_that_sets_one_is_shown(healthy: Asked, s3: Owner) -> None:
    check = healthy["store_lifecycle"]
    assert check.status is Status.WARN
    line = shlex.split(check.hint.partition("XComs are kept: ")[2])
    assert line[:4] == ["aws", "s3api", "put-bucket-lifecycle-configuration", "--bucket"]
    # What the line says is what the store takes.
    rules = json.loads(line[line.index("--lifecycle-configuration") + 1])
    assert s3("put_bucket_lifecycle_configuration", Bucket=BUCKET, LifecycleConfiguration=rules) is not None
    (rule,) = s3("get_bucket_lifecycle_configuration", Bucket=BUCKET)["Rules"]
    assert (rule["Filter"], rule["Expiration"]) == ({"Prefix": "xcom/"}, {"Days": 90})
    assert s3("delete_bucket_lifecycle", Bucket=BUCKET) == {}


def test_a_rule_beside_the_age_of_xcoms(walk: Walk, own: Context, s3: Owner, said: Said) -> None:
    path = f"{BASE}/preflight_store/of_old/task/00000000-0000-4000-8000-000000000000"
    with s3.lifecycle(BUCKET, Filter={"Prefix": "xcom/"}, Expiration={"Days": 2}):
        fresh = lifecycle(own, said)
        with old_xcom(walk, "a plain string"):
            kept = lifecycle(own, said)
        with old_xcom(walk, path):
            lost = lifecycle(own, said)
    assert (fresh.status, fresh.data["days"], fresh.data["rules"]) == (Status.OK, 2, ["a-rule"])
    assert (kept.status, kept.data["oldest_xcom_days"]) == (Status.WARN, 3)
    assert (lost.status, lost.data["oldest_xcom_days"]) == (Status.FAIL, 3)
    assert "preflight_store.task of of_old" in lost.detail
    assert kept.hint == lost.hint
    assert "airflow db clean" in lost.hint


def test_a_rule_elsewhere_is_no_rule_and_a_part_is_a_part(own: Context, s3: Owner, said: Said) -> None:
    with s3.lifecycle(BUCKET, Filter={"Prefix": "xcomx/"}, Expiration={"Days": 2}):
        elsewhere = lifecycle(own, said)
    with s3.lifecycle(BUCKET, Filter={"Prefix": "xcom/a_dag/"}, Expiration={"Days": 30}):
        part = lifecycle(own, said)
    with s3.lifecycle(BUCKET, Filter={"Prefix": ""}, Expiration={"Date": "2035-01-01T00:00:00Z"}):
        dated = lifecycle(own, said)
    assert dated.status is Status.FAIL
    assert "2035-01-01" in dated.detail
    assert "take the date out of that rule" in dated.hint
    assert (elsewhere.status, elsewhere.data["rules"]) == (Status.WARN, [])
    assert elsewhere.hint.startswith("add to the bucket's lifecycle rules")
    assert (part.status, part.data["rules"]) == (Status.WARN, ["a-rule"])
    assert "only a part" in part.detail


def test_versions_that_deletes_leave_behind(own: Context, s3: Owner, said: Said, healthy: Asked) -> None:
    assert healthy["store_versioning"].status is Status.OK
    enabled, suspended = {"Status": "Enabled"}, {"Status": "Suspended"}
    assert s3("put_bucket_versioning", Bucket=BUCKET, VersioningConfiguration=enabled) == {}
    try:
        asked = said.remember(own.preflight(functional=True, only=("store", "round-trip")))
        kept = asked["store_versioning"]
        left = s3("list_object_versions", Bucket=BUCKET)
        with s3.denied(BUCKET, "s3:ListBucketVersions"):
            unseen = said.remember(own.preflight(functional=True, only=("store",)))["store_versioning"]
        with s3.lifecycle(
            BUCKET, Filter={"Prefix": ""}, Expiration={"Days": 90}, NoncurrentVersionExpiration={"NoncurrentDays": 7}
        ):
            expired = lifecycle(own, said, "store_versioning")
    finally:
        assert s3("put_bucket_versioning", Bucket=BUCKET, VersioningConfiguration=suspended) == {}
    assert kept.status is Status.WARN
    assert "NoncurrentVersionExpiration" in kept.hint
    assert "this pre-flight's own" not in kept.detail
    assert statuses(asked, "store_offload", "round_trip_offload") == ["ok", "warn"]
    assert (left.get("Versions"), left.get("DeleteMarkers")) == (None, None)
    assert "Those of this pre-flight's own objects stay, too: " in unseen.detail
    assert (expired.status, expired.data["noncurrent_days"]) == (Status.OK, 7)


def test_what_this_identity_may_not_see_is_a_warning(own: Context, s3: Owner, said: Said) -> None:
    with s3.denied(BUCKET, "s3:GetLifecycleConfiguration", "s3:GetBucketVersioning"):
        asked = said.remember(own.preflight(functional=True, only=("store_lifecycle", "store_versioning")))
    assert statuses(asked, "store_lifecycle", "store_versioning") == ["warn", "warn"]
    for each, command in (("store_lifecycle", "lifecycle-configuration"), ("store_versioning", "versioning")):
        assert "not visible to this identity" in asked[each].detail
        assert asked[each].hint == f"aws s3api get-bucket-{command} --bucket {BUCKET}"


# -- last, since it looks at what all of them said


def test_no_secret_is_in_anything_that_was_said(own: Context, s3: Owner, said: Said) -> None:
    for path in (
        f"s3://user:{PLANTED['path']}@{BUCKET}/xcom",
        f"s3://preflight_stranger@{BUCKET}/xcom",
        f"s3://preflight_nobody@{BUCKET}/xcom",
        BASE,
    ):
        said.remember(own.preflight(functional=True, expect_path=path, only=("connection", "store"), timeout_s=20))
    text = "\n".join(said.lines)
    assert "AwsConnectionWrapper" in text or "connection_wrapper" in text  # the log lines are among them
    secrets = {**PLANTED, "real": s3.connection["password"]}
    for name, secret in secrets.items():
        spellings = {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}
        found = [line for line in said.lines if any(each in line for each in spellings)]
        assert not found, (name, found[:3])
