"""What a pull comes to, and what to do about it."""

from __future__ import annotations

import io
import json

import pytest

from xcomctl.assess.pull import Tally, next_steps, verdict
from xcomctl.model import pull
from xcomctl.model.pull import PulledAnswer, PulledItem, PullQuery
from xcomctl.model.verdicts import Verdict
from xcomctl.report.pull_text import render_end
from xcomctl.report.streamed import JsonLines, JsonObject

QUERY = PullQuery("dag", "manual__2026-01-01T00:00:00+00:00 x")


def tally(*items: tuple[str, bool]) -> Tally:
    found = Tally()
    for problem, alias in items:
        found.add(PulledItem("task", -1, "key", None, pull.OBJECT, 1, object_bytes=5, problem=problem, alias=alias))
    return found


def answer(phase: str = "offload", *warnings: str) -> PulledAnswer:
    return PulledAnswer(2, 1, phase, "s3://b/xcom", "running", warnings)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ((), Verdict.OK),
        ((("", False),), Verdict.OK),
        ((("", True),), Verdict.WARNINGS),
        (((pull.UNREACHABLE, False),), Verdict.INCONCLUSIVE),
        (((pull.PICKLED, False), ("", True)), Verdict.INCONCLUSIVE),
        (((pull.NOT_CARRIED, False),), Verdict.INCONCLUSIVE),
        (((pull.UNREACHABLE, False), (pull.DANGLING, False)), Verdict.FAILED),
        (((pull.PATH_HANDED_OVER, False),), Verdict.FAILED),
        (((pull.FOREIGN, False),), Verdict.FAILED),
        (((pull.OUTSIDE, False),), Verdict.FAILED),
        (((pull.UNREADABLE, False),), Verdict.FAILED),
    ],
)
def test_verdict(items, expected):
    assert verdict(tally(*items), answer()) is expected


def test_a_warning_of_the_context_warns():
    assert verdict(tally(), answer("offload", "an unknown schema")) is Verdict.WARNINGS


def test_every_problem_has_a_step_and_none_needs_none():
    assert list(next_steps(tally(("", False)), answer(), QUERY, "")) == []
    found = "\n".join(next_steps(tally(*[(each, False) for each in (pull.DANGLING, pull.FOREIGN, pull.UNREACHABLE,
                                                                    pull.UNREADABLE)]), answer(), QUERY, " -D prod"))  # fmt: skip
    assert "xcomctl refs --dangling -d dag -r 'manual__2026-01-01T00:00:00+00:00 x' -D prod" in found
    assert "xcomctl preflight --only connection,store -D prod" in found and "xcomctl probe -D prod" in found
    assert "base path" in found


def test_a_context_that_does_not_resolve_is_told_what_would():
    (step,) = next_steps(tally((pull.PATH_HANDED_OVER, False)), answer("inline"), QUERY, "")
    assert "AIRFLOW__CORE__XCOM_BACKEND=" in step and "s3://b/xcom" in step
    assert list(next_steps(tally((pull.PATH_HANDED_OVER, False)), answer("offload"), QUERY, "")) == []


def test_the_end_says_how_much_of_it_was_shown():
    stream = io.StringIO()
    counts = {"inline": 0, "objects": 1, "aliases": 0}
    render_end(answer("offload", "a \x1bwarning"), counts, {pull.DANGLING: 2}, 5, 1, ["do this"], stream)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "1 of 2 XComs of a run that is running: 0 inline, 1 object (5 B); read under offload"
    assert lines[1:] == [
        "not what a task should get: 2 dangling",
        "1 file was there and kept: --force replaces",
        "a \\x1bwarning",
        "→ do this",
    ]


def test_json_that_cannot_begin_leaves_nothing_behind():
    stream = io.StringIO()
    lines = JsonObject(stream, "xcomctl.pull/1", "xcoms")
    assert stream.getvalue() == ""
    lines.end({"count": 0})
    assert json.loads(stream.getvalue()) == {"schema": "xcomctl.pull/1", "xcoms": [], "count": 0}


def test_json_with_elements_and_their_end():
    stream = io.StringIO()
    lines = JsonObject(stream, "xcomctl.pull/1", "xcoms")
    for number in range(3):
        lines.add({"n": number, "token": "abc"})
    lines.end({"count": 3})
    found = json.loads(stream.getvalue())
    assert found["xcoms"] == [{"n": number, "token": "***"} for number in range(3)] and found["count"] == 3
    stream = io.StringIO()
    JsonLines(stream).end({"a": 1})
    assert json.loads(stream.getvalue()) == {"a": 1}
