from __future__ import annotations

import pytest

from xcomctl.checks import provider
from xcomctl.checks.interface import Subject
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.settings import Settings
from xcomctl.model.verdicts import Status


def applies(check_id: str, target: Settings) -> bool:
    found = Subject(PreflightOptions(), lambda *_: {}, lambda *_: None)
    found.__dict__["target"] = target
    return next(check for check in provider.CHECKS if check.id == check_id).applies(found)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s3://c@b/x", True), ("file:///x", True), ("bucket/x", False), ("", False), (None, False)],
)
def test_a_file_system_is_looked_for_where_there_is_a_scheme(path, expected):
    assert applies("provider_filesystem", Settings(None, path, -1)) is expected


@pytest.mark.parametrize(("codec", "expected"), [("gzip", True), ("gz", True), ("", False), (None, False)])
def test_a_codec_is_judged_where_one_is_set(codec, expected):
    assert applies("provider_compression", Settings(None, None, -1, compression=codec)) is expected


@pytest.mark.parametrize(
    ("providers", "threshold", "step_pod", "warned"),
    [
        ({"cncf.kubernetes": "10.20.0"}, 1_600_000, True, True),
        ({"cncf.kubernetes": "10.20.0"}, 1_600_000, False, False),
        ({"cncf.kubernetes": "10.20.0"}, -1, True, False),
        ({}, 1_600_000, True, False),
    ],
)
def test_the_operators_own_limit_is_told_in_a_step_pod(providers, threshold, step_pod, warned, monkeypatch):
    monkeypatch.setattr(provider.loading, "providers", lambda: providers)
    found = Subject(PreflightOptions(step_pod=step_pod), lambda *_: {}, lambda *_: None)
    found.__dict__["target"] = Settings(OBJECT_STORAGE_BACKEND, "s3://c@b/x", threshold)
    check = next(each for each in provider.CHECKS if each.id == "provider_pod_operator")
    finding = check.run(found) if check.applies(found) else None
    assert (finding is not None and finding.status is Status.WARN and "10.20.0" in finding.detail) == warned
