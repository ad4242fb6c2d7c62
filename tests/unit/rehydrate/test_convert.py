"""What of an object may be written into its row: every class of value that has to stay a reference, and all others."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.phases import Line
from xcomctl.model.references import Kind, classify
from xcomctl.model.rehydrate import DOES_NOT_FIT, JSON_STRING, PATH_STRING, UNDECODABLE, WORDS
from xcomctl.references import fits
from xcomctl.rehydrate.convert import Column, Left, value_of

BASE = "s3://store@bucket/xcom"


def unreadable(scheme: str) -> str | None:
    return "an ImportError" if scheme in ("git", "gs") else None


def column(line: Line = Line.AF3, *, jsonb: bool = False, no_readers: bool = False, base: str = BASE) -> Column:
    return Column(line, jsonb, base, no_readers, unreadable)


def left(data: bytes, of: Column) -> Left:
    with pytest.raises(Left) as found:
        value_of(data, of)
    assert found.value.why in WORDS and found.value.detail and str(found.value) == found.value.detail
    return found.value


def text(value: str) -> bytes:
    return json.dumps(value).encode()


EVERYWHERE = [column(line, no_readers=quiet) for line in Line for quiet in (False, True)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("data", [b'{"a":  [1, 1e5, "\\u00e9"]}', "{\"é\": 1}".encode(), b'{"a": 1, "a": 2}', b" null\n", b"NaN"])  # fmt: skip
def test_2x_gets_the_bytes_as_they_are_and_3x_the_value(data):
    assert value_of(data, column(Line.AF2)).column == data
    found = value_of(data, column(Line.AF3))
    assert repr(found.column) == repr(found.json) == repr(json.loads(data))


@given(value=JSON.filter(lambda value: not isinstance(value, str)), line=st.sampled_from(Line), jsonb=st.booleans())
def test_whatever_is_no_string_is_written(value, line, jsonb):
    data = json.dumps(value).encode()
    if jsonb and fits.misfit_of(value) is not None:
        assert left(data, column(jsonb=True)).why == DOES_NOT_FIT
        return
    found = value_of(data, column(line, jsonb=jsonb))
    assert found.json == value and found.column == (data if line is Line.AF2 else value)


@pytest.mark.parametrize(
    ("string", "kind"),
    [
        ('{"a": 1}', "dict"),
        ("[]", "list"),
        ("17", "int"),
        (" 1.5\n", "float"),
        ("null", "NoneType"),
        ("true", "bool"),
        ("NaN", "float"),
        ('"quoted"', "str"),
        (json.dumps(f"{BASE}/d/r/t/x"), "str"),
        ("[" * 100_000, "RecursionError"),  # which the backend does not catch
    ],
    ids=lambda each: each[:20],
)
def test_a_string_that_parses_as_json_stays_on_2x_unless_nothing_reads(string, kind):
    found = left(text(string), column(Line.AF2))
    assert found.why == JSON_STRING and f"would get {kind} " in found.detail
    assert value_of(text(string), column(Line.AF2, no_readers=True)).column == text(string)
    assert value_of(text(string), column(Line.AF3)).column == string


@pytest.mark.parametrize(
    "string", ["", "plain", "{", "nul", "1 2", "http://x/y", "s3://store@bucket/xcomx/a", "git: fix"]
)
def test_any_other_string_is_written_on_2x(string):
    assert value_of(text(string), column(Line.AF2)).json == string


@given(string=st.text() | JSON.map(json.dumps) | st.sampled_from([BASE, f"{BASE}/x", f"{BASE}//", f"{BASE}x"]))
def test_a_string_that_is_written_on_2x_is_the_same_to_every_reader(string):
    try:
        value_of(text(string), column(Line.AF2))
    except Left:
        return
    assert classify(string, BASE).kind is not Kind.REFERENCE
    with pytest.raises(ValueError):
        json.loads(string)  # so the backend keeps the string


@pytest.mark.parametrize("of", EVERYWHERE, ids=lambda of: f"{of.line.value}-{of.no_readers}")
@pytest.mark.parametrize("string", [BASE, f"{BASE}/", f"{BASE}/reports/today.csv", f"{BASE}//d/r/t/x", f"{BASE}/../x"])
def test_a_string_below_the_base_path_stays_whoever_reads(of, string):
    """It would count as a reference from then on, in every scan of ours as well."""
    assert left(text(string), of).why == PATH_STRING


@pytest.mark.parametrize("line", Line)
@pytest.mark.parametrize("no_readers", [False, True])
@pytest.mark.parametrize(
    "string", ["local:///base/../etc/passwd", "file:/base/./x", "file:///ba\nse/../x", "s3a://c@/base/../x"]
)
def test_a_string_that_may_lead_out_of_a_folder_stays(line, no_readers, string):
    of = column(line, no_readers=no_readers, base="file:///base")
    assert left(text(string), of).why == PATH_STRING
    assert value_of(text("a file below /base/../x"), of).json


@pytest.mark.parametrize("string", ["git: fix the build", "gs://bucket/x", "GIT://x"])
def test_a_string_that_cannot_be_read_under_the_backend_stays_on_3x_unless_nothing_reads(string):
    found = left(text(string), column())
    assert found.why == PATH_STRING and "raises an ImportError" in found.detail
    assert value_of(text(string), column(no_readers=True)).column == string
    assert value_of(text(string), column(Line.AF2)).column == text(string)


@pytest.mark.parametrize("string", ["http://x/y", "mailto:me", "2026-06-06T12:00:00", "no scheme", "://", "http://[x"])
def test_any_other_string_is_written_on_3x(string):
    assert value_of(text(string), column()).column == string


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": [NaN]}', "holds NaN"),
        (b"-Infinity", "holds -Infinity"),
        (b"1e999", "holds Infinity"),
        (rb'["a\u0000b"]', r"holds \u0000"),
        (rb'{"\u0000": 1}', r"holds \u0000"),
        (rb'"\ud800"', "surrogate"),
        (rb'{"\udfff": 1}', "surrogate"),
    ],
)
def test_what_jsonb_does_not_take_stays_and_any_other_column_takes_it(data, said):
    for no_readers in (False, True):
        found = left(data, column(jsonb=True, no_readers=no_readers))
        assert found.why == DOES_NOT_FIT and said in found.detail
    assert repr(value_of(data, column()).column) == repr(json.loads(data))
    assert value_of(data, column(Line.AF2)).column == data


def test_what_is_nested_more_deeply_than_jsonb_parses_stays(monkeypatch):
    monkeypatch.setattr(fits, "DEEPEST", 3)
    assert value_of(b"[[[]]]", column(jsonb=True)).json == [[[]]]
    assert left(b"[[[[]]]]", column(jsonb=True)).detail == "it is nested too deeply"
    assert value_of(b"[[[[]]]]", column()).json == [[[[]]]]


def test_numbers_that_jsonb_changes_are_written_and_told_of_afterwards():
    data = b'{"b": 1e16, "a": -0.0, "c": 123456789012345678901234567890}'
    assert value_of(data, column(jsonb=True)).json == {"b": 1e16, "a": -0.0, "c": 123456789012345678901234567890}


@pytest.mark.parametrize("of", EVERYWHERE, ids=lambda of: f"{of.line.value}-{of.no_readers}")
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b'{"a": 1} and more', "no JSON"),
        (b"{'a': 1}", "no JSON"),
        (b'"\xff\xfe"', "no JSON"),  # no UTF-8
        (b"\x80\x05K\x01.", "no JSON"),  # a pickle
        (b"1" * 5_000, "no JSON"),  # more digits than Python reads
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply for Python"),
    ],
    ids=lambda each: each[:12],
)
def test_what_is_no_json_stays(of, data, said):
    found = left(data, of)
    assert found.why == UNDECODABLE and said in found.detail and len(found.detail) < 300


def test_a_scheme_is_asked_for_only_where_one_is():
    asked: list[str] = []

    def ask(scheme: str) -> None:
        asked.append(scheme)

    for value in ("plain", "Git:x", ["git:x"], {"git:x": 1}):
        for line in Line:
            value_of(json.dumps(value).encode(), Column(line, False, BASE, False, ask))
    assert asked == ["git"]  # 2.x does not mind
