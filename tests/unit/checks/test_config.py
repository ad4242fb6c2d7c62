from __future__ import annotations

import pytest

from xcomctl.checks import config
from xcomctl.checks.interface import Subject
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, ResolvedSetting, Settings
from xcomctl.model.verdicts import Status

BASE = "s3://s3_conn@bucket/xcom"
INLINE = Settings(None, "", -1)
OFFLOAD = Settings(OBJECT_STORAGE_BACKEND, BASE, 1_600_000, "1600000")
DUAL_READ = Settings(OBJECT_STORAGE_BACKEND, BASE, -1, "-1")
BACKEND_LINE = f"{BACKEND.env}={OBJECT_STORAGE_BACKEND}"


def subject(resolved: Settings, **options) -> Subject:
    """What checks look at where these settings resolve."""

    def nobody(*_):
        raise AssertionError("settings alone are enough here")

    found = Subject(PreflightOptions(**options), nobody, nobody)
    found.__dict__.update(resolved=resolved, line=Line.AF3)
    return found


@pytest.mark.parametrize(
    ("resolved", "options", "status", "hint"),
    [
        (INLINE, {}, Status.OK, ""),
        (DUAL_READ, {}, Status.OK, ""),
        (OFFLOAD, {"phase": "offload"}, Status.OK, ""),
        (INLINE, {"phase": "inline"}, Status.OK, ""),
        # Deployed or not, what is there has to be a phase.
        (Settings(OBJECT_STORAGE_BACKEND, "", -1), {}, Status.FAIL, f"{PATH.env}=s3://CONNECTION@BUCKET/xcom"),
        (Settings(OBJECT_STORAGE_BACKEND, BASE, None, "1.6 MB"), {}, Status.FAIL, f'{THRESHOLD.env}="1600000"'),
        (Settings(OBJECT_STORAGE_BACKEND, BASE, None, "20000.0"), {}, Status.FAIL, f'{THRESHOLD.env}="20000"'),
        (Settings("of.our.Own", BASE, 5), {}, Status.FAIL, BACKEND_LINE),
        # Expectations without the backend; with it, config_backend is the one to fail.
        (INLINE, {"expect_path": BASE}, Status.WARN, BACKEND_LINE),
        (INLINE, {"expect_threshold": 20_000}, Status.WARN, BACKEND_LINE),
        (INLINE, {"expect_path": BASE, "expect_backend": OBJECT_STORAGE_BACKEND}, Status.OK, ""),
        (INLINE, {"expect_path": BASE, "planned": True}, Status.OK, ""),
        # Another phase than the wanted one: the lines that are missing, and no others.
        (DUAL_READ, {"phase": "offload"}, Status.FAIL, f'{THRESHOLD.env}="1600000"'),
        (DUAL_READ, {"phase": "offload", "expect_threshold": 20_000}, Status.FAIL, f'{THRESHOLD.env}="20000"'),
        (OFFLOAD, {"phase": "dual-read"}, Status.FAIL, f'{THRESHOLD.env}="-1"'),
        (OFFLOAD, {"phase": "inline"}, Status.FAIL, f"{BACKEND.env}={BASE_XCOM}"),
        (INLINE, {"phase": "dual-read", "expect_path": BASE}, Status.FAIL, f"{BACKEND_LINE} {PATH.env}={BASE}"),
        # What is deployed is the wanted phase, and what is expected besides is none such.
        (OFFLOAD, {"phase": "offload", "expect_threshold": -1}, Status.FAIL, f'{THRESHOLD.env}="1600000"'),
        (DUAL_READ, {"phase": "dual-read", "expect_threshold": 5}, Status.FAIL, f'{THRESHOLD.env}="-1"'),
        # Planned: the target is judged, whatever is there.
        (OFFLOAD, {"phase": "inline", "planned": True}, Status.OK, ""),
        (DUAL_READ, {"phase": "inline", "planned": True}, Status.OK, ""),
        (Settings(OBJECT_STORAGE_BACKEND, "", -1), {"expect_path": BASE, "planned": True}, Status.OK, ""),
        (INLINE, {"phase": "offload", "expect_path": BASE, "expect_threshold": 20_000, "planned": True}, Status.OK, ""),
        (
            OFFLOAD,
            {"expect_path": "bucket/xcom", "planned": True},
            Status.FAIL,
            f"{PATH.env}=s3://CONNECTION@BUCKET/xcom",
        ),
    ],
)
def test_phase(resolved, options, status, hint):
    phase = next(check for check in config.CHECKS if check.id == "config_phase")
    found = phase.run(subject(resolved, **options))
    assert found is not None
    assert found.status is status, found
    assert found.hint.split(", or ")[0] == hint, found


@pytest.mark.parametrize(
    ("resolved", "options", "status", "hint"),
    [
        ("", {}, Status.OK, ""),
        ("gzip", {}, Status.OK, ""),
        ("gzip", {"expect_compression": "gzip"}, Status.OK, ""),
        (None, {"expect_compression": ""}, Status.OK, ""),
        ("", {"expect_compression": "gzip"}, Status.FAIL, f"{COMPRESSION.env}=gzip"),
        ("gzip", {"expect_compression": ""}, Status.FAIL, f"{COMPRESSION.env}="),
        ("", {"expect_compression": "gzip", "planned": True}, Status.OK, ""),
        ("", {"expect_compression": "gz", "planned": True}, Status.FAIL, f"{COMPRESSION.env}=gzip"),
    ],
)
def test_compression(monkeypatch, resolved, options, status, hint):
    monkeypatch.setattr(config, "said_of_running", lambda *_: "")
    monkeypatch.setattr(config.near_misses, "found_here", list)
    found = subject(OFFLOAD, **options)
    found.__dict__["settings"] = {"compression": ResolvedSetting(resolved, COMPRESSION.env)}
    check = next(check for check in config.CHECKS if check.id == "config_compression").run(found)
    assert (check.status, check.hint) == (status, hint), check


@pytest.mark.parametrize(
    ("resolved", "options", "applies"),
    [
        (INLINE, {}, False),
        (DUAL_READ, {}, False),
        (OFFLOAD, {}, True),
        (INLINE, {"phase": "offload"}, True),
        (INLINE, {"expect_threshold": 0}, True),
        (INLINE, {"expect_threshold": -1}, False),
        (OFFLOAD, {"phase": "dual-read"}, False),
        (OFFLOAD, {"phase": "inline", "expect_backend": BASE_XCOM}, False),
        (OFFLOAD, {"phase": "inline"}, False),
    ],
)
def test_when_the_floor_matters(resolved, options, applies):
    floor = next(check for check in config.CHECKS if check.id == "config_threshold_floor")
    assert floor.applies(subject(resolved, **options)) is applies


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (BASE, BASE, True),
        (BASE, f"{BASE}/", True),
        (BASE, f"{BASE}/state", True),
        (BASE, "s3://bucket/", True),
        (BASE, "s3a://another_conn@bucket/xcom", True),
        (BASE, f"{BASE}s", False),
        (BASE, "s3://s3_conn@bucket/state", False),
        (BASE, "s3://s3_conn@elsewhere/xcom", False),
        (BASE, "gs://s3_conn@bucket/xcom", False),
        ("abfs://c@container/xcom", "adl://c@container/xcom/state", True),
        ("file:///tmp/x", "file:///tmp/x/y", True),
        ("file:///tmp/x", "file:///tmp/y", False),
    ],
)
def test_overlap(one, other, shared):
    assert config.overlap(one, other) is shared
    assert config.overlap(other, one) is shared
