"""What is said of running processes, by what can be read of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.airflow_compat import configuration
from xcomctl.checks import processes, running
from xcomctl.checks.interface import Subject
from xcomctl.checks.processes import AirflowProcess
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.settings import BACKEND, PATH, ResolvedSetting
from xcomctl.model.verdicts import Status

#: What resolves here, and what lies beneath the variables: nothing is set.
HERE = {
    "backend": ResolvedSetting(BASE_XCOM, "airflow.cfg"),
    "path": ResolvedSetting("", "airflow.cfg"),
    "threshold": ResolvedSetting(-1, "provider default"),
    "compression": ResolvedSetting("", "provider default"),
}
SAME = AirflowProcess(7, "scheduler", 10.0, {})
OLD = AirflowProcess(8, "triggerer", 10.0, {BACKEND.env: OBJECT_STORAGE_BACKEND})
TITLED = AirflowProcess(9, "celery worker", 10.0, None)


@pytest.fixture
def host(monkeypatch, tmp_path):
    """A context whose processes a test sets; it counts how often they are looked for."""
    host = type("Host", (), {"processes": (), "looked": 0, "config_file": tmp_path / "airflow.cfg"})()

    def look(home: str) -> tuple[AirflowProcess, ...]:
        host.looked += 1
        return host.processes

    monkeypatch.setattr(processes, "running", look)
    monkeypatch.setattr(configuration, "home", lambda: "/opt/airflow")
    monkeypatch.setattr(configuration, "config_file", lambda: Path(host.config_file))
    monkeypatch.setattr(configuration, "without_variables", lambda: HERE)
    monkeypatch.setattr(configuration, "threshold_text", lambda: "-1")
    return host


def subject(**options) -> Subject:
    found = Subject(PreflightOptions(**options), lambda *_: {}, lambda *_: None)
    found.__dict__.update(settings=HERE, line=Line.AF2)
    return found


def check(host, *found: AirflowProcess):
    host.processes = found
    return running.CHECKS[0].run(subject())


def test_without_any_process_there_is_nothing_to_say(host):
    assert check(host) is None


def test_all_can_be_read_and_have_what_resolves(host):
    found = check(host, SAME)
    assert (found.status, found.hint) == (Status.OK, "")
    assert "scheduler (pid 7)" in found.detail


def test_none_can_be_read_is_a_warning_that_names_them(host):
    found = check(host, TITLED)
    assert found.status is Status.WARN
    assert found.detail.startswith("what celery worker (pid 9) started with cannot be read")
    assert "restart celery worker (pid 9)" in found.hint and "SPT_NOENV=1" in found.hint
    assert found.data["processes"] == [] and len(found.data["unreadable"]) == 1


def test_some_can_be_read_is_a_warning_too(host):
    found = check(host, SAME, TITLED)
    assert found.status is Status.WARN
    assert "celery worker (pid 9) started with cannot be read" in found.detail
    assert found.detail.endswith("scheduler (pid 7) started with what a fresh process resolves")
    assert "scheduler" not in found.hint


def test_what_differs_fails_whatever_cannot_be_read(host):
    found = check(host, SAME, OLD, TITLED)
    assert found.status is Status.FAIL
    assert f"backend there {OBJECT_STORAGE_BACKEND}, here {BASE_XCOM}" in found.detail
    assert "celery worker (pid 9) started with cannot be read" in found.detail
    assert found.hint.startswith("restart triggerer (pid 8), to start")
    assert "SPT_NOENV=1" in found.hint


def test_a_changed_file_and_one_that_cannot_be_read(host):
    host.config_file.write_text("")
    found = check(host, SAME, TITLED)
    assert found.status is Status.WARN
    assert found.detail.startswith("airflow.cfg was changed after scheduler (pid 7)")
    assert "celery worker (pid 9) started with cannot be read" in found.detail


def test_an_expectation_that_a_running_process_meets_and_a_fresh_one_does_not(host):
    host.processes = (AirflowProcess(7, "scheduler", 0.0, {PATH.env: "s3://c@b/x"}), TITLED)
    said = running.said_of_running(subject(), PATH, "s3://c@b/x/")
    assert said == "; the running scheduler (pid 7, started 1970-01-01T00:00:00Z) has s3://c@b/x"
    assert running.said_of_running(subject(), PATH, "s3://c@b/y") == ""
    assert running.said_of_running(subject(in_task=True), PATH, "s3://c@b/x") == ""


def test_one_run_looks_once(host):
    host.processes = (SAME, OLD)
    asked = subject()
    running.said_of_running(asked, PATH, "s3://c@b/x")
    running.said_of_running(asked, BACKEND, BASE_XCOM)
    running.CHECKS[0].run(asked)
    assert host.looked == 1


def test_a_server_that_runs_no_tasks_may_hide_what_it_was_started_with(host):
    server = AirflowProcess(11, "api-server", 10.0, None)
    assert check(host, server) is None
    found = check(host, SAME, server)
    assert found.status is Status.OK
    assert "api-server" in found.data["unreadable"][0]
