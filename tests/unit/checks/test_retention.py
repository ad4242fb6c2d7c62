"""What is said of rules and versions where the store's answers are known; real rules are in the live tests."""

from __future__ import annotations

import re
import shlex
import time
from types import SimpleNamespace
from typing import Any

import pytest

from xcomctl.checks import retention
from xcomctl.checks.interface import Finding, Subject, TimedOut
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.verdicts import Status
from xcomctl.store.opened import Tried

EXPIRING = {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "xcom/"}, "Expiration": {"Days": 9}}]}


def subject() -> Subject:
    return Subject(PreflightOptions(timeout_s=0.2), lambda *_: {}, lambda *_: None)


def store(answer: Any) -> Any:
    return SimpleNamespace(
        is_s3=True,
        bucket="bucket",
        prefix="xcom",
        base_path="s3://conn@bucket/xcom",
        s3=lambda *_, **__: None,
        attempt=lambda work: answer() if callable(answer) else Tried(answer, None),
    )


def lifecycle(answer: Any) -> Finding:
    finding = retention.lifecycle(subject(), store(answer))
    assert finding is not None
    return finding


def test_a_database_that_is_slow_is_no_store_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_ages", lambda *_: time.sleep(5))
    finding = lifecycle(EXPIRING)
    assert finding.status is Status.WARN
    assert (
        "the age of stored XComs was not measured: the metadata database did not answer within 0.2 s" in finding.detail
    )
    assert finding.data["days"] == 9


def test_a_store_that_hangs_is_one() -> None:
    with pytest.raises(TimedOut):
        lifecycle(lambda: time.sleep(5))


def test_the_way_out_is_a_command_that_airflow_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_ages", lambda *_: (12, "dag.task of run"))
    finding = lifecycle(EXPIRING)
    assert finding.status is Status.FAIL
    words = shlex.split(finding.hint.partition(": ")[2])
    assert words[:-1] == ["airflow", "db", "clean", "--tables", "xcom", "--clean-before-timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", words[-1])


@pytest.mark.parametrize("left", ["", "AccessDenied: no"])
def test_versions_of_our_own_that_stay_are_told(left: str) -> None:
    finding = retention.versioning(subject(), store({"Status": "Enabled"}), left)
    assert finding is not None
    assert finding.status is Status.WARN
    assert finding.detail.endswith(left)
    assert ("this pre-flight's own objects stay, too" in finding.detail) is bool(left)
