"""The row of a deployment's Loki: what it counts, and that nothing is clean that could not be seen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.loki.rules import Fault, Rules
from tests.support.loki.server import FakeLoki, fake_loki
from xcomctl.assess import log_signals
from xcomctl.assess.log_signals import CHECK_ID, Asking, last, row
from xcomctl.deployment.loki_entry import LokiEntry
from xcomctl.model.verdicts import Check, Status

BASE = "s3://store@bucket/xcom"
SELECTOR = '{namespace="airflow"}'
HANDED_OVER = f"got {BASE}/dag/run/task/0c9f5f2e-2d5e-4a88-9d7c-0123456789ab"


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki(Rules()) as running:
        yield running


def look(url: str, selector: str | None = SELECTOR, found: Status = Status.WARN, ended: str | None = None) -> Check:
    asking = Asking(LokiEntry(url=url, selector=selector), None, BASE, "xcomctl logs -D prod")
    return row(asking, last(900), "signals", found, lambda text: None, ended)


def said(loki: FakeLoki, *lines: str, namespace: str = "airflow") -> None:
    now = time.time_ns() - 10**9
    loki.push({"namespace": namespace, "stream": "stderr"}, [(now + number, line) for number, line in enumerate(lines)])


def test_lines_of_the_presets_are_counted(loki: FakeLoki) -> None:
    said(loki, "all is well", HANDED_OVER, HANDED_OVER, "AirflowConfigException: section/key")
    found = look(loki.url)
    assert (found.id, found.status) == (CHECK_ID, Status.WARN)
    assert "1 line of xcom-errors, 2 lines of path-handed-over from " in found.detail
    assert found.hint.startswith("xcomctl logs -D prod --preset xcom-errors --stream all --from 20")
    assert found.data["lines"] == {"xcom-errors": 1, "path-handed-over": 2, "store-errors": 0}
    assert look(loki.url, found=Status.FAIL).status is Status.FAIL


def test_no_line_is_clean_only_where_there_could_be_one(loki: FakeLoki) -> None:
    said(loki, HANDED_OVER, namespace="other")
    found = look(loki.url)
    assert found.status is Status.SKIP and "a wrong label also finds nothing (F46)" in found.detail
    said(loki, "all is well")
    found = look(loki.url)
    assert (found.status, found.hint) == (Status.OK, "")
    assert "no line of xcom-errors, path-handed-over, store-errors" in found.detail


@pytest.mark.parametrize("fault", [Fault(status=503, body="starting"), Fault(dropped=True), Fault(status=401)])
def test_a_loki_that_does_not_answer_is_never_clean(loki: FakeLoki, fault: Fault) -> None:
    said(loki, "all is well")
    with loki.failing(fault):
        found = look(loki.url)
    assert found.status is Status.SKIP and found.hint and fault.met


def test_without_a_way_or_a_namespace_it_is_never_clean(loki: FakeLoki) -> None:
    url = loki.url
    said(loki, "all is well")
    assert look(url, selector=None).status is Status.SKIP
    assert look("http://127.0.0.1:9").status is Status.SKIP


def test_what_the_environment_names_is_not_the_deployment_s(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOKI_ADDR", "http://127.0.0.1:9")
    said(loki, "all is well")
    assert look(loki.url).status is Status.OK


def test_the_last_lines_of_a_run_are_waited_for(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_signals, "_SETTLES_S", 1.0)
    said(loki, "all is well")
    ended = datetime.now(UTC).isoformat()
    found = look(loki.url, ended=ended)
    assert found.status is Status.SKIP and "may not have arrived yet" in found.detail
    late = threading.Timer(0.5, lambda: loki.push({"namespace": "airflow"}, [(time.time_ns(), HANDED_OVER)]))
    monkeypatch.setattr(log_signals, "_SETTLES_S", 60.0)
    late.start()
    asking = Asking(LokiEntry(url=loki.url, selector=SELECTOR), None, BASE, "xcomctl logs -D prod")
    window = log_signals.around((datetime.now(UTC) - timedelta(minutes=1)).isoformat(), ended)
    found = row(asking, window, "signals", Status.FAIL, lambda text: None, ended)
    assert found.status is Status.FAIL and "1 line of path-handed-over" in found.detail


def test_nobody_waits_longer_than_for_a_screen(loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_signals, "_DEADLINE_S", 0.5)
    said(loki, "all is well")
    with loki.failing(Fault(late_s=5.0)):
        found = look(loki.url)
    assert found.status is Status.SKIP and "no answer within" in found.detail
