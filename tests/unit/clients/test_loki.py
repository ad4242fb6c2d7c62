"""Every line exactly once, whatever the limits, the times and the faults: the client against a Loki over HTTP."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.loki import FakeLoki, Fault, Rules, fake_loki
from tests.support.loki.reading import SECOND, T0, expected, key_of, reading, shown
from xcomctl.clients.loki import Line, LokiError

QUERY = '{namespace="airflow"}'
END = T0 + 3600 * SECOND


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as served:
        yield served


def stream(pod: str, **labels: str) -> dict[str, str]:
    return {"namespace": "airflow", "pod": pod, **labels}


@pytest.mark.parametrize(("direction", "shuffles"), [("forward", True), ("backward", False)])
def test_a_hundred_thousand_lines_each_once_in_order_past_every_fault(
    loki: FakeLoki, direction: str, shuffles: bool
) -> None:
    """Seven lines of three streams in each nanosecond, so that pages of 5,000 end in the middle of one."""
    loki.rules.shuffles = shuffles
    count, per_ns = 100_000, 7
    pods = [key_of(stream(f"pod-{number}")) for number in range(3)]
    streams = {
        pod: [(T0 + n // per_ns * 1000, f"line {n}") for n in range(count) if n % per_ns % 3 == place]
        for place, pod in enumerate(pods)
    }
    for pod, entries in streams.items():
        loki.push(dict(pod), entries)
    faults = [
        Fault(status=429, body="too many outstanding requests", every=4),
        Fault(status=503, body="no healthy upstream", every=5),
        Fault(cut=True, every=6),
        Fault(cut=True, unsized=True, every=7),
        Fault(dropped=True, every=9),
    ]
    with contextlib.ExitStack() as failing, reading(loki) as reader:
        for fault in faults:
            failing.enter_context(loki.failing(fault))
        lines = list(reader.lines(QUERY, T0, END, direction=direction))
    assert reader.incomplete == []
    assert all(fault.met for fault in faults)
    found = shown(lines)
    wanted = expected(streams, T0, END)
    assert len(found) == len(set(found)) == count
    if direction == "forward":
        assert found == wanted
    else:
        assert [each[0] for each in found] == [each[0] for each in reversed(wanted)]
        assert set(found) == set(wanted)
    assert all("asking again" in said for said in reader.said)
    assert len(reader.waited) == len(reader.said) == sum(fault.met for fault in faults)


TIMES = st.integers(0, 6) | st.integers(0, 10_000_000)
STREAMS = st.dictionaries(
    st.sampled_from(
        [(), (("pod", "a"),), (("pod", "b"),), (("pod", "b"), ("stream", "stderr")), (("stream", "stderr"),)]
    ),
    st.lists(st.tuples(TIMES, st.sampled_from(["x", "y", "z", "zz"])), max_size=12),
    min_size=1,
)


@pytest.fixture(scope="module")
def shared() -> Iterator[FakeLoki]:
    with fake_loki() as served:
        yield served


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    streams=STREAMS,
    most=st.integers(3, 9),
    length_ms=st.sampled_from([0, 1, 3, 1000]),
    read_most=st.sampled_from([0, 12]),
    answer_most=st.sampled_from([0, 700]),
    span=st.tuples(TIMES, TIMES),
    backward=st.booleans(),
    shuffles=st.booleans(),
    publishes=st.booleans(),
    limit=st.none() | st.integers(1, 20),
)
def test_any_streams_times_and_limits_give_the_same_lines(
    shared: FakeLoki,
    streams: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]],
    most: int,
    length_ms: int,
    read_most: int,
    answer_most: int,
    span: tuple[int, int],
    backward: bool,
    shuffles: bool,
    publishes: bool,
    limit: int | None,
) -> None:
    """Without ``limit`` all of them, or a sentence that says that some are missing; with it, as many as were asked for.

    A stream has no more than four different texts here, so that only tight limits of bytes can make lines unreachable.
    """
    most = max(most, 5)
    shared.rules = Rules(
        max_entries=most, max_query_length_ns=length_ms * 1_000_000, max_query_chars=read_most,
        max_answer_chars=answer_most, shuffles=shuffles, publishes_limits=publishes,
    )  # fmt: skip
    shared.clear()
    placed = {
        key_of({"namespace": "airflow", **dict(labels)}): [(T0 + at, text) for at, text in entries]
        for labels, entries in streams.items()
    }
    for labels, entries in placed.items():
        shared.push(dict(labels), entries)
    start, end = T0 + min(span), T0 + max(span)
    wanted = expected(placed, start, end)
    with reading(shared) as reader:
        lines = list(reader.lines(QUERY, start, end, direction="backward" if backward else "forward", limit=limit))
    found = shown(lines)
    times = [at for at, _, _ in found]
    assert times == sorted(times, reverse=backward)
    assert not Counter(found) - Counter(wanted)
    if not read_most and not answer_most:
        assert not reader.incomplete
    if not reader.incomplete:
        assert len(found) == min(len(wanted), len(wanted) if limit is None else limit)
        if limit is None:
            assert Counter(found) == Counter(wanted)
            assert backward or found == wanted
        else:
            assert times == sorted((at for at, _, _ in wanted), reverse=backward)[:limit]
    elif limit is None:
        assert Counter(found) != Counter(wanted) or read_most or answer_most


def test_start_is_inclusive_and_end_exclusive(loki: FakeLoki) -> None:
    loki.push(stream("a"), [(T0 - 1, "before"), (T0, "first"), (END - 1, "last"), (END, "after")])
    with reading(loki) as reader:
        assert [line.text for line in reader.lines(QUERY, T0, END)] == ["first", "last"]
        assert [line.text for line in reader.lines(QUERY, T0, END, direction="backward")] == ["last", "first"]
        assert list(reader.lines(QUERY, T0, T0)) == []


def test_no_request_is_sent_for_more_than_is_wanted(loki: FakeLoki) -> None:
    loki.push(stream("a"), [(T0 + n, f"{n}") for n in range(50)])
    with reading(loki) as reader:
        assert [line.text for line in reader.lines(QUERY, T0, END, limit=7)] == [str(n) for n in range(7)]
    assert [params["limit"] for params in loki.queries()] == ["7"]


def test_more_lines_in_one_nanosecond_than_a_page_holds_are_told_apart_by_their_streams(loki: FakeLoki) -> None:
    """Also a stream whose labels are all among those of another."""
    loki.rules.max_entries = 10
    labels = [stream("a"), stream("a", stream="stderr"), stream("b"), stream('c"\\ü')]
    for one in labels:
        loki.push(one, [(T0, f"before {one}"), *((T0 + 5, f"{n}") for n in range(9)), (T0 + 6, f"after {one}")])
    for direction in ("forward", "backward"):
        with reading(loki) as reader:
            lines = list(reader.lines(QUERY, T0, END, direction=direction))
        assert reader.incomplete == []
        assert len(lines) == len(set(shown(lines))) == 4 * 11
        assert [line.at_ns for line in lines] == sorted((line.at_ns for line in lines), reverse=direction == "backward")
    assert any('pod="c\\"\\\\ü"' in params["query"] for params in loki.queries())


def test_one_stream_with_more_lines_in_a_nanosecond_than_a_page_is_asked_for_in_a_larger_one(loki: FakeLoki) -> None:
    """The limit is learned from the refusal, and only as much larger as it has to be."""
    loki.rules = Rules(max_entries=12_000, publishes_limits=False)
    loki.push(stream("a"), [(T0 + 5, f"{n}") for n in range(11_000)])
    with reading(loki) as reader:
        lines = list(reader.lines(QUERY, T0, END))
    assert reader.incomplete == []
    assert len(lines) == len({line.text for line in lines}) == 11_000
    assert [int(params["limit"]) for params in loki.queries()][2:-1] == [10_000, 20_000, 12_000]


@pytest.mark.parametrize("publishes", [False, True])
def test_what_no_page_can_hold_is_told_and_what_there_is_is_given(loki: FakeLoki, publishes: bool) -> None:
    loki.rules = Rules(max_entries=10, publishes_limits=publishes)
    loki.push(stream("a"), [(T0 + 5, f"{n}") for n in range(25)])
    loki.push(stream("b"), [(T0 + 5, f"{n}") for n in range(3)])
    loki.push(stream("b"), [(T0 + 6, "after")])
    with reading(loki) as reader:
        lines = list(reader.lines(QUERY, T0, END))
    assert len(lines) == len(set(shown(lines))) == 14
    assert lines[-1].text == "after"
    (sentence,) = reader.incomplete
    assert "2026-06-06T12:00:00.000000005Z" in sentence and "'pod': 'a'" in sentence and "10" in sentence


def test_streams_that_loki_does_not_list_are_not_lost_silently(loki: FakeLoki) -> None:
    loki.rules = Rules(max_entries=10, hidden={"pod": "b"})
    for pod in "abc":
        loki.push(stream(pod), [(T0 + 5, f"{n}") for n in range(4)])
    with reading(loki) as reader:
        lines = list(reader.lines(QUERY, T0, END))
    assert len(lines) == len(set(shown(lines))) >= 10
    assert len(reader.incomplete) == 1 and "streams" in reader.incomplete[0]


def test_structured_metadata_is_told_from_labels_where_loki_does(loki: FakeLoki) -> None:
    loki.push(stream("a"), [(T0, "same")], trace="1")
    loki.push(stream("a"), [(T0, "same")], trace="2")
    with reading(loki) as reader:
        assert list(reader.lines(QUERY, T0, END)) == [
            Line(T0, "same", stream("a"), {"trace": "1"}),
            Line(T0, "same", stream("a"), {"trace": "2"}),
        ]
        loki.rules.categorizes = False
        assert list(reader.lines(QUERY, T0, END)) == [
            Line(T0, "same", {**stream("a"), "trace": trace}) for trace in ("1", "2")
        ]


def test_labels_values_and_streams(loki: FakeLoki) -> None:
    loki.rules.max_query_length_ns = 60 * SECOND
    loki.push(stream("a"), [(T0, "x")])
    loki.push(stream("b", stream="stderr"), [(T0 + 1800 * SECOND, "x")])
    loki.push({"namespace": "other", "app": "x/y"}, [(T0 + 10 * SECOND, "x")])
    with reading(loki) as reader:
        assert reader.labels(T0, END) == ["app", "namespace", "pod", "stream"]
        assert reader.labels(T0, END, QUERY) == ["namespace", "pod", "stream"]
        assert reader.label_values("namespace", T0, END) == ["airflow", "other"]
        assert reader.series(QUERY, T0, END) == [stream("a"), stream("b", stream="stderr")]
        assert reader.series(QUERY, T0 + 60 * SECOND, T0 + 120 * SECOND) == []
        with pytest.raises(LokiError, match="unexpected IDENTIFIER"):
            reader.series("{namespace=airflow}", T0, END)


#: Prints the most memory that reading each part of the time takes, after what is imported and opened once.
PEAKS = """
import sys, tracemalloc
from xcomctl.clients.loki import FixedAddress, Login, Loki
url, query, start, *ends = sys.argv[1:]
with Loki(FixedAddress(url), Login(), say=print) as loki:
    sum(1 for _ in loki.lines(query, int(start), int(ends[0])))
    for end in ends:
        tracemalloc.start()
        count = sum(1 for _ in loki.lines(query, int(start), int(end)))
        print(count, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
"""


def test_memory_does_not_grow_with_the_lines(loki: FakeLoki) -> None:
    loki.rules.max_entries = 250
    loki.push(stream("a"), [(T0 + n, f"{n} {'x' * 200}") for n in range(10_000)])
    argv = [sys.executable, "-c", PEAKS, loki.url, QUERY, str(T0), str(T0 + 1000), str(T0 + 10_000)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    (few, few_peak), (many, many_peak) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (few, many) == (1000, 10_000)
    assert many_peak - few_peak < (many - few) * 200 / 20
