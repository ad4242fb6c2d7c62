"""The child with the target's settings, on a Python without Airflow: what it answers, how it ends."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from xcomctl.agent import target
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


def test_this_process_answers_for_itself() -> None:
    assert "checks" in target.here(requests.PREFLIGHT_LIST, {}, 10)
    with pytest.raises(Unusable, match="there is no Airflow"):
        target.here(requests.IDENTIFY, {}, 10)
