from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line, Phase, phase_of
from xcomctl.model.settings import (
    BACKEND,
    COMPRESSION,
    PATH,
    SETTINGS,
    THRESHOLD,
    ResolvedSetting,
    Settings,
    SettingsError,
    near_miss,
    near_misses,
    parse_threshold,
    settings_for,
    settings_from,
)

BASE = "s3://s3_conn@bucket/xcom"


def test_names_of_variables():
    assert [setting.env for setting in SETTINGS] == [
        "AIRFLOW__CORE__XCOM_BACKEND",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION",
    ]


@pytest.mark.parametrize("line", Line)
@pytest.mark.parametrize(
    ("raw", "value"),
    [(None, -1), ("-1", -1), ("0", 0), ("1600000", 1_600_000), ("1_600_000", 1_600_000), (" 5 ", 5), ("+5", 5)],
)
def test_thresholds_that_both_lines_read(line, raw, value):
    assert parse_threshold(raw, line) == value


@pytest.mark.parametrize("line", Line)
@pytest.mark.parametrize("raw", ["", " ", "1.6 MB", "1.5", "nan", "inf", "-inf", "0x10", "1,600,000", '"5"'])
def test_thresholds_that_neither_reads(line, raw):
    with pytest.raises(SettingsError):
        parse_threshold(raw, line)


@pytest.mark.parametrize("raw", ["1.6e+06", "1600000.0", "1.6E6"])
def test_what_helm_makes_of_the_runbooks_threshold(raw):
    assert parse_threshold(raw, Line.AF3) == 1_600_000
    with pytest.raises(SettingsError) as raised:
        parse_threshold(raw, Line.AF2)
    assert '"1600000"' in raised.value.hint


@given(st.integers(min_value=0, max_value=10**12), st.sampled_from(list(Line)), st.sampled_from(["", "gzip", None]))
def test_what_is_written_for_a_phase_resolves_to_that_phase(threshold, line, compression):
    carrier = {}
    for phase in (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD, Phase.DUAL_READ, Phase.INLINE):
        carrier.update(settings_for(phase, BASE, threshold, compression))
        found = [ResolvedSetting(carrier.get(setting.env, setting.default), None) for setting in SETTINGS]
        assert phase_of(settings_from(*found, line)).phase is phase
        written = carrier.get(THRESHOLD.env, "-1")
        assert written.lstrip("-").isdigit() and "_" not in written


def test_inline_leaves_the_other_three_alone():
    assert settings_for(Phase.INLINE, BASE, 5, "gzip") == {BACKEND.env: BASE_XCOM}


def test_dual_read_and_offload():
    assert settings_for(Phase.DUAL_READ, BASE, 1_600_000) == {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        PATH.env: BASE,
        THRESHOLD.env: "-1",
    }
    assert settings_for(Phase.OFFLOAD, BASE, 1_600_000, "gzip") == {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        PATH.env: BASE,
        THRESHOLD.env: "1600000",
        COMPRESSION.env: "gzip",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        (Phase.MISCONFIGURED, BASE, 1),
        (Phase.UNKNOWN, BASE, 1),
        (Phase.DUAL_READ, None, 1),
        (Phase.OFFLOAD, "bucket/xcom", 1),
        (Phase.OFFLOAD, BASE, None),
        (Phase.OFFLOAD, BASE, -1),
        (Phase.OFFLOAD, BASE, 1, "gz"),
    ],
)
def test_what_would_not_be_that_phase_is_refused(arguments):
    with pytest.raises(SettingsError):
        settings_for(*arguments)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_THRESHOLD", THRESHOLD),
        ("AIRFLOW_COMMON_IO_XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMON__IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("airflow__core__xcom_backend", BACKEND),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH_CMD", PATH),
        ("AIRFLOW__CORE__XCOM_BACKEND_SECRET", BACKEND),
        ("xcom_objectstorage_threshold", THRESHOLD),
        ("AIRFLOW__CORE__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESION", COMPRESSION),
    ],
)
def test_near_misses(name, meant):
    miss = near_miss(name)
    assert miss is not None and miss.meant == meant.env and miss.reason


@pytest.mark.parametrize(
    "name",
    [
        *(setting.env for setting in SETTINGS),
        "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH",
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW__CORE__ENABLE_XCOM_PICKLING",
        "PATH",
        "THRESHOLD",
        "",
    ],
)
def test_no_near_miss(name):
    assert near_miss(name) is None


@given(st.lists(st.text(max_size=60)))
def test_near_misses_never_fail(names):
    assert all(miss.name in names for miss in near_misses(names))


def test_a_setting_whose_reading_raised_counts_as_unreadable():
    backend = ResolvedSetting(OBJECT_STORAGE_BACKEND, "env")
    path = ResolvedSetting(None, None, "section/key not found")
    threshold = ResolvedSetting("1600000", "env", "Failed to convert")
    found = settings_from(backend, path, threshold, ResolvedSetting(None, None), Line.AF3)
    assert (found.path, found.threshold, found.threshold_raw) == (None, None, "1600000")
    assert phase_of(found).phase is Phase.MISCONFIGURED
    assert Settings.from_json(found.to_json()) == found
