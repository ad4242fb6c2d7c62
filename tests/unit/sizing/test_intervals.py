"""Intervals from samples that are drawn in clusters, held against a population that is known."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from xcomctl.model.size import Interval
from xcomctl.sizing import intervals
from xcomctl.sizing.intervals import GROUPS
from xcomctl.sizing.sizes import Sizes

SAMPLES, PAGES, SHARE = 300, 1200, 0.1
#: Of so many samples of one seed; by chance alone a true 95 % is below this less than once in a million times.
ENOUGH = 0.88 * SAMPLES


def population() -> list[Counter[int]]:
    """Pages of 12 rows, of which those of one page are alike."""
    draw = random.Random(16)
    pages = []
    for _ in range(PAGES):
        here = draw.gauss(5, 0.6)
        pages.append(Counter(round(draw.lognormvariate(here, 0.9)) for _ in range(12)))
    return pages


@pytest.fixture(scope="module")
def samples() -> list[Sizes]:
    draw, pages, found = random.Random(1), population(), []
    for _ in range(SAMPLES):
        sizes = Sizes()
        for number, page in enumerate(pages):
            if draw.random() < SHARE:
                for size, many in page.items():
                    sizes.add(size, 3, many, group=number % GROUPS)
        found.append(sizes)
    return found


@pytest.fixture(scope="module")
def truth() -> Sizes:
    sizes = Sizes()
    for page in population():
        for size, many in page.items():
            sizes.add(size, 3, many)
    return sizes


def holds(interval: Interval | None, figure: float) -> bool:
    assert interval is not None
    return interval.low <= figure and (interval.high is None or figure <= interval.high)


def test_the_total_of_the_rows_and_of_the_bytes_lies_in_nearly_all_intervals(samples, truth):
    rows = [intervals.of_total(each.in_groups()[0], SHARE) for each in samples]
    total = [intervals.of_total(each.in_groups()[1], SHARE) for each in samples]
    assert sum(holds(each, truth.values) for each in rows) >= ENOUGH
    assert sum(holds(each, truth.bytes) for each in total) >= ENOUGH
    # And they say something: none is wider than the figure itself, and not all are sure.
    assert all(each.high is not None and each.high - each.low < truth.bytes for each in total)
    assert sum(holds(each, truth.bytes) for each in total) < SAMPLES


def test_how_many_reach_a_threshold_lies_in_nearly_all_intervals(samples, truth):
    found = [intervals.of_total(each.in_groups(1000)[0], SHARE) for each in samples]
    assert sum(holds(each, truth.above(1000).values) for each in found) >= ENOUGH


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_a_quantile_lies_in_nearly_all_intervals(samples, truth, q):
    found = []
    for each in samples:
        up_to, _ = each.in_groups(high=each.quantile(q) + 1)
        found.append(intervals.of_quantile(q, up_to, each.in_groups()[0], each.quantile))
    assert sum(holds(each, truth.quantile(q)) for each in found) >= ENOUGH
    assert all(each is not None and each.low > 0 for each in found)
    bounded = [each.high for each in found if each is not None and each.high is not None]
    assert len(bounded) > SAMPLES / 2
    assert max(bounded) < 5 * truth.quantile(q)


def test_rows_that_are_alike_in_a_page_make_an_interval_wider():
    """As if each row was drawn by itself, it would be too narrow by far."""
    alike, spread = [0] * GROUPS, [0] * GROUPS
    draw = random.Random(2)
    for _ in range(200):
        alike[draw.randrange(GROUPS)] += 50
        for _ in range(50):
            spread[draw.randrange(GROUPS)] += 1
    wide, narrow = intervals.of_total(alike, 0.1), intervals.of_total(spread, 0.1)
    assert wide.high is not None and narrow.high is not None
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_what_a_sample_saw_none_of_may_be_there():
    assert intervals.of_total([0] * GROUPS, 0.05) == Interval(0, None)


def test_there_are_at_least_as_many_as_were_seen():
    found = intervals.of_total([0] * (GROUPS - 6) + [1, 0, 2, 1, 1, 2], 0.5)
    assert found == Interval(7, None)  # in so few groups there may be many more that were not drawn
    found = intervals.of_total([0] * (GROUPS - 6) + [1, 1, 2, 1, 1, 1], 0.5)
    assert found.low == 7 and found.high is not None
    assert found.high > 14
    assert intervals.of_total([5] * GROUPS, 0.25) == Interval(400, 400)  # all alike: no error


def test_a_quantile_beyond_what_the_sample_has_is_not_bounded():
    """Of 100 values none says what p99.9 is at most; of 100,000 some do."""
    for per_group, is_bounded in ((5, False), (5_000, True)):
        sizes = Sizes()
        for size in range(per_group):
            for group in range(GROUPS):
                sizes.add(size, 3, 1, group=group)
        q = 0.999
        up_to, _ = sizes.in_groups(high=sizes.quantile(q) + 1)
        found = intervals.of_quantile(q, up_to, sizes.in_groups()[0], sizes.quantile)
        assert found is not None
        assert (found.high is not None) == is_bounded
        assert found.low <= sizes.quantile(q)


def test_without_values_a_quantile_has_no_interval():
    assert intervals.of_quantile(0.5, [0] * GROUPS, [0] * GROUPS, lambda _: 1 // 0) is None


def test_student_s_t_is_that_of_the_groups():
    """From the tables: two-sided 95 %, 19 degrees of freedom. With other groups it has to change."""
    assert GROUPS == 20
    groups = [float(number) for number in range(GROUPS)]
    found = intervals.of_total(groups, 1.0)
    error = 2.093 * math.sqrt(20 / 19 * sum((each - 9.5) ** 2 for each in groups))
    assert found.high == pytest.approx(190 + error)
