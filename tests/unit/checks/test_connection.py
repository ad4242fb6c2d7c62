"""What the settings alone tell about a connection, and what of it is secret; the rest is in the live tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from xcomctl.airflow_compat import connections
from xcomctl.airflow_compat.connections import ENVIRONMENT, EXECUTION_API, METADATA, Lookup
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.connection import CHECKS
from xcomctl.checks.interface import CheckSpec, Finding, Subject
from xcomctl.checks.runner import without_secrets
from xcomctl.model.phases import Line
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.verdicts import Status


def subject(**options: Any) -> Subject:
    made = Subject(PreflightOptions(**options), lambda *_: {}, lambda *_: None)
    made.line = Line.AF3
    made.settings = {name: ResolvedSetting(None, None) for name in ("backend", "path", "threshold", "compression")}
    return made


def spec(check_id: str) -> CheckSpec:
    (found,) = [each for each in CHECKS if each.id == check_id]
    return found


def found(check_id: str, looked_at: Subject) -> Finding:
    finding = spec(check_id).run(looked_at)
    assert finding is not None
    return finding


@pytest.mark.parametrize(
    ("path", "wanted", "status", "hint"),
    [
        ("s3://conn@bucket/xcom", "conn", Status.OK, ""),
        ("s3://conn@bucket/xcom", None, Status.OK, ""),
        ("s3://conn@bucket/xcom", "other", Status.FAIL, "'s3://other@bucket/xcom'"),
        ("s3://bucket/xcom", "other", Status.FAIL, "'s3://other@bucket/xcom'"),
        ("s3://bucket/xcom", None, Status.WARN, "'s3://CONNECTION@bucket/xcom'"),
        ("file:///mnt/xcom", None, Status.OK, ""),
        ("gs://user:word@bucket/xcom", None, Status.FAIL, "gs://CONNECTION@bucket/xcom"),
    ],
)
def test_the_id_in_the_path(path: str, wanted: str | None, status: Status, hint: str) -> None:
    finding = found("connection_id", subject(expect_path=path, connection_id=wanted))
    assert finding.status is status
    assert finding.hint.endswith(hint)
    assert "--expect-path" in finding.detail
    assert "word@" not in finding.detail + finding.hint


@pytest.mark.parametrize(("line", "backend"), [(Line.AF2, METADATA), (Line.AF3, METADATA), (Line.AF3, ENVIRONMENT)])
@pytest.mark.parametrize("before_api", [None, METADATA, "VaultBackend"])
def test_what_is_said_of_tasks_says_that_none_was_asked(
    monkeypatch: pytest.MonkeyPatch, line: Line, backend: str, before_api: str | None
) -> None:
    looked_at = subject(expect_path="s3://conn@bucket/xcom")
    looked_at.line = line
    looked_at.shared["connection.connection"] = SimpleNamespace(conn_id="conn")
    looked_at.shared["connection.lookup"] = Lookup("conn", backend)
    monkeypatch.setattr(connections, "lookup_before_api", lambda conn_id: Lookup(conn_id, before_api))
    finding = found("connection_as_task", looked_at)
    assert finding.detail.endswith("; connection_in_task was not asked here (--in-task asks a task)")
    assert spec("connection_as_task").title.startswith("as far as this context can tell, ")


@pytest.mark.parametrize(
    ("path", "command"),
    [
        ("s3://conn@bucket/x", "--conn-type aws --conn-login KEY_ID --conn-password SECRET_KEY"),
        ("gs://conn@bucket/x", """--conn-type google_cloud_platform --conn-extra '{"key_path": "FILE"}'"""),
        ("hdfs://conn@bucket/x", "--conn-type TYPE"),
    ],
)
def test_a_connection_that_is_missing_is_made_with_the_command_shown(
    monkeypatch: pytest.MonkeyPatch, path: str, command: str
) -> None:
    def refuse(conn_id: str) -> None:
        raise AirflowUnusable("no") from KeyError(conn_id)

    monkeypatch.setattr(connections, "require_connection", refuse)
    monkeypatch.setattr(connections, "lookup", lambda conn_id: Lookup(conn_id, None))
    finding = found("connection_resolves", subject(expect_path=path))
    assert finding.hint.startswith(f"airflow connections add conn {command}, or correct the id in ")


def test_airflow_3_0_has_its_hooks_where_2_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def module(name: str) -> SimpleNamespace:
        if name != "airflow.hooks.base":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return SimpleNamespace(BaseHook=SimpleNamespace(get_connection=lambda conn_id: f"connection {conn_id}"))

    monkeypatch.setattr(connections.loading, "line", lambda: Line.AF3)
    monkeypatch.setattr(connections.loading, "module", module)
    monkeypatch.setattr(connections.xcom_class, "class_path", lambda: ("a.Class", None))
    assert connections.require_connection("store") == "connection store"


def test_airflow_3_0_s_supervisor_does_not_tell_what_a_server_component_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    class MetastoreBackend:
        __module__ = "airflow.secrets.metastore"

        def get_connection(self, conn_id: str) -> str:
            return conn_id

    def module(name: str) -> SimpleNamespace:
        if name == "airflow.sdk.bases.hook":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return SimpleNamespace(ensure_secrets_backend_loaded=list, ensure_secrets_loaded=lambda: [MetastoreBackend()])

    monkeypatch.setattr(connections.loading, "line", lambda: Line.AF3)
    monkeypatch.setattr(connections.loading, "module", module)
    assert connections.lookup("store").backend == METADATA


@pytest.mark.parametrize("path", ["", "no/scheme", "s3://"])
def test_a_path_that_cannot_be_one_is_another_check_s(path: str) -> None:
    assert not any(each.applies(subject(expect_path=path)) for each in CHECKS)


@pytest.mark.parametrize(
    ("scheme", "conn_type", "status"),
    [
        ("s3", "aws", Status.OK),
        ("s3a", "s3", Status.OK),
        ("s3", "", Status.OK),
        ("s3", "http", Status.FAIL),
        ("gs", "google_cloud_platform", Status.OK),
        ("gs", "", Status.FAIL),
        ("abfs", "wasb", Status.OK),
        ("abfss", "adls", Status.OK),
        ("abfs", "aws", Status.FAIL),
        ("hdfs", "webhdfs", None),
    ],
)
def test_types_by_scheme(scheme: str, conn_type: str, status: Status | None) -> None:
    looked_at = subject(expect_path=f"{scheme}://conn@bucket/xcom")
    looked_at.shared["connection.connection"] = SimpleNamespace(conn_id="conn", conn_type=conn_type)
    looked_at.shared["connection.lookup"] = Lookup("conn", METADATA)
    finding = spec("connection_type").run(looked_at)
    assert (finding.status if finding is not None else None) is status


def test_where_it_was_found_is_said_without_what_it_holds() -> None:
    assert Lookup("a_b", ENVIRONMENT).place == "the environment variable AIRFLOW_CONN_A_B"
    assert Lookup("a_b", METADATA).place == "the metadata database"
    assert Lookup("a_b", EXECUTION_API).place == "the Execution API"
    assert Lookup("a_b", "VaultBackend").place == "the secrets backend VaultBackend"


def test_every_secret_of_a_connection_is_kept_in_every_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = SimpleNamespace(
        login="0123456789abcdef",
        password='pass/"word',
        extra_dejson={
            "endpoint_url": "http://minio:9000",
            "aws_session_token": "session-1",
            "deep": {"client_secret": ["nested-1"], "keyfile_dict": {"private": "keyfile-1"}},
        },
        get_uri=lambda: "aws://the-whole-uri",
    )
    monkeypatch.setenv("AIRFLOW_CONN_STORE", "in-the-environment")
    monkeypatch.setenv("SOME_TOKEN", "short")
    kept = subject()
    kept.keep_secret(*connections.secrets_of(connection), *connections.secrets_of_environment("store"))
    told = 'pass/"word pass%2F%22word pass/\\"word session-1 nested-1 keyfile-1 0123456789abcdef aws://the-whole-uri'
    assert set(without_secrets(f"{told} in-the-environment", kept.secrets).split()) == {"***"}
    left = "http://minio:9000 in a short sentence"
    assert without_secrets(left, kept.secrets) == left


def test_a_name_that_is_no_key_is_no_secret() -> None:
    connection = SimpleNamespace(login="xcomctl", password=None, extra_dejson={}, get_uri=lambda: "aws://x@")
    assert list(connections.secrets_of(connection)) == ["aws://x@"]
