from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.carriers.interface import Carrier, CarrierError
from xcomctl.model.phases import Phase
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, THRESHOLD, settings_for

BASE = "s3://s3_conn@bucket/xcom"


def carrier(tmp_path, content: bytes) -> EnvFile:
    path = tmp_path / ".env"
    path.write_bytes(content)
    return EnvFile.read(path)


def of(content: bytes) -> EnvFile:
    from pathlib import Path

    return EnvFile(Path("x.env"), content)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=b", "b"),
        ("A=", ""),
        ("export A=b", "b"),
        ("  export\tA = b c  ", "b c"),
        ("A=b # remark", "b"),
        ("A=b#c", "b#c"),
        ("A= # remark", ""),
        ("A=#b", "#b"),
        ("A='b # c' # remark", "b # c"),
        ('A="b\\n\\"c\\" \\$d \\\\"', 'b\n"c" $d \\'),
        ("A='b\\n'", "b\\n"),
        ('A="two\nlines"', "two\nlines"),
        ("A='two\nlines'", "two\nlines"),
        ("A=b\r", "b"),
        ("A='b'\r", "b"),
        ("A=http://x/?a=b&c", "http://x/?a=b&c"),
        ("A='b'c", "'b'c"),
        ("A=${B}", "${B}"),
        ("\ufeffA=b", "b"),
        ("A=b\xa0", "b\xa0"),
    ],
)
def test_values(text, value):
    assert of(text.encode()).variables() == {"A": value}
    assert of((text + "\nZ=1\n").encode()).variables() == {"A": value, "Z": "1"}


@pytest.mark.parametrize("text", ["", "# A=b", "   ", "A", "=b", "not a line at all", "\n\n"])
def test_no_assignment(text):
    assert of(text.encode()).variables() == {}


def test_lines_inside_quotes_are_no_assignments():
    file = of(b'A="x\nB=1\n# no remark\n"\nC=2\n')
    assert file.variables() == {"A": "x\nB=1\n# no remark\n", "C": "2"}
    assert [each.line for each in file.assignments] == [1, 5]


def test_what_to_write_by_hand_has_its_line():
    text = b"A=1\n\nAIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH=s3://c@b/x\n"
    said = EnvFile(Path("a.env"), text).corrections()
    assert said == ("a.env:3: write AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH",)


def test_settings_and_near_misses():
    text = (
        b"AIRFLOW__CORE__XCOM_BACKEND=a.B\n"
        b"AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH=s3://c@b/x\n"
        b"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD='5'\n"
        b"OTHER=1\n"
    )
    file = of(text)
    assert file.settings() == {BACKEND.env: "a.B", THRESHOLD.env: "5"}
    [miss] = file.near_misses()
    assert (miss.name, miss.meant) == ("AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH", PATH.env)


def test_the_last_of_several_wins_and_editing_them_is_refused(tmp_path):
    file = carrier(tmp_path, b"# x\nA=1\nB=2\nexport A=3\n")
    assert file.variables()["A"] == "3"
    with pytest.raises(CarrierError) as raised:
        file.edit({"A": "4"})
    assert "2 and 4" in raised.value.message and raised.value.hint
    assert file.edit({"B": "9"}).after == b"# x\nA=1\nB=9\nexport A=3\n"


def test_an_edit_touches_the_value_alone():
    text = b"# top\r\n\r\nexport  A = 'old'   # why\r\nB=1\r\n\xff\xfe=odd\r\n"
    edit = of(text).edit({"A": "new"})
    assert edit.after == text.replace(b"old", b"new")
    assert edit.changes and "new" in edit.diff


def test_a_remark_stays_a_remark_when_the_value_comes_and_goes():
    for text in (b"A=x # why\n", b"A=x\t# why", b"A=# no remark\n"):
        old = of(text).variables()["A"]
        emptied = of(text).edit({"A": ""}).after
        assert of(emptied).variables() == {"A": ""}
        assert of(emptied).edit({"A": "y"}).after == text.replace(old.encode(), b"y")


def test_the_walk_up_and_down_of_a_flip(tmp_path):
    text = b"# sandbox\nAIRFLOW__CORE__EXECUTOR=LocalExecutor\nDB='postgresql://u:topsecret@h/d'"
    file = carrier(tmp_path, text)
    for phase in (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD, Phase.DUAL_READ, Phase.INLINE):
        wanted = settings_for(phase, BASE, 1_600_000)
        edit = file.edit(wanted)
        assert "topsecret" not in edit.diff
        file.write(edit)
        file = EnvFile.read(file.path)
        assert {name: file.settings()[name] for name in wanted} == wanted
        assert not file.edit(wanted).changes
        if phase is Phase.OFFLOAD:
            assert b'XCOM_OBJECTSTORAGE_THRESHOLD="1600000"' in file.path.read_bytes()
    file.write(file.edit({setting.env: None for setting in SETTINGS}))
    assert file.path.read_bytes() == text


@pytest.mark.parametrize("before", [b"1600000", b"'1600000'", b'"1600000"', b"-1", b"1.6e+06"])
def test_the_threshold_is_always_quoted(before):
    line = THRESHOLD.env.encode() + b"="
    after = of(line + before + b"\n").edit({THRESHOLD.env: "1600000"}).after
    assert after in (line + b'"1600000"\n', line + b"'1600000'\n")
    assert not of(after).edit({THRESHOLD.env: "1600000"}).changes


@pytest.mark.parametrize("name", ["", "A B", "A=B", "A.B", "1A", "A\n"])
def test_names_that_are_none(name):
    with pytest.raises(CarrierError):
        of(b"").edit({name: "x"})


@pytest.mark.parametrize("value", ["a\0b", "\udc80"])
def test_values_that_no_file_holds(value):
    with pytest.raises(CarrierError):
        of(b"").edit({"A": value})


def test_an_unclosed_quote_is_not_edited():
    file = of(b"A='open\nB=1\n")
    with pytest.raises(CarrierError, match="line 1"):
        file.edit({"A": "x"})
    assert file.edit({"B": "2"}).after == b"A='open\nB=2\n"


def test_what_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(CarrierError):
            EnvFile.read(path)
    (tmp_path / "utf16").write_bytes("A=b\n".encode("utf-16"))
    with pytest.raises(CarrierError, match="null"):
        EnvFile.read(tmp_path / "utf16")


# --- writing --------------------------------------------------------------------------------------------------------


def test_writing_keeps_mode_owner_and_link(tmp_path):
    real = tmp_path / "folder" / "real.env"
    real.parent.mkdir()
    real.write_bytes(b"A=1\n")
    os.chmod(real, 0o640)
    if os.getuid() == 0:
        os.chown(real, 12345, 54321)
    before = real.stat()
    link = tmp_path / "link.env"
    link.symlink_to(real)
    file = EnvFile.read(link)
    file.write(file.edit({"A": "2"}))
    after = real.stat()
    assert link.is_symlink() and real.read_bytes() == b"A=2\n"
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)
    assert [each.name for each in real.parent.iterdir()] == ["real.env"]


def test_a_file_that_somebody_else_changed_is_left_alone(tmp_path):
    file = carrier(tmp_path, b"A=1\n")
    edit = file.edit({"A": "2"})
    file.path.write_bytes(b"A=7\n")
    with pytest.raises(CarrierError, match="somebody else"):
        file.write(edit)
    assert file.path.read_bytes() == b"A=7\n"


def test_a_failed_write_leaves_nothing(tmp_path):
    file = carrier(tmp_path, b"A=1\n")
    edit = file.edit({"A": "2"})
    file.path.unlink()
    with pytest.raises(CarrierError):
        file.write(edit)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_write_is_not_written(tmp_path):
    file = carrier(tmp_path, b"A=1\n")
    inode = file.path.stat().st_ino
    file.write(file.edit({"A": "1"}))
    assert file.path.stat().st_ino == inode


def test_an_edit_and_its_inverse_on_disk(tmp_path):
    text = b'X=1\r\nAIRFLOW__CORE__XCOM_BACKEND = "a" # b'
    file: Carrier = carrier(tmp_path, text)
    edit = file.edit({**settings_for(Phase.OFFLOAD, BASE, 5), "X": None})
    file.write(edit)
    assert file.path.read_bytes() == edit.after != text
    file.write(edit.inverse())
    assert file.path.read_bytes() == text


# --- properties -----------------------------------------------------------------------------------------------------

names = st.sampled_from([setting.env for setting in SETTINGS] + ["OTHER", "_x1"])
values = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.sampled_from(
        ["", BASE, "1600000", "-1", "a b", "it's", 'say "x"', "a\\b", "$HOME", "#", " lead", "trail ", "a\r\nb"]
    ),
)
odd_lines = st.sampled_from(
    [
        b"# remark",
        b"",
        b"   ",
        b"LONELY",
        b"\xff\xfe\xfa",
        b"export Q='a\nb'",
        b"R=a b # c",
        b'S="x\\"y"',
        b"T: yaml",
        b"\xef\xbb\xbfU=1",
        b"V='open",
        b'W="open',
    ]
)
ends = st.sampled_from([b"\n", b"\r\n"])


@st.composite
def files(draw):
    end = draw(ends)
    lines = draw(st.lists(odd_lines, max_size=6))
    for name in draw(st.lists(names, unique=True, max_size=4)):
        quote = draw(st.sampled_from(["", "'", '"']))
        body = draw(st.sampled_from(["x", "1600000", BASE, "a.b.C", ""]))
        export = draw(st.sampled_from(["", "export ", "  "]))
        remark = draw(st.sampled_from(["", " # why", "  "]))
        lines.insert(draw(st.integers(0, len(lines))), f"{export}{name}={quote}{body}{quote}{remark}".encode())
    return end.join(lines) + draw(st.sampled_from([b"", end]))


changes = st.dictionaries(names, st.one_of(st.none(), values), max_size=4)


@given(st.one_of(files(), st.binary(max_size=80).filter(lambda data: b"\0" not in data)), changes)
def test_an_edit_followed_by_its_inverse_restores_every_byte(content, wanted):
    file = of(content)
    try:
        edit = file.edit(wanted)
    except CarrierError:
        return
    assert edit.before == content
    assert edit.inverse().before == edit.after and edit.inverse().after == content
    after = of(edit.after)
    for name, value in wanted.items():
        assert after.variables().get(name) == value
    untouched = {name: value for name, value in file.variables().items() if name not in wanted}
    assert {name: value for name, value in after.variables().items() if name not in wanted} == untouched
    assert after.edit(wanted).after == edit.after  # twice is once


@given(files(), names, values)
@example(b"A=1", "OTHER", "x")
@example(b"", PATH.env, BASE)
def test_what_was_added_goes_without_a_trace(content, name, value):
    file = of(content)
    assume(name not in file.variables() and b"open" not in content)
    added = of(file.edit({name: value}).after)
    assert added.edit({name: None}).after == content


plain = st.sampled_from(["", "x", "a.b.C", "1600000", BASE])
around = st.lists(odd_lines.filter(lambda line: b"open" not in line), max_size=4)


@given(
    around, around, ends, st.sampled_from(["", "'", '"']), plain, plain, st.sampled_from(["", " # why", "\t#", "  "])
)
def test_setting_the_old_value_again_restores_every_byte(above, below, end, quote, old, new, remark):
    """Holds for values as people write them; else ``inverse`` does it.

    The exceptions are the threshold, which gets quoted, and a bare value that was empty in between: nothing tells then
    on which side of it the blanks were.
    """
    assume(new or quote)
    line = f"export {BACKEND.env} = {quote}{old}{quote}{remark}".replace("=  #", "= #").encode()
    content = end.join([*above, line, *below])
    file = of(content)
    assert file.variables()[BACKEND.env] == old
    changed = of(file.edit({BACKEND.env: new}).after)
    assert changed.variables()[BACKEND.env] == new
    assert changed.edit({BACKEND.env: old}).after == content


@given(st.binary(max_size=200).filter(lambda data: b"\0" not in data))
def test_no_change_is_no_change(content):
    file = of(content)
    assert file.edit({}).after == content and not file.edit({}).changes
    assert file.edit({}).diff == ""
    assert COMPRESSION.env not in file.settings()


# --- names that are almost right -------------------------------------------------------------------------------------


def test_a_misspelt_name_is_written_as_it_was_meant_and_goes_where_the_right_one_is():
    dotted = "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_"
    text = f"# why\nexport {dotted}PATH='s3://c@b/x'  # base\n{THRESHOLD.env}=\"-1\"\n{dotted}THRESHOLD=5"
    carrier = EnvFile(Path(".env"), text.encode())
    fixed = carrier.fix()
    assert fixed.after == f"# why\nexport {PATH.env}='s3://c@b/x'  # base\n{THRESHOLD.env}=\"-1\"".encode()
    there = carrier.after(fixed)
    assert there.near_misses() == () and not there.fix().changes and fixed.inverse().after == text.encode()


def test_two_lines_that_were_meant_to_be_one_setting_are_refused():
    dotted, single = "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH", "AIRFLOW_COMMON_IO_XCOM_OBJECTSTORAGE_PATH"
    with pytest.raises(CarrierError, match="in more than one line: 1 and 2"):
        EnvFile(Path(".env"), f"{dotted}=a\n{single}=b\n".encode()).fix()
