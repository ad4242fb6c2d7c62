"""The formats that there are, and what holds for each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.deployment.carriers.airflow_cfg import AirflowCfg
from xcomctl.deployment.carriers.compose_file import ComposeFile
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.carriers.helm_values import HelmValues
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.opened import CARRIERS, open_carrier
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, THRESHOLD, settings_for

BASE = "s3://s3_conn@bucket/xcom"


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        (".env", b"", EnvFile),
        (".env.prod", b"A=1\n", EnvFile),
        ("airflow.env", b"A=1\n", EnvFile),
        ("airflow.cfg", b"", AirflowCfg),
        ("airflow-prod.cfg", b"# x\n[database]\n", AirflowCfg),
        ("airflow.ini", b"# x\r\n[core]\r\n", AirflowCfg),
        ("values-prod.yaml", b"config:\n  core:\n", HelmValues),
        ("values.yml", b"", HelmValues),
        ("docker-compose.yml", b"services:\n  airflow-scheduler:\n    image: x\n", ComposeFile),
    ],
)
def test_a_file_is_known_by_its_name_and_sections(tmp_path, name, content, kind):
    path = tmp_path / name
    path.write_bytes(content)
    carrier = open_carrier(path)
    assert type(carrier) is kind and carrier.path == path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("values-prod.json", b"{}"),
        ("setup.cfg", b"[metadata]\n# [core]\n"),
        ("env", b"A=1\n"),
        (".envrc", b"A=1\n"),
    ],
)
def test_what_no_format_knows_is_refused_with_what_to_write_by_hand(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CarrierError) as raised:
        open_carrier(path)
    assert all(kind.names in raised.value.message for kind in CARRIERS)
    assert all(setting.env in raised.value.hint for setting in SETTINGS)
    with pytest.raises(CarrierError) as raised:
        open_carrier(path, settings_for(Phase.OFFLOAD, BASE, 1_600_000))
    assert f'{THRESHOLD.env}="1600000"' in raised.value.hint
    assert f'{PATH.env}="{BASE}"' in raised.value.hint
    assert path.read_bytes() == content


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(CarrierError, match="no carrier at"):
        open_carrier(tmp_path / "values.yaml")


# --- what holds for every format -------------------------------------------------------------------------------------

thresholds = st.sampled_from([0, 5, 1_600_000])
compressions = st.sampled_from([None, "gzip"])
targets = st.sampled_from([Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD])
ends = st.sampled_from(["\n", "\r\n"])
remarks = st.lists(st.sampled_from(["# why", "", "   ", "# XCOM_BACKEND=x", "; [core]"]), max_size=3)
#: What the carrier says at first. A person who writes a threshold may leave the quotes out, which is the next test.
phases = st.builds(
    lambda phase, threshold, compression: {
        **settings_for(Phase.DUAL_READ, f"{BASE}/a%2Fb", compression=compression),
        **settings_for(phase, f"{BASE}/a%2Fb", threshold),
    },
    targets,
    thresholds,
    compressions,
)


@st.composite
def env_files(draw, settings):
    lines = draw(remarks)
    for name, value in settings.items():
        quote = '"' if name == THRESHOLD.env else draw(st.sampled_from(["", "'", '"']))
        lead, tail = draw(st.sampled_from(["", "export "])), draw(st.sampled_from(["", " # why", "  "]))
        lines += [f"{lead}{name}={quote}{value}{quote}{tail}", *draw(remarks)]
    return written(draw, lines)


@st.composite
def cfg_files(draw, settings):
    lines = draw(remarks)
    for section in draw(st.permutations(["core", "api", "common.io"])):
        lines += [f"[{section}]", *draw(remarks)]
        for setting in SETTINGS:
            if setting.section == section and setting.env in settings:
                delimiter = draw(st.sampled_from([" = ", "=", ": "]))
                lines += [f"{setting.key}{delimiter}{settings[setting.env].replace('%', '%%')}", *draw(remarks)]
    return written(draw, lines)


@st.composite
def values_files(draw, settings):
    """Values of the official chart, with the settings in one of the places that it has for them."""
    form = draw(st.sampled_from(["env", "extraEnv", "config", "configMap", "community"]))
    lines = ["# values", *draw(yaml_remarks)]
    if form == "config":
        lines += ["config:"]
        for section in ("core", "common.io"):
            own = [each for each in SETTINGS if each.section == section and each.env in settings]
            lines += [f"  {section}:", "    parallelism: 32" if section == "core" else "    state_store: x"]
            lines += [
                f"    {each.key}: {quoted(draw, each.env, settings[each.env].replace('%', '%%'))}" for each in own
            ]
    elif form in ("env", "extraEnv"):
        lines += ["env:" if form == "env" else "extraEnv: |"]
        lines += ["  - name: OTHER", "    value: 'x'  # why"]
        for name, value in settings.items():
            lines += [f"  - name: {name}", f"    value: {quoted(draw, name, value)}", *draw(yaml_remarks)]
    elif form == "community":
        lines += ["airflow:", "  image: {}", "  config:"]
        lines += [f"    {name}: {quoted(draw, name, value)}{draw(tails)}" for name, value in settings.items()]
    else:
        lines += ["extraEnvFrom: |", "  - configMapRef:", "      name: '{{ .Release.Name }}-xcom'", "extraConfigMaps:"]
        lines += ["  '{{ .Release.Name }}-xcom':", "    data: |", "      A: '{{ .Values.x }}'"]
        lines += [f"      {name}: {quoted(draw, name, value)}{draw(tails)}" for name, value in settings.items()]
    return written(draw, [*lines, *draw(yaml_remarks), "tail: 1"])


@st.composite
def compose_files(draw, settings):
    """A compose file with one environment that two services share, or that each has as a list."""
    if draw(st.booleans()):
        lines = ["x-common: &common", "  image: apache/airflow:2.11.2", "  environment: &env", "    OTHER: x"]
        for name, value in settings.items():
            lines += [f"    {name}: {quoted(draw, name, value)}{draw(tails)}", *draw(yaml_remarks)]
        lines += ["services:", "  postgres:", "    image: postgres:16", "  airflow-scheduler:", "    <<: *common"]
        lines += ["  airflow-worker:", "    <<: *common", "    environment:", "      <<: *env", "      MORE: y"]
        return written(draw, lines)
    lines = ["services:"]
    for service in ("airflow-scheduler", "airflow-worker"):
        lines += [f"  {service}:", "    image: apache/airflow", "    environment:", "      - OTHER=x"]
        for name, value in settings.items():
            quote = draw(st.sampled_from(["'", '"']))
            lines += [f"      - {quote}{name}={value}{quote}{draw(tails)}", *draw(yaml_remarks)]
    return written(draw, lines)


#: Far enough to the right that they do not end a string.
yaml_remarks = st.lists(st.sampled_from(["      # why", "", "   ", "      # XCOM_BACKEND=x"]), max_size=2)
tails = st.sampled_from(["", "  # why", "  "])


def quoted(draw, name, value):
    quote = '"' if name == THRESHOLD.env else draw(st.sampled_from(["'", '"', ""]))
    if quote == "" and ("%" in value or value == ""):
        quote = "'"
    return f"{quote}{value}{quote}"


def written(draw, lines):
    end = draw(ends)
    return (end.join(lines) + draw(st.sampled_from(["", end]))).encode()


FILES = {EnvFile: env_files, AirflowCfg: cfg_files, HelmValues: values_files, ComposeFile: compose_files}
#: What a walk begins with.
BEGUN = {ComposeFile: b"services:\n  airflow:\n    image: apache/airflow\n"}


def test_every_format_is_tried_here():
    assert set(FILES) == set(CARRIERS)


@pytest.mark.parametrize("kind", CARRIERS)
@given(data=st.data(), settings=phases, target=targets, threshold=thresholds)
def test_a_phase_and_the_phase_before_it_restore_every_byte(kind, data, settings, target, threshold):
    content = data.draw(FILES[kind](settings))
    wanted = settings_for(target, f"{BASE}/a%2Fb", threshold)
    carrier = kind(Path("carrier"), content)
    assert carrier.settings() == settings
    there = kind(Path("carrier"), carrier.edit(wanted).after)
    assert there.settings() == {**settings, **wanted}
    assert not there.edit(wanted).changes
    back = there.edit({name: settings[name] for name in wanted})
    assert back.after == content
    after = there.edit({}).before
    former = [text for value in settings.values() for text in (value.encode(), value.replace("%", "%%").encode())]
    for line in set(content.split(b"\n")) - set(after.split(b"\n")):
        assert any(text in line for text in former)  # a line that changes is one of a setting


@pytest.mark.parametrize("kind", CARRIERS)
def test_the_walk_up_and_down_writes_what_the_phases_want(tmp_path, kind):
    begun = BEGUN.get(kind, b"")
    carrier = kind(tmp_path / "carrier", begun)
    carrier.path.write_bytes(begun)
    for phase in (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD, Phase.DUAL_READ, Phase.INLINE):
        carrier.write(carrier.edit(settings_for(phase, BASE, 1_600_000, "gzip")))
        carrier = kind.read(carrier.path)
        backend = BASE_XCOM if phase is Phase.INLINE else OBJECT_STORAGE_BACKEND
        assert carrier.settings()[BACKEND.env] == backend
        if phase is not Phase.INLINE:
            assert carrier.settings()[THRESHOLD.env] == ("1600000" if phase is Phase.OFFLOAD else "-1")
            assert (carrier.settings()[PATH.env], carrier.settings()[COMPRESSION.env]) == (BASE, "gzip")
    carrier.write(carrier.edit({setting.env: None for setting in SETTINGS}))
    assert kind.read(carrier.path).settings() == {}
