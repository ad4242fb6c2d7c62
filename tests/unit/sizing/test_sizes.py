"""Counts by size against their definitions, searched through value by value."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.size_bounds import QUANTILES, WINDOWS_DAYS
from xcomctl.sizing.intervals import GROUPS
from xcomctl.sizing.sizes import Above, Sizes

#: Values: size, age, how many, whether an object, group.
ROWS = st.lists(
    st.tuples(
        st.integers(0, 40) | st.integers(0, 10**7) | st.sampled_from([1, 2, 5, 10, 100, 10_000, 2**20, 9 * 10**12]),
        st.integers(0, len(WINDOWS_DAYS)), st.integers(1, 1000), st.booleans(), st.integers(0, GROUPS - 1),
    ),
    min_size=1, max_size=40,
)  # fmt: skip
SHARES = st.sampled_from(QUANTILES) | st.integers(0, 10_000).map(lambda number: number / 10_000)


def counted(rows: list[tuple[int, int, int, bool, int]], *, grouped: bool = False) -> Sizes:
    found = Sizes()
    for size, age, values, offloaded, group in rows:
        found.add(size, age, values, offloaded=offloaded, group=group if grouped else None)
    return found


@given(ROWS, SHARES)
def test_a_quantile_is_the_smallest_size_that_so_many_do_not_exceed(rows, q):
    found = counted(rows)
    total = sum(values for _, _, values, _, _ in rows)
    wanted = Fraction(str(q)) * total
    reached = {each: sum(values for size, _, values, _, _ in rows if size <= each) for each, *_ in rows}
    assert found.quantile(q) == min(size for size, many in reached.items() if many >= wanted)
    assert found.quantile(0.0) == found.smallest == min(reached)
    assert found.quantile(1.0) == found.largest == max(reached)


def test_the_quantiles_of_a_known_distribution():
    found = Sizes()
    for size in range(1000, 0, -1):
        found.add(size, 3, 1)
    assert [found.quantile(q) for q in QUANTILES] == [500, 900, 950, 990, 999, 1000]
    assert (found.values, found.bytes, found.smallest, found.largest) == (1000, 500_500, 1, 1000)
    found.add(5000, 0, 1)  # what is added later is seen
    assert [found.quantile(q) for q in QUANTILES] == [501, 901, 951, 991, 1000, 5000]


@pytest.mark.parametrize("values", [100, 1000, 7 * 10**6, 10**8, 123_456_789_000])
@pytest.mark.parametrize("q", [*QUANTILES, 0.07])  # 0.07 * 100 is more than 7
def test_a_quantile_of_many_values_is_not_off_by_one_for_a_float_s_sake(values, q):
    exactly = -(-int(Fraction(str(q)) * values * 10**6) // 10**6)
    found = Sizes()
    found.add(10, 0, exactly)
    found.add(20, 0, values - exactly)
    assert found.quantile(q) == 10
    one_less = Sizes()
    one_less.add(10, 0, exactly - 1)
    one_less.add(20, 0, values - exactly + 1)
    assert one_less.quantile(q) == 20


@given(ROWS, st.integers(0, 50) | st.integers(0, 10**7))
def test_what_reaches_a_threshold(rows, threshold):
    reach = [row for row in rows if row[0] >= threshold]
    recent = [[row for row in reach if row[1] <= window] for window in range(len(WINDOWS_DAYS))]
    assert counted(rows).above(threshold) == Above(
        values=sum(row[2] for row in reach),
        bytes=sum(row[0] * row[2] for row in reach),
        offloaded=sum(row[2] for row in reach if row[3]),
        recent=tuple(sum(row[2] for row in each) for each in recent),
        recent_bytes=tuple(sum(row[0] * row[2] for row in each) for each in recent),
    )


@given(ROWS)
def test_the_bins_of_histogram_and_curve_hold_every_value_once(rows):
    found = counted(rows)
    for bins in (found.histogram(), found.curve()):
        assert sum(each.values for each in bins) == found.values
        assert sum(each.bytes for each in bins) == found.bytes
        assert all(one.high <= other.low for one, other in itertools.pairwise(bins))
        for each in bins:
            inside = [row for row in rows if each.low <= row[0] < each.high]
            assert (each.values, each.bytes) == (sum(row[2] for row in inside), sum(row[0] * row[2] for row in inside))
            assert each.low < each.high
    histogram = found.histogram()
    assert histogram[0].values and histogram[-1].values
    assert all(one.high == other.low for one, other in itertools.pairwise(histogram))  # without a gap
    assert all(each.values for each in found.curve())
    assert len(found.curve()) <= 8 * 45


@given(ROWS, st.integers(0, 10**6), st.none() | st.integers(0, 10**7))
def test_the_groups_of_a_sample(rows, low, high):
    values, total = counted(rows, grouped=True).in_groups(low, high)
    inside = [row for row in rows if row[0] >= low and (high is None or row[0] < high)]
    assert values == [sum(row[2] for row in inside if row[4] == group) for group in range(GROUPS)]
    assert total == [sum(row[0] * row[2] for row in inside if row[4] == group) for group in range(GROUPS)]


@given(ROWS)
def test_how_many_have_just_a_size(rows):
    found = counted(rows)
    for size, *_ in rows:
        assert found.count(size) == sum(row[2] for row in rows if row[0] == size)
    assert found.count(41) == sum(row[2] for row in rows if row[0] == 41)
    assert found.count(10**15) == 0


def test_without_values():
    found = Sizes()
    assert (found.values, found.bytes, found.smallest, found.largest) == (0, 0, None, None)
    assert found.above(0) == Above(0, 0, 0, (0, 0, 0), (0, 0, 0))
    assert (found.histogram(), found.curve()) == ((), ())
