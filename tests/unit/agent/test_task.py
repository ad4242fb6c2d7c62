"""A pre-flight as a task, as far as a Python without Airflow can show it; the rest is live."""

from __future__ import annotations

import time

import pytest

from xcomctl.agent import target, task
from xcomctl.agent.context import RequestError
from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import Unusable
from xcomctl.model import requests


@pytest.fixture(autouse=True)
def no_task_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_in_task", False)


@pytest.mark.parametrize("options", [{"only": ["no_such_check"]}, {"phase": "sideways"}])
def test_what_cannot_be_run_raises_one_sentence(options: dict[str, object]) -> None:
    with pytest.raises(RequestError) as caught:
        task.run(options)
    assert "\n" not in caught.value.message


def test_a_task_that_cannot_say_what_it_is_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AirflowUnusable, match="no Airflow"):
        task.run({})
    assert "xcomctl: importing Airflow" in capsys.readouterr().out


def test_a_child_that_has_said_what_is_wrong_says_it_again_at_once(request: pytest.FixtureRequest) -> None:
    child = target.Child({}, lambda: None, in_task=True)
    request.addfinalizer(child.close)
    with pytest.raises(Unusable, match="there is no Airflow"):
        child.request(requests.IDENTIFY, {}, 20)
    started = time.monotonic()
    with pytest.raises(Unusable, match="there is no Airflow"):
        child.request(requests.IDENTIFY, {}, 20)
    assert time.monotonic() - started < 1
