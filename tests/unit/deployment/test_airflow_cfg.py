"""``airflow.cfg`` against Python's own parser with the arguments that Airflow gives it; ``tests/live`` asks Airflow."""

from __future__ import annotations

import configparser
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.deployment.carriers.airflow_cfg import AirflowCfg
from xcomctl.deployment.carriers.ini_lines import LineKind, ini_lines
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.model.phases import Phase
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, THRESHOLD, settings_for

BASE = "s3://s3_conn@bucket/xcom"


def of(content: bytes) -> AirflowCfg:
    return AirflowCfg(Path("airflow.cfg"), content)


def reference(content: bytes) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.optionxform = str
    parser.read_file(io.TextIOWrapper(io.BytesIO(content), "utf-8", "surrogateescape"))
    return parser


def raw(content: bytes) -> dict[tuple[str, str], str]:
    parser = reference(content)
    return {(name, key): value for name in parser.sections() for key, value in parser.items(name, raw=True)}


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("[core]\n", {}),
        ("[core]\nxcom_backend = a.B\n", {BACKEND: "a.B"}),
        ("[core]\nxcom_backend=a.B", {BACKEND: "a.B"}),
        ("[core]\nxcom_backend: a.B\n", {BACKEND: "a.B"}),
        ("[core]\r\nxcom_backend = a.B\r\n", {BACKEND: "a.B"}),
        ("[core]\rxcom_backend = a.B\r", {BACKEND: "a.B"}),
        ("  [core]\n   # why\n  xcom_backend = a.B\n", {BACKEND: "a.B"}),
        ("[core]\nxcom_backend =\n", {BACKEND: ""}),
        ("[core]\n# xcom_backend = a.B\n; xcom_backend = a.B\n", {}),
        ("[core]\nXCOM_BACKEND = a.B\n", {}),
        ("[Core]\nxcom_backend = a.B\n", {}),
        ("[common.io]\nxcom_backend = a.B\n", {}),
        # Nothing behind a value is a remark, and no quotes are taken off.
        ("[common.io]\nxcom_objectstorage_threshold = 5  # why\n", {THRESHOLD: "5  # why"}),
        ('[common.io]\nxcom_objectstorage_threshold = "5"\n', {THRESHOLD: '"5"'}),
        ("[common.io]\nxcom_objectstorage_path = s3://c@b/a%%2Fb\n", {PATH: "s3://c@b/a%2Fb"}),
        ("[common.io]\nbucket = b\nxcom_objectstorage_path = s3://c@%(bucket)s/x\n", {PATH: "s3://c@b/x"}),
        ("[core]\nxcom_backend = a.B\n# why\n\n  executor = X\n", {BACKEND: "a.B\n\nexecutor = X"}),
    ],
)
def test_settings_are_what_airflow_reads(text, settings):
    assert of(text.encode()).settings() == {setting.env: value for setting, value in settings.items()}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xef\xbb\xbf[core]\nxcom_backend = a\n", "byte order mark"),
        ("[core]\nxcom_backend = a\n".encode("utf-16"), "line 1 stands in no section"),
        (b"# x\nxcom_backend = topsecret\n", "line 2 stands in no section"),
        (b"[core]\n[api]\n\n[core]\n", r"\[core\] more than once, in lines 1 and 4"),
        (b"[core]\na = topsecret\n# a = 2\na = 3\n", r"\[core\] a more than once, in lines 2 and 4"),
        (b"[\x1b[0m]\n[\x1b[0m]\n", r"\[\\x1b\[0m\] more than once"),
        (b"[core]\npassword topsecret\na = 1\n= topsecret\n", "no key and value in line 2 and 4"),
        (b"[core]\nxcom_backend = topsecret%\n", "line 2: Airflow cannot read the value of xcom_backend"),
        (b"[core]\nxcom_backend = %(topsecret)s\n", "line 2: Airflow cannot read the value of xcom_backend"),
        (b"[DEFAULT]\nxcom_backend = a\n[core]\n", r"line 2: \[DEFAULT\] gives xcom_backend"),
    ],
)
def test_what_airflow_cannot_read_is_refused_and_not_quoted(content, said):
    with pytest.raises(CarrierError, match=said) as raised:
        of(content)
    assert raised.value.hint
    assert "topsecret" not in raised.value.message + raised.value.hint


def test_what_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(CarrierError):
            AirflowCfg.read(path)


def test_what_to_write_by_hand_has_its_line():
    text = b"[core]\nparallelism = 1\n\n[common_io]\nxcom_objectstorage_path = s3://c@b/x\n"
    said = AirflowCfg(Path("airflow.cfg"), text).corrections()
    assert said == ("airflow.cfg:5: write [common.io] xcom_objectstorage_path",)


def test_near_misses():
    file = of(
        b"[core]\nexecutor = X\nXCOM_BACKEND = a\n# xcom_backnd = a\n[common_io]\nxcom_objectstorage_path = x\n"
        b"[common.io]\nxcom_objectstorage_treshold = 5\nstate_store_objectstorage_path = y\n"
    )
    assert [(miss.name, miss.meant) for miss in file.near_misses()] == [
        ("[core] XCOM_BACKEND", BACKEND.env),
        ("[common_io] xcom_objectstorage_path", PATH.env),
        ("[common.io] xcom_objectstorage_treshold", THRESHOLD.env),
    ]


# --- edits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # In place: the delimiter, the blanks around the value and everything else stay.
        (b"[core]\nxcom_backend = old\n", b"[core]\nxcom_backend = new\n"),
        (b"[core]\r\n  xcom_backend:old  \r\nx=1", b"[core]\r\n  xcom_backend:new  \r\nx=1"),
        (b"[core]\nxcom_backend = \nx = 1\n", b"[core]\nxcom_backend = new\nx = 1\n"),
        (b"[core]\nxcom_backend =", b"[core]\nxcom_backend =new"),
        # A new file, a new section.
        (b"", b"[core]\nxcom_backend = new\n"),
        (b"[api]\nx = 1\n", b"[api]\nx = 1\n\n[core]\nxcom_backend = new\n"),
        (b"[api]\nx = 1\n\n", b"[api]\nx = 1\n\n[core]\nxcom_backend = new\n"),
        (b"[api]\r\nx = 1", b"[api]\r\nx = 1\r\n\r\n[core]\r\nxcom_backend = new"),
        # The end of its section.
        (b"[core]\n", b"[core]\nxcom_backend = new\n"),
        (b"[core]", b"[core]\nxcom_backend = new"),
        (b"[core]\nx = 1\n\n\n[api]\ny = 1\n", b"[core]\nx = 1\nxcom_backend = new\n\n\n[api]\ny = 1\n"),
        (b"[core]\nx = 1\n\n# xcom_backend = \n\n[api]\n", b"[core]\nx = 1\n\n# xcom_backend = \nxcom_backend = new\n\n[api]\n"),
        (b"[core]\nx = 1\n\n# --- api ---\n[api]\n", b"[core]\nx = 1\nxcom_backend = new\n\n# --- api ---\n[api]\n"),
        (b"[core]\nx = 1\n# --- api ---\n[api]\n", b"[core]\nx = 1\nxcom_backend = new\n# --- api ---\n[api]\n"),
        (b"[core]\nx = 1\n\n# the end\n\n", b"[core]\nx = 1\n\n# the end\nxcom_backend = new\n\n"),
        (b"[core]\nx = 1\n  2\n[api]\n", b"[core]\nx = 1\n  2\nxcom_backend = new\n[api]\n"),
        (b"[core]\n  x = 1\n  y = 1\n[api]\n", b"[core]\n  x = 1\n  y = 1\n  xcom_backend = new\n[api]\n"),
        # What only looks like it.
        (b"[api]\nxcom_backend = old\n[core]\n", b"[api]\nxcom_backend = old\n[core]\nxcom_backend = new\n"),
        (b"[core]\n# xcom_backend = old\n", b"[core]\n# xcom_backend = old\nxcom_backend = new\n"),
    ],
)  # fmt: skip
def test_an_edit_touches_one_line(before, after):
    edit = of(before).edit({BACKEND.env: "new"})
    assert edit.after == after
    assert edit.inverse().after == before
    assert not of(after).edit({BACKEND.env: "new"}).changes


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"[core]\nxcom_backend = old\n# why\nx = 1\n", b"[core]\n# why\nx = 1\n"),
        (b"[core]\r\nx = 1\r\nxcom_backend = old", b"[core]\r\nx = 1"),
        (b"[core]\nx = 1\n", b"[core]\nx = 1\n"),
        (b"", b""),
    ],
)
def test_taking_out_takes_one_line(before, after):
    assert of(before).edit({BACKEND.env: None}).after == after


def test_a_threshold_is_plain_digits_and_a_percent_sign_is_doubled():
    wanted = settings_for(Phase.OFFLOAD, "s3://c@b/a%2Fb", 1_600_000, "gzip")
    after = of(b'[common.io]\nxcom_objectstorage_threshold = "1600000"\n').edit(wanted).after
    assert after == (
        b"[common.io]\nxcom_objectstorage_threshold = 1600000\nxcom_objectstorage_path = s3://c@b/a%%2Fb\n"
        b"xcom_objectstorage_compression = gzip\n"
        b"\n[core]\nxcom_backend = airflow.providers.common.io.xcom.backend.XComObjectStorageBackend\n"
    )
    assert of(after).settings() == wanted
    assert reference(after)["common.io"]["xcom_objectstorage_path"] == "s3://c@b/a%2Fb"


def test_a_value_that_airflow_already_reads_is_left_as_it_is_written():
    content = b"[common.io]\nbucket = b\nxcom_objectstorage_path: s3://c@%(bucket)s/x\n"
    assert not of(content).edit({PATH.env: "s3://c@b/x"}).changes


def test_a_value_over_several_lines_is_not_edited():
    file = of(b"[core]\nxcom_backend = a.B\n# why\n\n  executor = X\n[api]\nx = 1\n")
    for value in ("new", None):
        with pytest.raises(CarrierError, match="line 2 goes on in line 5"):
            file.edit({BACKEND.env: value})
    assert file.edit({PATH.env: BASE}).changes


@pytest.mark.parametrize("content", [b"[core]\n  [api]\n  x = 1\n", b"[core]\n # why\n  [api]\n  x = 1\n"])
def test_an_edit_that_would_take_in_the_next_section_is_refused(content):
    with pytest.raises(CarrierError, match="indentation"):
        of(content).edit({BACKEND.env: "new"})


@pytest.mark.parametrize("value", [" a", "a ", "a\nb", "a\rb", "\n", "\udc80", "\xa0a"])
def test_values_that_no_file_holds(value):
    with pytest.raises(CarrierError, match="no text"):
        of(b"").edit({BACKEND.env: value})


@pytest.mark.parametrize("name", ["AIRFLOW__CORE__EXECUTOR", "xcom_backend", ""])
def test_it_carries_the_settings_alone(name):
    with pytest.raises(CarrierError):
        of(b"[core]\nexecutor = X\n").edit({name: "x"})


def test_the_diff_has_no_secrets():
    text = b"[database]\nsql_alchemy_conn = postgresql://u:topsecret@h/d\n[core]\nfernet_key = topsecret\n"
    diff = of(text).edit(settings_for(Phase.OFFLOAD, BASE, 5)).diff
    assert "fernet_key" in diff and "+xcom_objectstorage_threshold = 5" in diff
    assert "topsecret" not in diff


# --- properties -----------------------------------------------------------------------------------------------------

sections = st.sampled_from(["core", "common.io", "api"])
own_keys = {"core": [BACKEND.key], "common.io": [PATH.key, THRESHOLD.key, COMPRESSION.key], "api": [PATH.key]}
more_keys = ["x", "X", "executor", "xcom_backend_x"]
values = st.sampled_from(
    ["", "x", "a.b.C", BASE, "1600000", "-1", '"5"', "a = b", "a # b", "s3://c@b/%%20", "é", "[x]"]
)
remarks = st.sampled_from([b"# xcom_backend = a", b"", b"  ", b"; [core]", b"  # x", b"# \xff\xfe", b"\x0c", b"#[api]"])
#: Lines that belong to what stands above, or shift what counts as indented.
odd = st.sampled_from([b"  deeper = 1", b"    deeper", b"\tdeeper: 2", b" [api]", b"\xc2\xa0 nbsp"])
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def files(draw, *, tame=False):
    """A file that Airflow reads, nearly always; a ``tame`` one has nothing that is indented more than what is above."""
    between = remarks if tame else remarks | odd
    lines = draw(st.lists(remarks, max_size=2))
    indent = draw(st.sampled_from(["", "  "])) if tame else ""
    for section in draw(st.lists(sections, unique=True, max_size=3)):
        lines.append(f"{indent}[{section}]".encode())
        lines += draw(st.lists(between, max_size=2))
        for key in draw(st.lists(st.sampled_from(own_keys[section] + more_keys), unique=True, max_size=4)):
            before = indent if tame else draw(st.sampled_from(["", " ", "  "]))
            delimiter = draw(st.sampled_from([" = ", "=", ": ", " =", "\t:\t"]))
            lines.append(f"{before}{key}{delimiter}{draw(values)}{draw(st.sampled_from(['', ' ']))}".encode())
            lines += draw(st.lists(between, max_size=2))
    end = draw(ends)
    return end.join(lines) + draw(st.sampled_from([b"", end]))


names = st.sampled_from([setting.env for setting in SETTINGS])
wanted = st.dictionaries(names, st.none() | values.filter(lambda value: "%" not in value) | st.just("a%2Fb"))
arbitrary = st.binary(max_size=80) | st.builds(b"[core]\n".__add__, st.binary(max_size=80))


@given(files() | arbitrary)
def test_it_reads_what_the_parser_reads(content):
    try:
        parser = reference(content)
        expected = {
            setting.env: parser[setting.section][setting.key]
            for setting in SETTINGS
            if parser.has_option(setting.section, setting.key)
        }
    except configparser.Error:
        with pytest.raises(CarrierError):
            of(content)
        return
    assert of(content).settings() == expected


@given(files() | arbitrary)
def test_every_line_is_told_apart_as_the_parser_does(content):
    try:
        expected = raw(content)
    except configparser.Error:
        return
    text = content.decode("utf-8", "surrogateescape")
    lines = ini_lines(text)
    assert "".join(text[line.start : line.end] for line in lines) == text
    assert all(line.kind is not LineKind.OTHER for line in lines)
    found = {(line.section, line.key): line for line in lines if line.kind is LineKind.OPTION}
    continued = {(line.section, line.key) for line in lines if line.kind is LineKind.CONTINUATION}
    assert found.keys() - {place for place in found if place[0] == "DEFAULT"} == expected.keys()
    for place, value in expected.items():
        assert ("\n" in value) == (place in continued)
        if place not in continued:
            assert text[found[place].value_start : found[place].value_end] == value


@given(files(tame=True), wanted)
def test_an_edit_of_a_plain_file_succeeds(content, changes):
    after = of(content).edit(changes).after
    assert of(after).settings() == {
        name: value for name, value in {**of(content).settings(), **changes}.items() if value is not None
    }


@given(files() | files(tame=True) | arbitrary, wanted)
def test_an_edit_is_about_its_options_alone(content, changes):
    try:
        edit = of(content).edit(changes)
    except CarrierError:
        return
    assert edit.before == content
    assert edit.inverse().before == edit.after and edit.inverse().after == content
    file = of(edit.after)
    assert all(file.settings().get(name) == value for name, value in changes.items())
    assert file.edit(changes).after == edit.after  # twice is once
    touched = {(setting.section, setting.key) for setting in SETTINGS if setting.env in changes}
    before, after = raw(content), raw(edit.after)
    assert {k: v for k, v in before.items() if k not in touched} == {k: v for k, v in after.items() if k not in touched}
    assert untouched(edit.after, touched, new={"core", "common.io"} - set(reference(content).sections())) == untouched(
        content, touched
    )


def untouched(content: bytes, touched, new=frozenset()) -> list[str]:
    """Every line that an edit of these options has to leave alone, in order; ``new`` are sections that it may add."""
    text = content.decode("utf-8", "surrogateescape")
    kept = []
    for line in ini_lines(text):
        if line.kind is LineKind.OPTION and (line.section, line.key) in touched:
            continue
        if line.kind is LineKind.HEADER and line.section in new:
            continue
        kept.append(text[line.start : line.end].strip("\r\n"))
    while kept and not kept[-1]:  # a new section has a blank line above it
        kept.pop()
    return kept


@given(files(tame=True), names, values.filter(lambda value: "%" not in value))
def test_what_was_added_to_a_section_goes_without_a_trace(content, name, value):
    setting = next(each for each in SETTINGS if each.env == name)
    if name in of(content).settings() or setting.section not in reference(content).sections():
        return
    added = of(of(content).edit({name: value}).after)
    assert added.edit({name: None}).after == content


@given(files(tame=True), wanted)
def test_a_file_keeps_its_line_ends(content, changes):
    after = of(content).edit(changes).after
    if b"\r\n" in content:
        assert after.count(b"\n") == after.count(b"\r\n")
    assert not content or after.endswith((b"\n", b"\r")) == content.endswith((b"\n", b"\r"))


# --- names that are almost right -------------------------------------------------------------------------------------


def test_a_misspelt_option_goes_under_the_section_and_key_that_airflow_reads():
    text = b"[core]\nXCOM_BACKEND = a.B\n[common_io]\nxcom_objectstorage_path = s3://c@b/a%%2Fb\nother = 1\n"
    carrier = AirflowCfg(Path("airflow.cfg"), text)
    fixed = carrier.fix()
    there = carrier.after(fixed)
    assert there.settings() == {BACKEND.env: "a.B", PATH.env: "s3://c@b/a%2Fb"} and there.near_misses() == ()
    assert b"[common_io]\nother = 1\n" in fixed.after and not there.fix().changes
    assert fixed.inverse().after == text


def test_options_that_disagree_about_one_setting_are_refused():
    text = b"[core]\nXCOM_BACKEND = a.B\nXcom_Backend = c.D\n"
    with pytest.raises(CarrierError, match="more than once"):
        AirflowCfg(Path("airflow.cfg"), text).fix()
    with pytest.raises(CarrierError, match="goes on in the next line"):
        AirflowCfg(Path("airflow.cfg"), b"[core]\nXCOM_BACKEND = a.B\n  more\n").fix()
