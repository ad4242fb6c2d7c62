"""Ranges and pages that Loki refuses, and what cannot be read: asked otherwise, or told with its time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import pytest

from tests.support.loki import FakeLoki, Fault, Rules, fake_loki
from tests.support.loki.reading import SECOND, T0, reading
from xcomctl.clients.loki import LokiUnreachable
from xcomctl.clients.loki_answers import Refused, Why
from xcomctl.clients.loki_page import Limits

QUERY = '{namespace="airflow"}'
END = T0 + 3600 * SECOND


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as served:
        yield served


def stream(pod: str) -> dict[str, str]:
    return {"namespace": "airflow", "pod": pod}


@pytest.mark.parametrize("publishes", [False, True])
def test_a_range_that_is_too_long_is_asked_for_in_parts(loki: FakeLoki, publishes: bool) -> None:
    loki.rules = Rules(max_query_length_ns=7 * 60 * SECOND, publishes_limits=publishes)
    loki.push(stream("a"), [(T0 + n * 60 * SECOND, f"{n}") for n in range(60)])
    for direction in ("forward", "backward"):
        with reading(loki) as reader:
            lines = list(reader.lines(QUERY, T0, END, direction=direction))
        assert sorted(int(line.text) for line in lines) == list(range(60))
        assert reader.incomplete == []
        assert reader.requests == 1 + (not publishes) + math.ceil(60 / 7)


def test_what_reads_too_much_or_takes_too_long_is_halved_and_grows_again(loki: FakeLoki) -> None:
    loki.rules = Rules(max_query_chars=300, slow_chars=200)
    crowded = [(T0 + 600 * SECOND + n * SECOND, "x" * 100) for n in range(12)]
    loki.push(stream("a"), [(T0, "first"), *crowded, (END - 1, "last")])
    with reading(loki) as reader:
        lines = list(reader.lines(QUERY, T0, END))
    assert len(lines) == 14 and reader.incomplete == []
    widths = [int(params["end"]) - int(params["start"]) for params in loki.queries()]
    assert widths[0] == 3600 * SECOND and min(widths) < 4 * SECOND and widths[-1] > 60 * SECOND
    assert any("request timed out" in said and "half" in said for said in reader.said)


def test_an_answer_that_is_too_large_is_asked_for_with_fewer_lines(loki: FakeLoki) -> None:
    loki.rules = Rules(max_answer_chars=20_000)
    loki.push(stream("a"), [(T0 + n, f"{n} {'x' * 100}") for n in range(500)])
    with reading(loki) as reader:
        lines = list(reader.lines(QUERY, T0, END))
    assert [int(line.text.split()[0]) for line in lines] == list(range(500)) and reader.incomplete == []


def test_what_stays_too_much_is_told_with_its_time(loki: FakeLoki) -> None:
    loki.rules = Rules(max_query_chars=50)
    loki.push(stream("a"), [(T0, "first"), (T0 + 1800 * SECOND, "x" * 100)])
    with reading(loki) as reader:
        assert [line.text for line in reader.lines(QUERY, T0, END)] == ["first"]
    (sentence,) = reader.incomplete
    assert "to 2026-06-06T13:00:00Z not every line was read" in sentence and "too many bytes" in sentence


def test_what_loki_no_longer_looks_back_at_is_told(loki: FakeLoki) -> None:
    """It is cut without a word, unless the limits are asked for."""
    loki.rules = Rules(max_query_lookback_ns=24 * 3600 * SECOND)
    with reading(loki, now_ns=T0) as reader:
        list(reader.lines(QUERY, T0 - 48 * 3600 * SECOND, T0))
        list(reader.lines(QUERY, T0 - 48 * 3600 * SECOND, T0))
        assert [each.split(":00Z ")[-1] for each in reader.incomplete] == [
            "nothing was read: Loki looks back no further (max_query_lookback)"
        ]
    with reading(loki, now_ns=T0) as reader:
        list(reader.lines(QUERY, T0 - 23 * 3600 * SECOND, T0))
        assert reader.incomplete == []


LIMITS = "/drilldown-limits"
DAY = 24 * 3600 * SECOND


@pytest.mark.parametrize(
    "fault", [Fault(status=503, path=LIMITS, times=2), Fault(status=429, path=LIMITS, times=2), Fault(cut=True, path=LIMITS, times=2)]
)  # fmt: skip
def test_limits_that_do_not_come_at_once_are_asked_for_again(loki: FakeLoki, fault: Fault) -> None:
    loki.rules = Rules(max_query_lookback_ns=DAY)
    with reading(loki, now_ns=T0) as reader, loki.failing(fault):
        list(reader.lines(QUERY, T0 - 2 * DAY, T0))
        assert fault.met == 2 and not reader.lookback_unknown
        (sentence,) = reader.incomplete
        assert "Loki looks back no further" in sentence


@pytest.mark.parametrize("status", [401, 403, 404, 503])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_a_lookback_that_is_not_told_is_told_where_the_oldest_part_was_not_seen(
    loki: FakeLoki, status: int, direction: str
) -> None:
    loki.push(stream("a"), [(T0 - DAY, "in time")])
    with loki.failing(Fault(status=status, path=LIMITS)) as fault, reading(loki, now_ns=T0) as reader:
        assert not reader.lookback_unknown  # nobody asked yet
        assert [line.text for line in reader.lines(QUERY, T0 - 2 * DAY, T0, direction=direction)] == ["in time"]
        assert reader.lookback_unknown and fault.met == (3 if status == 503 else 1)
        (sentence,) = reader.incomplete
        assert sentence.startswith("From 2026-06-04T12:00:00Z to 2026-06-04T16:48:00Z lines may have been left out: ")
        assert QUERY in sentence and "max_query_lookback" in sentence


@pytest.mark.parametrize("query", [QUERY, f'{QUERY} |= "nowhere"'])
def test_a_lookback_that_is_not_told_is_no_matter_where_the_oldest_part_was_seen(loki: FakeLoki, query: str) -> None:
    loki.rules.publishes_limits = False
    loki.push(stream("a"), [(T0 - 2 * DAY + 3600 * SECOND, "old")])
    for direction in ("forward", "backward"):
        with reading(loki, now_ns=T0) as reader:
            list(reader.lines(query, T0 - 2 * DAY, T0, direction=direction))
            assert reader.lookback_unknown and reader.incomplete == []
            # What was read itself tells, or one question does.
            assert reader.requests == (2 if query == QUERY else 3)


def test_a_lookback_that_is_not_told_is_no_matter_for_a_day_or_the_newest_lines(loki: FakeLoki) -> None:
    loki.rules.publishes_limits = False
    loki.push(stream("a"), [(T0 - SECOND, "new")])
    with reading(loki, now_ns=T0) as reader:
        list(reader.lines(QUERY, T0 - DAY, T0))
        list(reader.lines(QUERY, T0 - 9 * DAY, T0, direction="backward", limit=1))
        assert reader.lookback_unknown and reader.incomplete == [] and reader.requests == 3
        list(reader.lines(QUERY, T0 - 9 * DAY, T0, limit=1))
        assert len(reader.incomplete) == 1


def test_a_probe_that_fails_proves_nothing(loki: FakeLoki) -> None:
    loki.rules.publishes_limits = False
    with reading(loki, now_ns=T0) as reader, loki.failing(Fault(status=403, every=2)):
        assert list(reader.lines(QUERY, T0 - 2 * DAY, T0)) == []
        (sentence,) = reader.incomplete
        assert "lines may have been left out" in sentence and "403" in sentence


def test_labels_beyond_the_lookback_are_told(loki: FakeLoki) -> None:
    loki.rules = Rules(max_query_lookback_ns=DAY)
    for ask in (
        lambda reader: reader.labels(T0 - 2 * DAY, T0),
        lambda reader: reader.label_values("pod", T0 - 2 * DAY, T0),
        lambda reader: reader.series(QUERY, T0 - 2 * DAY, T0),
    ):
        with reading(loki, now_ns=T0) as reader:
            assert ask(reader) == []
            (sentence,) = reader.incomplete
            assert "nothing was read: Loki looks back no further" in sentence
    with reading(loki, now_ns=T0) as reader:
        assert reader.labels(T0 - DAY, T0) == [] and reader.incomplete == []


def test_a_page_that_was_too_large_grows_again(loki: FakeLoki) -> None:
    """Long lines first, in parts of the time, then short ones."""
    loki.rules = Rules(max_answer_chars=20_000, max_entries=200)
    long = [(T0 + n, f"{n} {'x' * 500}") for n in range(100)]
    loki.push(stream("a"), [*long, *((T0 + n, f"{n}") for n in range(100, 2000))])
    with reading(loki) as reader:
        lines = list(reader.lines(QUERY, T0, END))
    assert [int(line.text.split()[0]) for line in lines] == list(range(2000)) and reader.incomplete == []
    sizes = [int(params["limit"]) for params in loki.queries()]
    assert sizes[0] == 200 and min(sizes) == 25 and sizes[-1] == 200


def test_pages_grow_up_to_where_they_were() -> None:
    limits = Limits()
    limits.told({"max_entries_limit_per_query": 1000})
    assert limits.lowered(Refused(Why.TOO_LARGE, ""), 1000, SECOND) and limits.lowered(
        Refused(Why.TOO_LARGE, ""), 500, SECOND
    )
    sizes = []
    for _ in range(4):
        sizes.append(limits.page)
        limits.relaxed()
    assert sizes == [250, 500, 1000, 1000]
    assert limits.lowered(Refused(Why.ENTRIES, "", 300), 1000, SECOND)
    limits.relaxed()
    assert limits.page == 300


def test_giving_up_half_way_keeps_what_was_read_and_tells_from_where_on(loki: FakeLoki) -> None:
    loki.rules.max_entries = 10
    loki.push(stream("a"), [(T0 + n * SECOND, f"{n}") for n in range(30)])
    with reading(loki) as reader:
        lines = reader.lines(QUERY, T0, END)
        first = list(itertools.islice(lines, 9))
        with loki.failing(Fault(status=503, body="no healthy upstream")) as fault:
            rest = list(lines)
    assert [int(line.text) for line in first] == list(range(9)) and rest == []
    assert fault.met == 8 and len(reader.waited) == 7
    (sentence,) = reader.incomplete
    assert sentence.startswith("From 2026-06-06T12:00:09Z to 2026-06-06T13:00:00Z not every line was read: ")
    assert "503 no healthy upstream" in sentence


def test_who_never_answers_is_an_error(loki: FakeLoki) -> None:
    with reading(loki) as reader, loki.failing(Fault(dropped=True)) as fault:
        with pytest.raises(LokiUnreachable, match="asked 8 times"):
            list(reader.lines(QUERY, T0, END))
        assert fault.met == 8 and reader.incomplete == []
