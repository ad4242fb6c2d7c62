from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.change.carrier_edit import edit_for, wanted_for
from xcomctl.deployment.carriers.airflow_cfg import AirflowCfg
from xcomctl.deployment.carriers.compose_file import ComposeFile
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.carriers.helm_values import HelmValues
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line, Phase
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, settings_for
from xcomctl.model.verdicts import Verdict

BASE, OTHER, THIRD = "s3://c@given/xcom", "s3://c@carrier/xcom", "s3://c@planned/xcom"
GIVEN = SettingsEntry(BASE, 10_000, "gzip")
PLANNED = SettingsEntry(THIRD, 30_000, "xz")


def env(variables) -> EnvFile:
    return EnvFile(Path("x.env"), "".join(f'{name}="{value}"\n' for name, value in variables.items()).encode())


def offload(path=OTHER, threshold=20_000, compression="bz2"):
    return settings_for(Phase.OFFLOAD, path, threshold, compression)


@pytest.mark.parametrize(
    ("given", "present", "planned", "path", "threshold", "compression"),
    [
        (GIVEN, offload(), PLANNED, BASE, "10000", "gzip"),
        (SettingsEntry(), offload(), PLANNED, OTHER, "20000", "bz2"),
        (SettingsEntry(), {}, PLANNED, THIRD, "30000", "xz"),
        (SettingsEntry(threshold=0), offload(), PLANNED, OTHER, "0", "bz2"),
        # dual-read's own threshold, an unreadable one and a path that is none say nothing about offload.
        (SettingsEntry(), settings_for(Phase.DUAL_READ, OTHER), PLANNED, OTHER, "30000", "xz"),
        (SettingsEntry(), {**offload(), THRESHOLD.env: "1.6 MB"}, PLANNED, OTHER, "30000", "bz2"),
        (SettingsEntry(), {**offload(), THRESHOLD.env: ""}, PLANNED, OTHER, "30000", "bz2"),
        (SettingsEntry(), {**offload(), PATH.env: "", COMPRESSION.env: ""}, PLANNED, THIRD, "20000", "xz"),
        (SettingsEntry(), {**offload(), PATH.env: "/opt/xcom"}, PLANNED, THIRD, "20000", "bz2"),
        # An empty one that is given switches it off.
        (SettingsEntry(compression=""), offload(), PLANNED, OTHER, "20000", ""),
    ],
)
def test_values_come_from_the_nearest_place_that_has_one(given, present, planned, path, threshold, compression):
    assert wanted_for(Phase.OFFLOAD, Line.AF3, given, planned, present) == {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        PATH.env: path,
        THRESHOLD.env: threshold,
        COMPRESSION.env: compression,
    }


@pytest.mark.parametrize(("line", "threshold"), [(Line.AF3, "1600000"), (Line.AF2, "30000")])
def test_a_threshold_in_the_carrier_is_read_as_the_line_reads_it(line, threshold):
    present = {**offload(), THRESHOLD.env: "1.6e+06"}
    assert wanted_for(Phase.OFFLOAD, line, SettingsEntry(), PLANNED, present)[THRESHOLD.env] == threshold


def test_the_other_phases_want_less():
    assert wanted_for(Phase.INLINE, Line.AF3) == {BACKEND.env: BASE_XCOM}
    assert wanted_for(Phase.DUAL_READ, Line.AF3, SettingsEntry(BASE)) == {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        PATH.env: BASE,
        THRESHOLD.env: "-1",
    }
    # What is planned is there before anything is offloaded.
    assert wanted_for(Phase.DUAL_READ, Line.AF3, SettingsEntry(), PLANNED)[COMPRESSION.env] == "xz"


def test_a_wrong_compression_keeps_nobody_in_offload():
    present = offload() | {COMPRESSION.env: "gz"}
    assert COMPRESSION.env not in wanted_for(Phase.DUAL_READ, Line.AF3, present=present)
    with pytest.raises(CarrierError) as raised:
        wanted_for(Phase.OFFLOAD, Line.AF3, present=present)
    assert raised.value.hint == "write gzip"


@pytest.mark.parametrize(
    ("target", "present", "said", "option"),
    [
        (Phase.DUAL_READ, {}, "the carrier has none", "--path"),
        (Phase.OFFLOAD, {PATH.env: "/opt/xcom"}, "'/opt/xcom' cannot be it", "--path"),
        (Phase.OFFLOAD, {PATH.env: OTHER}, "the carrier has none", "--threshold"),
        (Phase.OFFLOAD, {PATH.env: OTHER, THRESHOLD.env: "-1"}, "'-1' cannot be it", "--threshold"),
    ],
)
def test_a_value_that_is_said_nowhere_names_its_option(target, present, said, option):
    with pytest.raises(CarrierError, match=said) as raised:
        wanted_for(target, Line.AF3, present=present)
    assert option in raised.value.hint
    assert raised.value.verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("target", "given"),
    [
        (Phase.MISCONFIGURED, GIVEN),
        (Phase.UNKNOWN, GIVEN),
        (Phase.DUAL_READ, SettingsEntry("/opt/xcom")),
        (Phase.OFFLOAD, SettingsEntry(BASE, -1)),
        (Phase.OFFLOAD, SettingsEntry(BASE, 5, "gz")),
    ],
)
def test_what_a_target_cannot_have_is_refused(target, given):
    with pytest.raises(CarrierError) as raised:
        wanted_for(target, Line.AF3, given, PLANNED, offload())
    assert raised.value.hint


@pytest.mark.parametrize(
    ("present", "target", "before", "after"),
    [
        ({}, Phase.DUAL_READ, Phase.INLINE, Phase.DUAL_READ),
        (settings_for(Phase.DUAL_READ, OTHER), Phase.OFFLOAD, Phase.DUAL_READ, Phase.OFFLOAD),
        (offload(), Phase.DUAL_READ, Phase.OFFLOAD, Phase.DUAL_READ),
        (offload(), Phase.INLINE, Phase.OFFLOAD, Phase.INLINE),
        ({BACKEND.env: OBJECT_STORAGE_BACKEND}, Phase.DUAL_READ, Phase.MISCONFIGURED, Phase.DUAL_READ),
        (offload() | {THRESHOLD.env: "1.6 MB"}, Phase.OFFLOAD, Phase.MISCONFIGURED, Phase.OFFLOAD),
        ({BACKEND.env: "my.Backend"}, Phase.OFFLOAD, Phase.UNKNOWN, Phase.OFFLOAD),
    ],
)
def test_the_phases_are_what_the_carrier_says(present, target, before, after):
    edited = edit_for(env(present), target, Line.AF3, planned=PLANNED)
    assert (edited.phase_before.phase, edited.phase_after.phase) == (before, after)
    again = EnvFile(Path("x.env"), edited.edit.after)
    assert not edit_for(again, target, Line.AF3, planned=PLANNED).edit.changes
    assert edit_for(again, target, Line.AF3, planned=PLANNED).before == edited.after


def test_the_base_path_before_and_after_can_be_compared():
    edited = edit_for(env(offload()), Phase.OFFLOAD, Line.AF3, SettingsEntry(BASE))
    assert (edited.before.path, edited.after.path) == (OTHER, BASE)


def test_names_that_airflow_does_not_read_are_refused_with_what_to_do():
    dotted = "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_"
    carrier = env({**settings_for(Phase.DUAL_READ, OTHER), f"{dotted}PATH": OTHER, f"{dotted}COMPRESSION": "gzip"})
    with pytest.raises(CarrierError, match=r"x\.env sets what Airflow does not read") as raised:
        edit_for(carrier, Phase.DUAL_READ, Line.AF3)
    hint = (
        f"remove {dotted}PATH, {PATH.env} is set; {dotted}COMPRESSION → {COMPRESSION.env}; or have that written: --fix"
    )
    assert raised.value.hint == hint
    fixed = edit_for(carrier, Phase.DUAL_READ, Line.AF3, fix=True)
    there = carrier.after(fixed.edit)
    assert there.settings() == {**settings_for(Phase.DUAL_READ, OTHER), COMPRESSION.env: "gzip"}
    assert there.near_misses() == () and fixed.edit.before == carrier.edit({}).before


def test_so_are_those_of_an_airflow_cfg_in_its_own_words():
    carrier = AirflowCfg(
        Path("airflow.cfg"),
        b"[core]\nxcom_backend = a\nXCOM_BACKEND = b\n[common_io]\nxcom_objectstorage_path = s3://c@b/x\n"
        b"[Common.io]\nxcom_objectstorage_path = s3://c@b/x\n",
    )
    with pytest.raises(CarrierError) as raised:
        edit_for(carrier, Phase.INLINE, Line.AF3)
    assert raised.value.hint == (
        "remove [core] XCOM_BACKEND, [core] xcom_backend is set; "
        "[common_io] xcom_objectstorage_path → [common.io] xcom_objectstorage_path; "
        "remove [Common.io] xcom_objectstorage_path, [common.io] xcom_objectstorage_path is set; "
        "or have that written: --fix"
    )
    fixed = edit_for(carrier, Phase.INLINE, Line.AF3, fix=True).edit.after
    assert b"XCOM_BACKEND" not in fixed and fixed.count(b"s3://c@b/x") == 1 and b"[common.io]" in fixed


# --- Helm values -----------------------------------------------------------------------------------------------------


def helm(text):
    return HelmValues(Path("values.yaml"), text.encode())


def test_a_threshold_that_helm_would_render_with_an_exponent_is_refused_where_it_is_taken_from_there():
    carrier = helm(
        f"env:\n- name: {BACKEND.env}\n  value: {OBJECT_STORAGE_BACKEND}\n- name: {PATH.env}\n  value: {OTHER}\n"
        f"- name: {THRESHOLD.env}\n  value: 1600000\n"
    )
    for line in Line:
        with pytest.raises(CarrierError, match=r"values\.yaml:6 env\[2\]: Helm renders it as 1\.6e\+06") as raised:
            edit_for(carrier, Phase.OFFLOAD, line)
        assert "--fix" in raised.value.hint
        fixed = edit_for(carrier, Phase.OFFLOAD, line, fix=True)
        assert fixed.edit.after.endswith(b'value: "1600000"\n') and fixed.after.threshold == 1_600_000
        given = edit_for(carrier, Phase.OFFLOAD, line, SettingsEntry(threshold=1_600_000))
        assert given.edit.after == fixed.edit.after
    # The ways down go without: one writes the threshold, the other does not look at it.
    assert b'value: "-1"' in edit_for(carrier, Phase.DUAL_READ, Line.AF2).edit.after
    assert b"value: 1600000" in edit_for(carrier, Phase.INLINE, Line.AF2).edit.after


def test_what_has_to_be_known_of_a_carrier_comes_with_the_edit():
    text = f"services:\n  airflow:\n    image: x\n    env_file: .env\n    environment:\n      {BACKEND.env}: a.B\n"
    found = edit_for(ComposeFile(Path("compose.yaml"), text.encode()), Phase.INLINE, Line.AF3)
    assert found.notes and "env_file" not in found.edit.diff
