from __future__ import annotations

import pytest

from xcomctl.checks import provider
from xcomctl.checks.interface import Subject
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.settings import Settings


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
