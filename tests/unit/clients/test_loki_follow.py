"""Following: each line once, those that come late too, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.support.loki import FakeLoki, Fault, fake_loki
from tests.support.loki.reading import SECOND, T0, reading
from xcomctl.clients.loki import Line, LokiUnreachable
from xcomctl.clients.loki_follow import Followed

QUERY = '{namespace="airflow"}'
END = T0 + 3600 * SECOND
LABELS = {"namespace": "airflow"}


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as served:
        served.push(LABELS, [(T0, "a line")])
        yield served


def test_following_gives_each_line_once_also_those_that_come_late_or_in_a_nanosecond_that_was_read(
    loki: FakeLoki,
) -> None:
    """Each wait between two polls, something comes; the last poll gives up."""
    now = T0 + 3600 * SECOND
    with reading(loki, now_ns=now) as reader:
        coming = [
            [(now + SECOND, "second"), (now + SECOND, "equal time")],
            [(now + SECOND, "equal time, later"), (now - 20 * SECOND, "late")],
            [],
            [(now + 4 * SECOND, "a minute later")],
        ]
        moments = iter(coming)

        def pause(seconds: float) -> None:
            reader.waited.append(seconds)
            reader.now_ns += 2 * SECOND
            loki.push(LABELS, next(moments))

        reader.pausing = pause
        loki.push(LABELS, [(now - SECOND, "first")])
        lines = reader.follow(QUERY, T0)
        found = [line.text for line in itertools.islice(lines, 7)]
        assert found == ["a line", "first", "second", "equal time", "late", "equal time, later", "a minute later"]
    assert reader.incomplete == []


@pytest.mark.parametrize(("late_s", "comes"), [(30.0, False), (120.0, True)])
def test_how_late_a_line_may_come_is_said_and_can_be_chosen(loki: FakeLoki, late_s: float, comes: bool) -> None:
    """While others come, one that is a minute older than they are."""
    now = T0 + 3600 * SECOND
    with reading(loki, now_ns=now) as reader:
        coming = iter([[(now + 2 * SECOND, "in time")], [(now - 60 * SECOND, "late")], [(now + 6 * SECOND, "last")]])

        def pause(seconds: float) -> None:
            reader.now_ns += 2 * SECOND
            loki.push(LABELS, next(coming))

        reader.pausing = pause
        loki.push(LABELS, [(now, "first")])
        found = []
        for line in reader.follow(QUERY, T0, late_s=late_s):
            found.append(line.text)
            if line.text == "last":
                break
    assert ("late" in found) is comes and found[:3] == ["a line", "first", "in time"]
    assert f"more than {late_s:g} s after" in reader.said[0]


def test_following_outlives_a_broken_connection_and_says_when_it_gives_up(loki: FakeLoki) -> None:
    with reading(loki, now_ns=T0 + SECOND) as reader:
        lines = reader.follow(QUERY, T0)
        assert next(lines).text == "a line"
        loki.push(LABELS, [(T0 + SECOND, "another")])
        with loki.failing(Fault(dropped=True, times=5)) as fault:
            assert next(lines).text == "another"
        assert fault.met == 5
        with loki.failing(Fault(dropped=True)), pytest.raises(LokiUnreachable):
            list(lines)


def test_equal_lines_of_one_time_are_counted() -> None:
    """As a query makes them that formats lines, of lines that differ."""
    line = Line(T0, "same", LABELS)
    followed = Followed(T0 - SECOND, late_ns=30 * SECOND)
    for there, new in ((2, [True, True]), (2, [False, False]), (3, [False, False, True])):
        followed.window(T0)
        assert [followed.is_new(line) for _ in range(there)] == new
        followed.polled(T0)


def test_following_forgets_what_cannot_come_again(loki: FakeLoki) -> None:
    """Memory: of an hour of lines only the last half minute is remembered, and that is what is asked for again."""
    loki.push(LABELS, [(T0 + n * SECOND // 4, f"{n}") for n in range(1, 4 * 3600)])
    followed = Followed(T0, late_ns=30 * SECOND)
    most = 0
    with reading(loki) as reader:
        for poll, new in enumerate((4 * 3600, 0)):
            lines = list(reader.lines(QUERY, *followed.window(END)))
            assert len(lines) == (4 * 3600 if poll == 0 else 4 * 30 + 1)
            fresh = 0
            for line in lines:
                fresh += followed.is_new(line)
                most = max(most, followed.remembered)
            assert fresh == new
            followed.polled(END)
            assert followed.remembered <= 4 * 31
    assert most < 5000
