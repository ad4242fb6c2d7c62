"""Where a selector is, whatever stands in a query's strings; durations and places as Loki writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.loki.answers import go_duration, prometheus_duration
from tests.support.loki.logql import parse
from xcomctl.model.loki_query import duration_ns, marked, moment, narrowed, selector_of


@pytest.mark.parametrize(
    ("query", "selector"),
    [
        ('{a="b"} |= "x"', '{a="b"}'),
        ('({a="}"} |~ "{2}")', '{a="}"}'),
        ('# of {another="one"}\n{a="\\"}", b=`}`} != "}"', '{a="\\"}", b=`}`}'),
        ("{}", "{}"),
        ('{a="b" # }\n}', '{a="b" # }\n}'),
        ('{a="b"', None),
        ('"{a}"', None),
        ("", None),
    ],
)
def test_the_selector(query: str, selector: str | None) -> None:
    assert selector_of(query) == selector
    assert (narrowed(query, {"c": "d"}) is None) is (selector is None)


def test_narrowing_keeps_the_rest_of_a_query() -> None:
    assert narrowed('({a="b"} |= "x")', {"c": 'd"\\', "b": ""}) == '({a="b", b="", c="d\\"\\\\"} |= "x")'
    assert narrowed("{ } | json", {"a": "b"}) == '{ a="b"} | json'
    assert narrowed('{a="b"}', {}) == '{a="b"}'


@given(st.dictionaries(st.sampled_from("abcd"), st.text(st.characters(codec="utf-8")), min_size=1))
def test_a_narrowed_query_means_streams_with_these_labels_alone(labels: dict[str, str]) -> None:
    query = narrowed('{x=~".+"} |= "}"', labels)
    assert query is not None
    found = parse(query)
    assert found.matches({"x": "y", **labels})
    for name, value in labels.items():
        assert not found.matches({"x": "y", **labels, name: f"{value}!"})


@given(st.integers(1, 10**18))
def test_durations_as_go_and_prometheus_write_them(length_ns: int) -> None:
    assert duration_ns(go_duration(length_ns)) == pytest.approx(length_ns, rel=1e-15, abs=1)
    assert duration_ns(prometheus_duration(length_ns)) == length_ns // 1_000_000 * 1_000_000


@pytest.mark.parametrize(
    ("text", "ns"), [("30d1h", 721 * 3600 * 10**9), ("0s", 0), ("1.5h", 5400 * 10**9), ("10µs", 10_000)]
)
def test_some_durations(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@pytest.mark.parametrize("text", ["", "5", "5 m", "m", "-5m", "5x", "1h 5m", "None"])
def test_no_durations(text: str) -> None:
    assert duration_ns(text) is None


@pytest.mark.parametrize(
    ("query", "message", "shown"),
    [
        ("abc", "parse error at line 1, col 2: oh", "abc\n ^"),
        ("ab\n\tcd", "parse error at line 2, col 3: oh", "\tcd\n\t ^"),
        ("abc", "parse error at line 0, col 1: oh", "abc\n^"),
        ("abc", "parse error at line 1, col 4: oh", "abc\n   ^"),
        ("abc", "parse error at line 1, col 9: oh", ""),
        ("abc", "parse error at line 3, col 1: oh", ""),
        ("abc", "parse error at line 0, col 0: oh", ""),
        ("abc", "parse error : oh", ""),
    ],
)
def test_the_place_of_an_error(query: str, message: str, shown: str) -> None:
    assert marked(query, message) == shown


def test_moments() -> None:
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(1_780_747_200_000_000_005) == "2026-06-06T12:00:00.000000005Z"
    assert moment(1_780_747_200_500_000_000) == "2026-06-06T12:00:00.5Z"
    assert moment(2**62).endswith(" ns") or moment(2**62).startswith("2116")
    assert moment(10**30) == f"{10**30} ns"
