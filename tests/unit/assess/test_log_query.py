"""What is asked of Loki: of which streams, and in which time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.logql import errors_of
from tests.support.loki.logql import parse
from xcomctl.assess.log_query import ALL, STDERR, STDOUT, Window, asked, duration, instant, window
from xcomctl.errors import UserError
from xcomctl.model.loki_query import moment

NOON_NS = 1_780_747_200_000_000_000
RUNBOOK = '{namespace="cvntrade"} |~ "(?i)xcom|AirflowConfigException|XComObjectStorage"'


@pytest.mark.parametrize(
    ("query", "stream", "meant", "selector"),
    [
        (RUNBOOK, ALL, RUNBOOK, '{namespace="cvntrade"}'),
        (RUNBOOK, STDOUT, RUNBOOK.replace("{", '{stream!="stderr", ', 1), '{stream!="stderr", namespace="cvntrade"}'),
        (RUNBOOK, STDERR, RUNBOOK.replace("{", '{stream="stderr", ', 1), '{stream="stderr", namespace="cvntrade"}'),
        ('{a="}", b=`{`,}', STDERR, '{stream="stderr", a="}", b=`{`}', '{stream="stderr", a="}", b=`{`}'),
        ('# {x="y"}\n ({a="b"} |= "{c=`d`}")', STDERR, '# {x="y"}\n ({stream="stderr", a="b"} |= "{c=`d`}")', '{stream="stderr", a="b"}'),
        ('{a="b" # note\n}', STDERR, '{stream="stderr", a="b" # note\n}', '{stream="stderr", a="b" # note\n}'),
        ('{a="b", # stream="x\n}', STDERR, '{stream="stderr", a="b" # stream="x\n}', '{stream="stderr", a="b" # stream="x\n}'),
        ('{# {stream="x"\n a="b"}', STDERR, '{stream="stderr", # {stream="x"\n a="b"}', '{stream="stderr", # {stream="x"\n a="b"}'),
        ('{# none\n}', STDERR, '{stream="stderr"# none\n}', '{stream="stderr"# none\n}'),
        # It says so itself; and these only look as if they did.
        ('{a="b", stream=~"std.*"}', STDOUT, '{a="b", stream=~"std.*"}', '{a="b", stream=~"std.*"}'),
        ('{ stream != "x" , a="b"}', STDERR, '{ stream != "x" , a="b"}', '{ stream != "x" , a="b"}'),
        ('{upstream="b"}', STDERR, '{stream="stderr", upstream="b"}', '{stream="stderr", upstream="b"}'),
        ('{a=",stream=x"}', STDERR, '{stream="stderr", a=",stream=x"}', '{stream="stderr", a=",stream=x"}'),
    ],
)  # fmt: skip
def test_which_stream(query: str, stream: str, meant: str, selector: str) -> None:
    found = asked(query, stream)
    assert (found.query, found.selector) == (meant, selector)
    assert bool(found.remark) == (stream != ALL and meant == query)
    assert errors_of([found.query, found.selector]) == [[], []]


def test_what_has_no_such_label_counts_as_stdout() -> None:
    streams = [{"namespace": "cvntrade", **more} for more in ({}, {"stream": "stdout"}, {"stream": "stderr"})]
    seen = {name: [parse(asked(RUNBOOK, name).selector).matches(each) for each in streams] for name in (STDOUT, STDERR, ALL)}  # fmt: skip
    assert seen == {STDOUT: [True, True, False], STDERR: [False, False, True], ALL: [True, True, True]}


@pytest.mark.parametrize("query", ["", "  ", "error", 'rate({a="b"}[5m])', 'sum by (a) (count_over_time({a="b"}[1m]))', '{a="b"', "# {}", "1"])  # fmt: skip
@pytest.mark.parametrize("stream", [STDOUT, ALL])
def test_what_is_no_query_for_lines(query: str, stream: str) -> None:
    with pytest.raises(UserError, match="no query for log lines") as caught:
        asked(query, stream)
    assert caught.value.verdict.exit_code == 6 and "|=" in caught.value.hint


@given(st.text(alphabet='{}"`\\#=,ab\n ()|', max_size=30), st.sampled_from((STDOUT, STDERR, ALL)))
def test_any_text_is_refused_or_narrowed(query: str, stream: str) -> None:
    try:
        found = asked(query, stream)
    except UserError:
        return
    assert found.selector in found.query and found.selector[0] == "{" and found.selector[-1] == "}"
    assert len(found.query) >= len(query) - 1


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("15m", 900 * 10**9),
        ("1h30m", 5400 * 10**9),
        ("1.5h", 5400 * 10**9),
        ("300ms", 3 * 10**8),
        ("7d", 604_800 * 10**9),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "15", "m", "-5m", "0s", "5 m", "1h-5m", "1y1", "999999999999y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration such as 15m"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-06-06T12:00:00Z", NOON_NS),
        ("2026-06-06T14:00:00.123456789+02:00", NOON_NS + 123_456_789),
        ("2026-06-06T12:00:00.5z", NOON_NS + 500_000_000),
        ("2026-06-06 12:00Z", NOON_NS),
        ("2026-06-06T12:00:00.1234567891Z", NOON_NS + 123_456_789),
        ("1780747200", NOON_NS),
        ("1780747200000000001", NOON_NS + 1),
    ],
)
def test_moments(text: str, nanoseconds: int) -> None:
    assert instant(text) == nanoseconds
    assert instant(moment(nanoseconds)) == nanoseconds


def test_a_time_without_a_zone_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert instant("2026-06-06T08:00:00.000000007") == NOON_NS + 7
    finally:
        monkeypatch.undo()
        time.tzset()
    assert abs(instant("now") - time.time_ns()) < 60 * 10**9


@pytest.mark.parametrize("text", ["", "yesterday", "2026-06-06", "2026-13-06T12:00:00Z", "2026-06-06T25:00:00Z", "12:00", "1", "2026-06-06T12:00:00+99:00"])  # fmt: skip
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        instant(text)


def test_windows() -> None:
    assert window(None, 1, 5, 3) == Window(1, 5)
    assert window(2, None, 5, 3) == Window(3, 5)
    assert window(None, None, 5, 3) == Window(2, 5)
    found = window(10, None, None, 3)
    assert found.end_ns - found.start_ns == 10 and abs(found.end_ns - time.time_ns()) < 60 * 10**9
    for start in (5, 6):
        with pytest.raises(ValueError, match="there is no time from"):
            window(None, start, 5, 3)
