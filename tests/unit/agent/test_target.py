"""The child with the target's settings, on a Python without Airflow: what it answers, how it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from xcomctl.agent import target
from xcomctl.agent.context import Stopped
from xcomctl.checks.interface import TimedOut, Unusable
from xcomctl.model import requests


@pytest.fixture
def child(request: pytest.FixtureRequest) -> target.Child:
    made = target.Child({"XCOMCTL_TEST": "1"}, lambda: None)
    request.addfinalizer(made.close)
    return made


def process_of(child: target.Child) -> psutil.Process:
    return psutil.Process(child._process.pid)


def test_it_is_an_agent_with_other_variables(child: target.Child) -> None:
    # Without Airflow the first answer, which every other waits for, says so.
    assert process_of(child).environ()["XCOMCTL_TEST"] == "1"
    assert "XCOMCTL_TEST" not in os.environ
    with pytest.raises(Unusable, match="there is no Airflow"):
        child.request(requests.PREFLIGHT_LIST, {}, 10)


def test_closing_it_leaves_no_process(child: target.Child) -> None:
    process = process_of(child)
    child.close()
    assert not process.is_running()


def test_one_that_dies_is_said_once_and_for_all(child: target.Child) -> None:
    process_of(child).kill()
    for _ in range(2):
        with pytest.raises(Unusable, match="ended by itself"):
            child.request(requests.RESOLVE, {}, 10)


def test_one_that_does_not_answer_is_ended(child: target.Child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "IMPORT_S", 0)
    process = process_of(child)
    process.suspend()
    started = time.monotonic()
    with pytest.raises(TimedOut):
        child.request(requests.RESOLVE, {}, 0.3)
    with pytest.raises(Unusable, match="did not answer in time"):
        child.request(requests.RESOLVE, {}, 0.3)
    child.close()
    assert time.monotonic() - started < 10
    assert not process.is_running()


def test_a_safe_point_may_stop_the_wait(request: pytest.FixtureRequest) -> None:
    class Enough(BaseException):
        pass

    def stop() -> None:
        raise Enough

    made = target.Child({}, stop)
    request.addfinalizer(made.close)
    with pytest.raises(Enough):
        made.request(requests.RESOLVE, {}, 10)


#: A child that is asked for something, notices after a while that it should stop, and then has something to put away.
_PUTS_AWAY = """
import os, sys, time; sys.path.insert(0, sys.argv[1])
from xcomctl.agent import registry
from xcomctl.agent.main import main
from xcomctl.model.requests import Written
def handler(name):
    def run(context):
        if name == "resolve":
            return Written("", "", None)
        open(os.environ["BEGUN"], "w").close()
        try:
            while True:
                context.check()
                time.sleep(0.1)
        finally:
            time.sleep(3)
            open(os.environ["PUT_AWAY"], "w").close()
    return run
registry.handler = handler
os._exit(main())
"""


def test_a_child_at_work_may_put_away_what_it_wrote(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun, put_away = tmp_path / "begun", tmp_path / "put-away"
    monkeypatch.setattr(target, "_PROGRAM", _PUTS_AWAY)

    def stop() -> None:
        if begun.exists():
            raise Stopped

    made = target.Child({"BEGUN": str(begun), "PUT_AWAY": str(put_away)}, stop)
    request.addfinalizer(made.close)
    process = process_of(made)
    with pytest.raises(Stopped):
        made.request(requests.CONTROL_FLOW, {}, 30)
    made.close()
    assert put_away.exists()
    assert not process.is_running()


def test_what_runs_here_ends_where_the_request_around_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    put_away = threading.Event()
    stopped = threading.Event()

    def safe_point() -> None:
        if stopped.is_set():
            raise Stopped

    def run(context: Any) -> Any:
        stopped.set()
        try:
            while True:
                context.check()
                time.sleep(0.05)
        finally:
            put_away.set()

    monkeypatch.setattr(target.registry, "handler", lambda name: run)
    with pytest.raises(Stopped):
        target.here(requests.CONTROL_FLOW, {}, 10, safe_point)
    assert put_away.is_set()


def test_what_is_given_up_here_stops_and_leaves_the_process_its_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    calls: list[Mapping[str, Any]] = []

    def run(context: Any) -> Any:
        time.sleep(0.5)
        try:
            context.check()
        finally:
            ended.set()

    monkeypatch.setattr(target.registry, "handler", lambda name: run)
    monkeypatch.setattr(target.xcom_class, "end_trial", lambda: calls.append({}))
    with pytest.raises(TimedOut):
        target.here(requests.CONTROL_FLOW, {}, 0.1)
    assert len(calls) == 1
    assert ended.wait(5)


def test_this_process_answers_for_itself() -> None:
    assert "checks" in target.here(requests.PREFLIGHT_LIST, {}, 10)
    with pytest.raises(Unusable, match="there is no Airflow"):
        target.here(requests.IDENTIFY, {}, 10)
