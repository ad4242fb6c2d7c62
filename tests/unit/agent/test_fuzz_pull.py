"""Values of any shape on their way from the agent to the terminal, to JSON and to files: none is lost, none crashes."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xcomctl.agent.requests import pull as request
from xcomctl.assess.pulled_files import Files
from xcomctl.cli.pull import _record
from xcomctl.metadata.xcoms import ValueRow
from xcomctl.model import frames
from xcomctl.model.pull import DEEPEST, NOT_CARRIED, PulledItem, is_plain_json
from xcomctl.references.values import Resolved
from xcomctl.report.pull_text import render_file, render_item
from xcomctl.report.streamed import JsonLines, JsonObject


class Raises:
    def __repr__(self) -> str:
        raise RuntimeError("no")


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.text(st.characters(categories=["Cs", "Cc", "Cf"]))
    | st.binary()
    | st.decimals()
    | st.datetimes()
    | st.just("s3://store@bucket/xcom/../x")
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner, max_size=4)
        | st.sets(st.text(), max_size=3)
    ),
    max_leaves=8,
)


def nested(depth: int, kind: type = list):
    value = 1
    for _ in range(depth):
        value = [value] if kind is list else {"a": value}
    return value


def carried(value: object, values_below: int | None = None, **row: object) -> PulledItem:
    """The item as it arrives at the desk."""
    fields = {
        "task_id": "task",
        "map_index": -1,
        "key": "key",
        "stored_bytes": 1,
        "value": None,
        "timestamp": None,
        **row,
    }
    item = request._item(ValueRow(**fields), Resolved("inline", value), values_below)
    (message,) = frames.FrameDecoder().feed(frames.encode({"kind": frames.ITEM, "items": [item.to_json()]}))
    return PulledItem.from_json(message["items"][0])


def shown(item: PulledItem, *, full: bool) -> None:
    """In every form, on streams that are strict about what they hold."""
    for encoding in ("utf-8", "ascii"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
        render_item(item, stream, full=full)
        render_file(item, "here", stream)
        stream.flush()
        assert b"\x1b" not in stream.buffer.getvalue() and stream.buffer.getvalue().count(b"\n") <= 4
    text = io.StringIO()
    JsonLines(text).add(_record(item, full, None))
    assert json.loads(text.getvalue(), parse_constant=pytest.fail)["key"] == item.key


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(value=VALUES, below=st.sampled_from([None, 0, 50, 65_536]), full=st.booleans())
def test_whatever_a_value_is(value, below, full):
    item = carried(value, below)
    shown(item, full=full)
    assert item.is_json == is_plain_json(value)
    if item.has_json:
        assert json.dumps(item.json) == json.dumps(value)
    elif not item.elided:
        assert item.text == (json.dumps(value) if item.is_json else repr(value)) and item.whole_text
    if below is None:
        assert item.has_json or item.whole_text or item.problem == NOT_CARRIED


@given(task=st.text(), key=st.text(), run=st.text())
def test_whatever_names_are(task, key, run):
    item = carried([task, run], task_id=task, key=key)
    shown(item, full=True)


# Where garbage is collected at the limit of recursion, Hypothesis's own clock of that has no room left, and says so.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <function gc_cumulative_time:pytest.PytestUnraisableExceptionWarning"
)
@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize("depth", [1, DEEPEST, DEEPEST + 1, 300, 450, 480, 600, 900, 950, 980, 1_500, 10_000, 100_000])
def test_however_deep(depth, kind):
    """At every depth, also where this Python can just read it and the next one could not."""
    for below in (None, 65_536):
        item = carried(nested(depth, kind), below)
        shown(item, full=below is None)
        assert item.is_json == (depth <= DEEPEST)
        if item.is_json:
            assert item.json is not None and item.has_json
    end = io.StringIO()
    lines = JsonObject(end, "xcomctl.pull/1", "xcoms")
    lines.add(_record(item, True, None))
    lines.end({"count": 1})
    assert json.loads(end.getvalue())["count"] == 1


@pytest.mark.parametrize("value", [10**3_900, -(10**3_900), 10**4_299, [10**4_299], 10**400])
def test_numbers_that_another_python_would_not_read_travel_as_text(value):
    item = carried(value)
    shown(item, full=True)
    assert (
        item.has_json
        == (item.is_json)
        == (max(abs(each) for each in (value if isinstance(value, list) else [value])) <= 2**13_000)
    )


@pytest.mark.parametrize("value", [math.nan, [math.inf], {"a": -math.inf}, (1,), {1: 2}, {"a"}, b"x", decimal.Decimal(1),
                                   datetime.date(2026, 1, 1), "\ud800", ["\udfff"], "\x00", -0.0])  # fmt: skip
def test_what_json_does_not_know_is_marked(value, tmp_path):
    item = carried(value)
    shown(item, full=True)
    path = Files(tmp_path, force=False).write(item)
    assert path is not None
    if item.is_json:
        assert path.name == "key.json" and json.dumps(json.loads(path.read_text())) == json.dumps(value)
    else:
        assert path.name == "key.repr.txt" and path.read_text() == repr(value) + "\n"


def test_a_value_whose_repr_raises_is_a_problem_of_showing_it():
    assert carried(Raises()).problem == NOT_CARRIED
    item = carried([Raises()], 65_536)
    assert (item.problem, item.elided, item.digest) == ("", True, None)
    shown(item, full=False)


def test_what_fits_in_no_frame_is_a_problem_and_not_a_crash(monkeypatch):
    monkeypatch.setattr(request, "MAX_PAYLOAD", 2_000)
    for value in ("x" * 1_001, ("ü" * 200,), ["🚀" * 100]):
        item = carried(value)
        assert item.problem == NOT_CARRIED and "fit in no answer" in item.detail and item.digest
        assert len(item.text) <= request.EXCERPT
    assert carried("x" * 900).problem == ""


def test_a_large_value_is_left_out_with_its_beginning_and_its_size():
    item = carried("x" * 100_000, 65_536)
    assert (item.elided, item.has_json, item.is_json, item.value_bytes) == (True, False, True, 100_002)
    record = _record(item, False, None)
    assert "value" not in record and record["text"].startswith('"xxx') and record["elided"]
    stream = io.StringIO()
    render_item(item, stream, full=False)
    assert "… (100,002 bytes; --full, or --to DIR)" in stream.getvalue()


def test_a_value_that_came_for_a_file_is_left_out_of_the_output(tmp_path):
    item = carried("x" * 100_000)
    record = _record(item, False, Files(tmp_path, force=False).write(item))
    assert "value" not in record and record["elided"] and json.loads((tmp_path / "task/_/key.json").read_text())


def test_the_output_says_when_it_hides_a_secret():
    record = _record(carried({"password": "hunter2"}), True, None)
    assert record["redacted"] and record["value"] == {"password": "***"}
    assert not _record(carried({"a": 1}), True, None)["redacted"]


def test_text_that_json_does_not_know_is_cut_too():
    stream = io.StringIO()
    render_item(carried((("y" * 5_000),), 65_536), stream, full=False)
    assert "--full" in stream.getvalue() and len(stream.getvalue()) < 1_000
