from __future__ import annotations

import pytest

from xcomctl.model.phases import (
    BASE_XCOM,
    BASE_XCOM_SPELLINGS,
    DEFAULT_BASE_XCOM,
    OBJECT_STORAGE_BACKEND,
    Line,
    Phase,
    path_problem,
    phase_of,
)
from xcomctl.model.settings import Settings

BASE = "s3://s3_conn@bucket/xcom"


def settings(backend=OBJECT_STORAGE_BACKEND, path=BASE, threshold=1_600_000, raw="1600000"):
    return Settings(backend=backend, path=path, threshold=threshold, threshold_raw=raw)


@pytest.mark.parametrize("backend", [None, "", *sorted(BASE_XCOM_SPELLINGS)])
@pytest.mark.parametrize("path", [BASE, "", None, "no/scheme"])
@pytest.mark.parametrize("threshold", [None, -1, 0, 5])
def test_airflows_own_class_is_inline_whatever_the_rest_says(backend, path, threshold):
    assert phase_of(settings(backend, path, threshold)).phase is Phase.INLINE


def test_every_default_is_a_spelling_of_inline():
    assert {BASE_XCOM, *DEFAULT_BASE_XCOM.values()} <= BASE_XCOM_SPELLINGS
    assert set(DEFAULT_BASE_XCOM) == set(Line)


@pytest.mark.parametrize(
    ("threshold", "phase"),
    [
        (-1, Phase.DUAL_READ),
        (-1_000, Phase.DUAL_READ),
        (0, Phase.OFFLOAD),
        (1, Phase.OFFLOAD),
        (1_600_000, Phase.OFFLOAD),
    ],
)
def test_the_sign_of_the_threshold_decides(threshold, phase):
    finding = phase_of(settings(threshold=threshold))
    assert finding.phase is phase
    assert str(threshold) in finding.reason


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "  ",
        "/opt/xcom",
        "s3_conn@bucket/xcom",
        "bucket/xcom",
        "s3:/bucket/xcom",
        "s3://",
        "s3://conn@",
        "file://",
        "file:///",
        "s3://[bad/x",
        "://x",
    ],
)
def test_a_path_that_is_no_url_of_a_store_is_misconfigured(path):
    finding = phase_of(settings(path=path))
    assert finding.phase is Phase.MISCONFIGURED
    assert path_problem(path) == finding.reason


@pytest.mark.parametrize(
    "path", [BASE, BASE + "/", "s3://bucket", "gs://c@b/x", "abfs://c@container/x", "file:///var/xcom", "memory://x"]
)
def test_a_path_that_is_a_url_is_none(path):
    assert path_problem(path) is None


def test_an_unreadable_threshold_is_misconfigured_and_named():
    finding = phase_of(settings(threshold=None, raw="1.6e+06"))
    assert finding.phase is Phase.MISCONFIGURED
    assert "1.6e+06" in finding.reason


@pytest.mark.parametrize("backend", ["my.company.XCom", " " + BASE_XCOM, OBJECT_STORAGE_BACKEND + "x"])
def test_any_other_class_is_unknown(backend):
    assert phase_of(settings(backend=backend)).phase is Phase.UNKNOWN


def test_targets():
    assert [phase for phase in Phase if phase.is_target] == [Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD]
