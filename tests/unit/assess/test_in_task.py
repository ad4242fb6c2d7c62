"""What is made of what a task answers, or does not; the ways themselves are tested on a real Airflow."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from xcomctl import __version__
from xcomctl.assess import in_task as asking
from xcomctl.assess.in_task import Progressed, run_in_task
from xcomctl.clients.airflow_api import ApiError
from xcomctl.deployment import bundle
from xcomctl.errors import UserError
from xcomctl.model import in_task
from xcomctl.model.preflight import ContextReport, PreflightAnswer, PreflightOptions
from xcomctl.model.verdicts import Check, Status

ANSWER = PreflightAnswer(
    airflow="3.3.2",
    line="3",
    python="3.12.1",
    hostname="worker-0",
    providers={"common.io": "1.11.0"},
    settings={name: {"value": None, "source": None, "error": None} for name in ("backend", "path")},
    phase="inline",
    target={"backend": None, "path": None, "threshold": -1, "compression": None},
)
FOUND = Check("config_path", "config", "the path is one", Status.FAIL, "no path", "set one", 1.5, {"found": None})
SUCCESS, FAILED = Progressed("success", "success"), Progressed("failed", "failed")


@dataclass
class Way:
    """A way on which everything is known beforehand."""

    states: list[Progressed]
    returned: Any = None
    logged: str = ""
    refused: str = ""
    conf: Mapping[str, Any] = field(default_factory=dict)

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> str:
        self.conf = conf
        return self.refused

    def progress(self, run_id: str) -> Progressed:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def value(self, run_id: str) -> Any:
        return self.returned

    def log(self, run_id: str) -> str:
        return self.logged


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_POLL_S", 0.0)


def packed(*checks: Check, digest: str | None = None) -> dict[str, Any]:
    return in_task.packed(checks or (FOUND,), ANSWER, __version__, bundle.digest() if digest is None else digest)


def ask(way: Way, said: list[str] | None = None, timeout_s: float = 5.0) -> ContextReport:
    told = [] if said is None else said
    return run_in_task(way, PreflightOptions(only=("config",)), timeout_s=timeout_s, progress=told.append)


def skipped(report: ContextReport) -> Check:
    (check,) = report.checks
    assert (check.id, check.status, report.answer) == ("connection_in_task", Status.SKIP, None)
    return check


def test_the_answer_is_the_task_s() -> None:
    waiting = [Progressed("queued", None), Progressed("running", "queued"), Progressed("running", "queued"), SUCCESS]
    way, said = Way(waiting, packed()), []
    assert ask(way, said) == ContextReport("task", (FOUND,), ANSWER)
    assert way.conf == {"options": PreflightOptions(only=("config",), in_task=True).to_json()}
    assert [text for text in said if "is" in text] == [
        "the task's answer: the run is queued",
        "the task's answer: the task is queued",
    ]


@pytest.mark.parametrize("value", [None, {"schema": "other"}, {**packed(), "body": "x"}, "s3://c@b/xcom/a/b/c/d", [1]])
def test_a_success_without_an_answer_is_inconclusive(value: Any) -> None:
    check = skipped(ask(Way([SUCCESS], value, "a line of the log")))
    assert "dags export" in check.hint
    assert check.data["log"] == ["a line of the log"]


def test_a_value_that_was_offloaded_is_a_fail_beside_what_the_log_has() -> None:
    log = f"2026-01-01 INFO - {in_task.LOG_MARK}{json.dumps(packed())} trailing\nDone."
    checks = ask(Way([SUCCESS], "s3://c@b/xcom/a/b/c/d", log)).checks
    assert checks[0] == FOUND
    assert (checks[1].id, checks[1].status) == ("push_in_task", Status.FAIL)
    assert "s3://c@b/xcom/a/b/c/d" in checks[1].detail
    assert "10000" in checks[1].hint


def test_a_failed_task_says_why() -> None:
    log = (
        "[2026] INFO - begin\nValueError: the first\nxcomctl.agent.context.RequestError: the last\n[2026] ::endgroup::"
    )
    check = skipped(ask(Way([FAILED], None, log)))
    assert check.detail.endswith("its log says: xcomctl.agent.context.RequestError: the last")
    assert check.data["log"][-1].startswith("xcomctl.agent")
    assert "has no log" in skipped(ask(Way([FAILED]))).detail


def test_a_secret_in_the_log_stays_there() -> None:
    check = skipped(ask(Way([FAILED], None, "ValueError: postgresql://a:hunter2@h/d")))
    assert "hunter2" not in json.dumps(check.to_json())


def test_what_goes_wrong_on_the_way_is_said_without_its_secrets() -> None:
    class Broken(Way):
        def progress(self, run_id: str) -> Progressed:
            url = "https://me:hunter2@airflow.example.com"
            raise UserError(f"{url} does not answer", f"look at {url}", log=(f"GET {url}",))

    check = skipped(ask(Broken([])))
    assert "hunter2" not in json.dumps(check.to_json())
    assert "airflow.example.com" in check.detail and "airflow.example.com" in check.hint
    assert "airflow.example.com" in check.data["log"][0]


@pytest.mark.parametrize("logged", [False, True])
def test_a_run_that_is_to_stop_asks_and_waits_no_more(monkeypatch: pytest.MonkeyPatch, logged: bool) -> None:
    monkeypatch.setattr(asking, "_POLL_S", 60.0)
    stop, asked = threading.Event(), []

    class Stopping(Way):
        def progress(self, run_id: str) -> Progressed:
            asked.append("progress")
            threading.Timer(0.1, stop.set).start()
            return super().progress(run_id)

        def log(self, run_id: str) -> str:
            asked.append("log")
            return super().log(run_id)

    way = Stopping([FAILED if logged else Progressed("queued", None)])
    before = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_in_task(way, PreflightOptions(), timeout_s=300.0, progress=lambda text: None, stop=stop)
    assert time.monotonic() - before < 5.0
    assert asked == (["progress", "log"] if logged else ["progress"])
    # Before it begins there is nothing to begin.
    untouched = Way([SUCCESS])
    with pytest.raises(KeyboardInterrupt):
        run_in_task(untouched, PreflightOptions(), timeout_s=300.0, progress=lambda text: None, stop=stop)
    assert untouched.conf == {}


def test_no_request_to_an_agent_outlives_the_time_that_the_task_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_LEAST_S", 2.0)
    given: dict[str, list[float]] = {}

    class Session:
        """Notes what each request may take; an agent that answers late is tested with a real one."""

        def request(self, name: str, params: Mapping[str, Any], *, timeout: float) -> dict[str, Any]:
            given.setdefault(name, []).append(timeout)
            return {"known": True, "paused": False, "run_state": "success", "task_state": "success", "log": ""}

        def stream(self, name: str, params: Mapping[str, Any], *, timeout: float) -> list[dict[str, Any]]:
            given.setdefault(name, []).append(timeout)
            return []

    for timeout_s in (100.0, 0.0):
        given.clear()
        run_in_task(asking.AgentWay(Session(), timeout_s), PreflightOptions(), timeout_s=timeout_s, progress=str)
        assert set(given) == {"trigger", "task_run", "xcoms"}
        allowed = [each for times in given.values() for each in times]
        assert all((90 < each <= 100) if timeout_s else each == 2.0 for each in allowed)


def test_no_answer_in_time_names_the_run_and_its_state() -> None:
    check = skipped(ask(Way([Progressed("running", "scheduled")]), timeout_s=0.01))
    assert "the task is scheduled" in check.detail
    assert check.data["run_id"] in check.detail
    assert "--task-timeout" in check.hint


def test_what_goes_wrong_on_the_way_is_inconclusive() -> None:
    class Broken(Way):
        def progress(self, run_id: str) -> Progressed:
            raise ApiError("The Airflow API does not answer.", "start it")

    check = skipped(ask(Broken([])))
    assert (check.detail, check.hint) == ("The Airflow API does not answer.", "start it")


def test_another_xcomctl_in_the_file_is_a_warning() -> None:
    checks = ask(Way([SUCCESS], packed(digest="0123"))).checks
    assert checks[0] == FOUND
    assert (checks[1].id, checks[1].status) == ("canary_version", Status.WARN)
    assert "0123" in checks[1].detail


def test_the_digest_tells_contents_apart_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import zipfile

    def rebuilt(change: bytes) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(original)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as new:
            for entry in old.infolist():
                content = old.read(entry.filename)
                new.writestr(entry.filename, content + change if entry.filename.endswith("task.py") else content)
        return buffer.getvalue()

    original, before = bundle.pack(), bundle.digest()
    monkeypatch.setattr(bundle, "pack", lambda: rebuilt(b""))
    assert bundle.digest() == before
    monkeypatch.setattr(bundle, "pack", lambda: rebuilt(b"\n"))
    assert bundle.digest() != before


# -- small enough, whatever was found


def noise(length: int) -> str:
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789 ", k=length))


def many(status: Status, count: int = 45, length: int = 600) -> list[Check]:
    return [
        Check(f"check_{n}", "store", "a title", status, noise(length), noise(100), 1.0, {"x": noise(300)})
        for n in range(count)
    ]


def test_what_usually_is_found_comes_back_whole() -> None:
    checks = [
        Check(f"check_{n}", "store", "it is as it should be", Status.OK, "the path names 'x' " * 6, "", 0.1, {"n": n})
        for n in range(45)
    ]
    back = in_task.unpacked(packed(*checks))
    assert back is not None
    assert (list(back.checks), back.answer, back.shortened) == (checks, ANSWER, False)


@pytest.mark.parametrize("status", list(Status))
def test_too_much_is_shortened_and_says_so(status: Status) -> None:
    checks = many(status)
    value = packed(*checks)
    assert len(json.dumps(value)) <= in_task.MAX_ANSWER_BYTES
    back = in_task.unpacked(json.loads(json.dumps(value)))
    assert back is not None and back.shortened
    assert [(each.id, each.status) for each in back.checks] == [(each.id, each.status) for each in checks]
    report = ask(Way([SUCCESS], value))
    assert all(check.data == {"shortened": True} for check in report.checks)


def test_details_of_what_is_wrong_are_shortened_last() -> None:
    wrong = Check("wrong", "store", "title", Status.FAIL, noise(150), "the hint that mends it")
    back = in_task.unpacked(packed(*many(Status.OK), wrong))
    assert back is not None and back.shortened
    assert (back.checks[-1].detail, back.checks[-1].hint) == (wrong.detail, wrong.hint)
    assert all(check.detail.endswith("…") for check in back.checks[:-1])


def test_only_plain_json_comes_back() -> None:
    value = packed(Check("x", "config", "t", Status.OK, data={"when": {1, 2}.__class__}))
    assert json.loads(json.dumps(value)) == value
    assert all(isinstance(key, str) for key in value)
