"""The fake Loki does what Loki's documentation and sources say; asked with plain HTTP, not with our client."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.loki import FakeLoki, fake_loki
from tests.support.loki.reading import SECOND, T0

QUERY = '{app="x"}'


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as served:
        served.push({"app": "x", "pod": "a"}, [(T0 + n, f"a{n}") for n in range(3)])
        served.push({"app": "x", "pod": "b"}, [(T0 + n, f"b{n}") for n in range(3)])
        yield served


def ask(loki: FakeLoki, path: str, headers: dict[str, str] | None = None, **params: object) -> tuple[int, str]:
    query = urllib.parse.urlencode({name.replace("match", "match[]"): value for name, value in params.items()})
    request = urllib.request.Request(f"{loki.url}{path}?{query}", headers=headers or {})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(loki: FakeLoki, query: str = QUERY, **params: object) -> list[list[Any]]:
    status, body = ask(loki, "/loki/api/v1/query_range", query=query, **{"start": T0, "end": T0 + SECOND, **params})
    assert status == 200, body
    data = json.loads(body)["data"]
    assert data["resultType"] == "streams"
    return sorted([int(value[0]) - T0, value[1]] for each in data["result"] for value in each["values"])


def test_start_is_inclusive_end_exclusive_and_times_are_taken_in_four_ways(loki: FakeLoki) -> None:
    assert [each[0] for each in values(loki, start=T0 + 1, end=T0 + 2)] == [1, 1]
    assert len(values(loki, start=T0 // SECOND, end=f"{T0 // SECOND + 1}.0")) == 6
    assert len(values(loki, start="2026-06-06T12:00:00Z", end="2026-06-06T14:00:00.5+02:00")) == 6
    assert values(loki, start=T0 + 3) == []


def test_the_limit_cuts_at_the_far_end_of_the_direction(loki: FakeLoki) -> None:
    assert [each[0] for each in values(loki, limit=3, direction="forward")] in ([0, 0, 1],)
    assert [each[0] for each in values(loki, limit=3)] == [1, 2, 2]


def test_equal_lines_of_a_stream_are_one_unless_their_metadata_differ(loki: FakeLoki) -> None:
    loki.push({"app": "x", "pod": "a"}, [(T0, "a0")])
    assert len(values(loki)) == 6
    loki.push({"app": "x", "pod": "a"}, [(T0, "a0")], trace="1")
    loki.push({"app": "x", "pod": "c"}, [(T0, "a0")])
    assert len(values(loki)) == 8


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('{app="x", pod!="a"}', ["b0", "b1", "b2"]),
        ('{app=~"x|y", pod=~"a"} |= "1"', ["a1"]),
        ('{app="x", pod!~"a.*"} != "1" |~ "b[12]"', ["b2"]),
        ('{app="x"} |~ `(?i)A(?:0|1)` !~ "0$"', ["a1"]),
        ('({app="x"} |= "a0" or "b2") # and no more', ["a0", "b2"]),
        ('{app="x", missing=""} |= "a0"', ["a0"]),
        ('{app="x", pod=~"."} |= "nothing"', []),
    ],
)
def test_selectors_are_whole_and_filters_are_not(loki: FakeLoki, query: str, found: list[str]) -> None:
    assert sorted(each[1] for each in values(loki, query)) == found


@pytest.mark.parametrize(
    ("params", "status", "text"),
    [
        ({"query": "{app=x}"}, 400, "parse error at line 1, col 6: syntax error: unexpected IDENTIFIER, expecting STRING"),
        ({"query": '{app="x"'}, 400, "parse error at line 1, col 9: syntax error: unexpected $end, expecting ,"),
        ({"query": '{app="x}'}, 400, "parse error at line 1, col 6: literal not terminated"),
        ({"query": ""}, 400, "parse error at line 1, col 1: syntax error: unexpected $end, expecting {"),
        ({"limit": 5001}, 400,
         "max entries limit per query exceeded, limit > max_entries_limit_per_query (5001 > 5000)"),
        ({"limit": 0}, 400, "limit must be a positive value"),
        ({"direction": "up"}, 400, "invalid direction 'up'"),
        ({"start": T0 - 744 * 3600 * SECOND, "end": T0}, 400,
         "the query time range exceeds the limit (query length: 744h0m0s, limit: 30d1h)"),
        ({"start": T0, "end": T0 - 1}, 400, "end timestamp must not be before or equal to start time"),
    ],
)  # fmt: skip
def test_refusals_in_lokis_words(loki: FakeLoki, params: dict[str, object], status: int, text: str) -> None:
    asked = {"query": QUERY, "start": T0, "end": T0 + SECOND, **params}
    assert ask(loki, "/loki/api/v1/query_range", **asked) == (status, text)


def test_labels_values_series_and_readiness(loki: FakeLoki) -> None:
    time = {"start": T0, "end": T0 + SECOND}
    assert ask(loki, "/ready") == (200, "ready\n")
    assert json.loads(ask(loki, "/loki/api/v1/labels", **time)[1])["data"] == ["app", "pod"]
    assert json.loads(ask(loki, "/loki/api/v1/label/pod/values", **time)[1])["data"] == ["a", "b"]
    assert json.loads(ask(loki, "/loki/api/v1/series", match='{pod="a"}', **time)[1])["data"] == [
        {"app": "x", "pod": "a"}
    ]
    assert ask(loki, "/loki/api/v1/nothing")[0] == 404


def test_tenants_see_their_own(loki: FakeLoki) -> None:
    loki.rules.tenants = True
    assert ask(loki, "/loki/api/v1/labels") == (401, "no org id\n")
    status, body = ask(loki, "/loki/api/v1/labels", {"X-Scope-OrgID": "one"}, start=T0, end=T0 + SECOND)
    assert (status, json.loads(body)["data"]) == (200, [])
