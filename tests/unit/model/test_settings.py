from __future__ import annotations

from pathlib import Path

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
    near_miss_in_file,
    near_misses,
    parse_threshold,
    same_value,
    settings_for,
    settings_from,
)

BASE = "s3://s3_conn@bucket/xcom"
#: The variable of every option of Airflow 2.11.2 and 3.3.2 and their providers, from their own descriptions.
REAL_VARIABLES = Path(__file__).with_name("airflow_variables.txt").read_text().split()


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
        ("AIRFLOW__COMMON-IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMON_IO_XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMONIO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW___COMMON_IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__PROVIDERS_COMMON_IO__XCOM_OBJECTSTORAGE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATHS", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECT_STORAGE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECT_STORE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__OBJECTSTORAGE_XCOM_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_PATH", PATH),
        ("AIRFLOW__COMMON_IO__THRESHOLD", THRESHOLD),
        ("AIRFLOW__COMMON_IO__OBJECTSTORAGE_THRESHOLD", THRESHOLD),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_TRESHOLD", THRESHOLD),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_SIZE_THRESHOLD", THRESHOLD),
        ("AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_THRESHOLD_CMD", THRESHOLD),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH_secret", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESION__CMD", COMPRESSION),
        ("AIRFLOW__CORE__XCOM_BACKENDS", BACKEND),
        ("AIRFLOW__CORE__XCOMS_BACKEND", BACKEND),
        ("AIRFLOW__CORE__BACKEND_XCOM", BACKEND),
        ("AIRFLOW__CORE__XCOM_BACKEND_CLASS", BACKEND),
        ("AIRFLOW__XCOM_BACKEND", BACKEND),
        ("AIRFLOW__COMMON_IO__XCOM_BACKEND", BACKEND),
        ("_AIRFLOW__CORE__XCOM_BACKEND", BACKEND),
        ("AIRFLOW__AIRFLOW__CORE__XCOM_BACKEND", BACKEND),
        ("AIRFLOW__DATABASE__XCOM_BACKEND", BACKEND),
        ("AIRFLOW__CORE__XCOM_OBJECT_STORAGE_BACKEND", BACKEND),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_BASE_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_BACKEND_PATH", PATH),
        ("AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD_BYTES", THRESHOLD),
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
        "AIRFLOW_VAR_XCOM_BACKEND",
        "AIRFLOW_CONN_XCOM_OBJECTSTORAGE_PATH",
        "AIRFLOW__COMMON_IO__STATE_STORE_PATH",
        "OBJECT_STORAGE_PATH",
        "XCOM_PATH",
        "COMPRESSION",
        "LD_LIBRARY_PATH",
        "PATH",
        "THRESHOLD",
        "",
    ],
)
def test_no_near_miss(name):
    assert near_miss(name) is None


@pytest.mark.parametrize(
    "name",
    [
        # Custom backends' own variables.
        "AIRFLOW_XCOM_BACKEND_BUCKET",
        "AIRFLOW_XCOM_BACKEND_PATH",
        "AIRFLOW_XCOM_BACKEND_COMPRESSION",
        "AIRFLOW_XCOM_BACKEND_SECRET_KEY",
        "AIRFLOW__XCOM_BACKEND_CONN_ID",
        "AIRFLOW__XCOM_BACKEND__CONN_ID",
        "AIRFLOW__XCOM_BACKEND__PATH",
        "AIRFLOW__CORE__XCOM_BACKEND_BUCKET",
        "AIRFLOW__CORE__XCOM_BACKEND_CONN_ID",
        "AIRFLOW__CORE__XCOM_BACKEND_FOLDER",
        "AIRFLOW__ASTRO_SDK__XCOM_STORAGE_CONN_ID",
        "AIRFLOW__ASTRO_SDK__XCOM_STORAGE_URL",
        "AIRFLOW__ASTRO_SDK__STORE_DATA_LOCAL_DEV",
        "AIRFLOW__AWS_S3_XCOM_BACKEND__BUCKET_NAME",
        "AIRFLOW__AWS_S3_XCOM_BACKEND__PREFIX",
        "XCOM_BACKEND_BUCKET_NAME",
        "XCOM_BACKEND_UPLOAD_CONTENT_AS_GZIP",
        "XCOM_BACKEND_SECRET",
        "S3_XCOM_BACKEND_PREFIX",
        "GCS_XCOM_BUCKET_NAME",
        # Services beside Airflow, as Kubernetes and Docker announce them.
        "AIRFLOW_XCOM_BACKEND_SERVICE_HOST",
        "AIRFLOW_XCOM_BACKEND_PORT_8080_TCP_ADDR",
        # Tools that carry Airflow's variables under names of their own.
        "TF_VAR_AIRFLOW__CORE__XCOM_BACKEND",
        "TF_VAR_AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH",
        "TF_VAR_airflow_xcom_backend",
        "HELM_AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD",
        "X_AIRFLOW__CORE__XCOM_BACKEND",
        # Other things, backups and drafts.
        "AIRFLOW_PATH_TO_XCOM_OBJECTSTORAGE_DOCS",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH_OLD",
        "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH_OLD",
        "AIRFLOW__CORE__XCOM_OBJECTSTORAGE_PATH_OLD",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD_BACKUP",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION_NEW",
        "AIRFLOW__CORE__XCOM_BACKEND_V2",
        "OLD_AIRFLOW__CORE__XCOM_BACKEND",
    ],
)
def test_what_has_words_of_its_own_is_another_name_on_purpose(name):
    assert near_miss(name) is None


def test_no_variable_that_airflow_reads_is_a_near_miss_nor_is_what_goes_with_it():
    assert len(REAL_VARIABLES) > 500
    assert {setting.env for setting in SETTINGS} < set(REAL_VARIABLES)
    assert near_misses(REAL_VARIABLES) == ()
    others = set(REAL_VARIABLES) - {setting.env for setting in SETTINGS}
    spelled = [spelling for name in others for spelling in (f"{name}_CMD", f"{name}_SECRET", name.lower())]
    assert near_misses(spelled) == ()


@given(st.sampled_from(SETTINGS), st.data())
def test_one_slip_of_the_pen_is_a_near_miss(setting, data):
    name = setting.env
    at = data.draw(st.integers(0, len(name) - 1))
    slip = data.draw(st.sampled_from(["drop", "double", "swap", "dot", "dash", "lower"]))
    slipped = {
        "drop": name[:at] + name[at + 1 :],
        "double": name[:at] + name[at] + name[at:],
        "swap": name[:at] + name[at : at + 2][::-1] + name[at + 2 :],
        "dot": name.replace("_IO", ".IO") if setting is not BACKEND else name.replace("__", "."),
        "dash": name.replace("_", "-"),
        "lower": name[:at] + name[at:].lower(),
    }[slip]
    miss = near_miss(slipped)
    if slipped == name:
        assert miss is None
    else:
        assert miss is not None and miss.meant == name and miss.reason


@pytest.mark.parametrize(
    ("section", "key", "meant"),
    [
        ("common_io", "xcom_objectstorage_path", PATH),
        ("Common.io", "xcom_objectstorage_path", PATH),
        ("core", "xcom_objectstorage_path", PATH),
        ("common.io", "xcom_objectstore_threshold", THRESHOLD),
        ("common.io", "xcom_backend", BACKEND),
        ("core", "XCOM_BACKEND", BACKEND),
        ("common.io", "Xcom_Objectstorage_Path", PATH),
    ],
)
def test_near_misses_in_airflow_cfg(section, key, meant):
    miss = near_miss_in_file(section, key)
    assert miss is not None and miss.meant == meant.env
    assert miss.name == f"[{section}] {key}"
    assert miss.correction == f"[{meant.section}] {meant.key}"


@pytest.mark.parametrize(
    ("section", "key"),
    [*((s.section, s.key) for s in SETTINGS), ("common.io", "state_store_objectstorage_path"), ("core", "executor")],
)
def test_no_near_miss_in_airflow_cfg(section, key):
    assert near_miss_in_file(section, key) is None


@pytest.mark.parametrize(
    ("setting", "one", "other", "same"),
    [
        (BACKEND, "airflow.models.xcom.BaseXCom", "airflow.sdk.execution_time.xcom.BaseXCom", True),
        (BACKEND, None, "airflow.models.xcom.BaseXCom", True),
        (BACKEND, OBJECT_STORAGE_BACKEND, "airflow.models.xcom.BaseXCom", False),
        (BACKEND, OBJECT_STORAGE_BACKEND, None, False),
        (PATH, BASE, f"{BASE}/", True),
        (PATH, BASE, f"{BASE}/deeper", False),
        (PATH, BASE, BASE.upper(), False),
        (PATH, "", None, True),
        (THRESHOLD, "1600000", "1_600_000", True),
        (THRESHOLD, None, "-1", True),
        (THRESHOLD, "-1", "-2", False),
        (THRESHOLD, "1.6 MB", "1600000", False),
        (COMPRESSION, None, "", True),
        (COMPRESSION, "gzip", "", False),
    ],
)
@pytest.mark.parametrize("line", Line)
def test_when_two_values_are_the_same(line, setting, one, other, same):
    assert same_value(setting, one, other, line) is same
    assert same_value(setting, other, one, line) is same


def test_a_threshold_that_one_line_reads_is_the_same_there_alone():
    assert same_value(THRESHOLD, "1.6e+06", "1600000", Line.AF3)
    assert not same_value(THRESHOLD, "1.6e+06", "1600000", Line.AF2)


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
