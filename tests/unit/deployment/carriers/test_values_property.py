"""Any values file, any change: what was written is read again, nothing else moved, and the inverse restores every byte."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML, YAMLError

from xcomctl.deployment.carriers.helm_values import HelmValues
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, THRESHOLD

NAMES = [setting.env for setting in SETTINGS]
_OURS = {*NAMES, *(setting.key for setting in SETTINGS)}
_VALUES = {
    BACKEND.env: st.sampled_from([BASE_XCOM, OBJECT_STORAGE_BACKEND]),
    PATH.env: st.sampled_from(["s3://store@artifacts/xcom", "s3://a%20b@c/d", "gs://x/y z"]),
    THRESHOLD.env: st.sampled_from(["-1", "0", "1600000", "20000"]),
    COMPRESSION.env: st.sampled_from(["", "gzip", "zip"]),
}

# --- files, of blocks as people have them

_quotes = st.sampled_from(["", '"', "'"])
_remarks = st.sampled_from(["", "  # why", " #"])
_between = st.sampled_from(["", "# a remark", "  # indented", "   "])
_others = st.sampled_from(["AIRFLOW__CORE__PARALLELISM", "API_TOKEN", "LANG"])


@st.composite
def pairs(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Variables with their values as they are written."""
    found: dict[str, str] = {}
    for name in draw(st.lists(st.sampled_from(NAMES) | _others, max_size=5)):
        value = draw(_VALUES[name]) if name in _VALUES else draw(st.sampled_from(["x", "8"]))
        quote = draw(_quotes) if value and name != THRESHOLD.env else '"'
        found[name] = f"{quote}{value}{quote}"
    return list(found.items())


@st.composite
def lists(draw: st.DrawFn, key: str, indent: str) -> list[str]:
    """A list of names and values: block, flow, or none."""
    entries, step = draw(pairs()), draw(st.sampled_from(["", "  ", "    "]))
    shape = draw(st.sampled_from(["block", "block", "flow", "value first", "null"]))
    if shape == "null" or not entries:
        return [f"{indent}{key}:{draw(st.sampled_from([' []', '', ' ~']))}"]
    if shape == "flow":
        inner = ", ".join(f"{{name: {name}, value: {value}}}" for name, value in entries)
        return [f"{indent}{key}: [{inner}]{draw(_remarks)}"]
    lines = [f"{indent}{key}:{draw(_remarks)}"]
    for name, value in entries:
        first, second = (
            (("value", value), ("name", name)) if shape == "value first" else (("name", name), ("value", value))
        )
        lines += [f"{indent}{step}- {first[0]}: {first[1]}{draw(_remarks)}", f"{indent}{step}  {second[0]}: {second[1]}{draw(_remarks)}"]  # fmt: skip
        lines += [draw(_between)] if draw(st.booleans()) else []
    return lines


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    """``extraEnv``, a string of YAML."""
    style = draw(st.sampled_from(["|", "|-", "|2"]))
    lines = [f"extraEnv: {style}"]
    for name, value in draw(pairs()):
        lines += [f"  - name: {name}", f"    value: {value}"]
    return lines if len(lines) > 1 else ["extraEnv: ~"]


@st.composite
def sections(draw: st.DrawFn) -> list[str]:
    """``config``."""
    lines = ["config:"]
    by_name = dict(draw(pairs()))
    core = [f"    {BACKEND.key}: {by_name[BACKEND.env]}"] if BACKEND.env in by_name else []
    common = [f"    {each.key}: {by_name[each.env]}{draw(_remarks)}" for each in SETTINGS if each is not BACKEND and each.env in by_name]  # fmt: skip
    lines += ["  core:", "    parallelism: 8", *core] if draw(st.booleans()) or core else []
    lines += ["  common.io:", *common] if common else []
    return lines if len(lines) > 1 else ["config: {}"]


@st.composite
def config_maps(draw: st.DrawFn) -> list[str]:
    """A ConfigMap in the same file, which every pod takes."""
    entries = [f"      {name}: {value}" for name, value in draw(pairs())]
    data = ["    data: |", *entries] if entries else ["    data: ~"]
    name = "'{{ .Release.Name }}-xcom'"
    return ["extraEnvFrom: |", "  - configMapRef:", f"      name: {name}", "extraConfigMaps:", f"  {name}:", *data]


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A values file of some of these blocks, in any order."""
    blocks = {
        "env": lists("env", ""),
        "text": texts(),
        "config": sections(),
        "maps": config_maps(),
        "workers": lists("env", "  ").map(lambda lines: ["workers:", "  replicas: 2", *lines]),
        "executor": st.just(["executor: LocalExecutor"]),
        "other": st.just(["images:", "  airflow:", "    tag: &tag 3.3.2  # pinned", "airflowVersion: *tag"]),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(blocks)), unique=True, max_size=4))
    lines = [draw(_between)] if draw(st.booleans()) else []
    for name in chosen:
        lines += [*draw(blocks[name]), *([draw(_between)] if draw(st.booleans()) else [])]
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return (end.join(lines) + draw(st.sampled_from(["", end, end * 2]))).encode()


changes = st.fixed_dictionaries({}, optional={name: st.none() | value for name, value in _VALUES.items()})

# --- what holds


def read(content: bytes) -> HelmValues:
    return HelmValues(Path("values.yaml"), content)


def without_ours(value: Any) -> Any:
    """The content without the four settings, wherever they stand, and without what is empty for it."""
    if isinstance(value, str) and ":" in value:
        with contextlib.suppress(YAMLError):
            held = YAML(typ="safe").load(value)
            return value if isinstance(held, str) else without_ours(held)
    if isinstance(value, dict):
        kept = {key: without_ours(each) for key, each in value.items() if key not in _OURS}
        return {key: each for key, each in kept.items() if each not in (None, {}, [], "")}
    if isinstance(value, list):
        return [without_ours(each) for each in value if not (isinstance(each, dict) and each.get("name") in NAMES)]
    return value


@given(files(), changes)
@example(b"env:\n- name: AIRFLOW__CORE__XCOM_BACKEND\n  value: x", {BACKEND.env: None, THRESHOLD.env: "5"})
def test_an_edit_followed_by_its_inverse_restores_every_byte(content: bytes, wanted: dict[str, str | None]) -> None:
    try:
        carrier = read(content)
        edit = carrier.edit(wanted)
    except CarrierError as error:
        event(f"refused: {error.message[:60]}")
        return
    event("edited" if edit.changes else "nothing to do")
    assert edit.before == content
    assert edit.inverse().before == edit.after and edit.inverse().after == content
    there = read(edit.after)
    assert {name: there.settings().get(name) for name in wanted} == wanted
    untouched = {name: value for name, value in carrier.settings().items() if name not in wanted}
    assert {name: value for name, value in there.settings().items() if name not in wanted} == untouched
    load = YAML(typ="safe").load
    assert without_ours(load(content) or {}) == without_ours(load(edit.after) or {})
    assert there.edit(wanted).after == edit.after  # twice is once
