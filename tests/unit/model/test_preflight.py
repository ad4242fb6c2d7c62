"""The target that follows from what is asked for, and the variables that make it."""

from __future__ import annotations

import pytest

from xcomctl.model.phases import BASE_XCOM, DEFAULT_BASE_XCOM, OBJECT_STORAGE_BACKEND, Line, Phase, phase_of
from xcomctl.model.preflight import PreflightOptions, overrides, target_settings
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, Settings

BASE = "s3://s3_conn@bucket/xcom"
INLINE = Settings(DEFAULT_BASE_XCOM[Line.AF3], "", -1)
OFFLOAD = Settings(OBJECT_STORAGE_BACKEND, BASE, 1_600_000, "1600000", "gzip")


def target(resolved: Settings, **options) -> Settings:
    return target_settings(PreflightOptions(**options), resolved)


@pytest.mark.parametrize(
    "resolved", [OFFLOAD, Settings(OBJECT_STORAGE_BACKEND, "", -1), Settings("of.our.Own", BASE, 5)]
)
def test_inline_takes_the_backend_out_and_leaves_the_rest(resolved):
    found = target(resolved, phase="inline")
    assert found == Settings(BASE_XCOM, resolved.path, resolved.threshold, resolved.threshold_raw, resolved.compression)
    assert phase_of(found).phase is Phase.INLINE
    assert overrides(found, resolved) == {BACKEND.env: BASE_XCOM}


@pytest.mark.parametrize("backend", [None, "", *DEFAULT_BASE_XCOM.values(), BASE_XCOM])
def test_what_is_inline_already_needs_no_override(backend):
    resolved = Settings(backend, BASE, 5)
    assert overrides(target(resolved, phase="inline"), resolved) == {}


def test_an_expected_backend_is_the_targets_whatever_the_phase():
    assert target(OFFLOAD, phase="inline", expect_backend="of.our.Own").backend == "of.our.Own"


@pytest.mark.parametrize(
    "options",
    [{"expect_path": BASE}, {"expect_threshold": 5}, {"phase": "dual-read"}, {"phase": "offload"}],
)
def test_who_expects_what_needs_the_backend_expects_the_backend(options):
    assert target(INLINE, **options).backend == OBJECT_STORAGE_BACKEND


def test_a_compression_is_expected_or_stays():
    assert target(OFFLOAD).compression == "gzip"
    assert target(OFFLOAD, expect_compression="bz2").compression == "bz2"
    assert overrides(target(OFFLOAD, expect_compression=""), OFFLOAD) == {COMPRESSION.env: ""}
    assert overrides(target(INLINE, expect_compression="gzip"), INLINE) == {COMPRESSION.env: "gzip"}


def test_what_resolves_already_is_not_overridden():
    expected = target(OFFLOAD, expect_path=BASE, expect_threshold=1_600_000, expect_compression="gzip")
    assert overrides(expected, OFFLOAD) == {}
    up = target(INLINE, expect_path=BASE, expect_threshold=5)
    assert overrides(up, INLINE) == {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        PATH.env: BASE,
        THRESHOLD.env: "5",
    }
