"""Three thresholds: their order for any distribution, what each of them is by its definition, and the floor (F36)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.size import AGGRESSIVE, MODERATE, NEAR_INERT, Effect, Suggestion
from xcomctl.model.size_bounds import QUANTILES
from xcomctl.sizing import suggest
from xcomctl.sizing.answer import Summary
from xcomctl.sizing.ladder import LADDER, round_up
from xcomctl.sizing.measure import Measured
from xcomctl.sizing.sizes import Sizes

COUNTS = st.dictionaries(
    st.integers(0, 30_000) | st.integers(0, 10**7) | st.integers(0, 3 * 10**9) | st.sampled_from(LADDER),
    st.integers(1, 100_000),
    min_size=1, max_size=25,
)  # fmt: skip


def suggested(counts: dict[int, int], quantile: float = 0.999, skipmixin: int = 0) -> tuple[Suggestion, ...]:
    sizes = Sizes()
    for size, many in counts.items():
        sizes.add(size, 3, many)
    fields = Summary(Measured(sizes=sizes), suggest.floor_of(skipmixin, "dag.task"), True).fields(quantile, (), None)
    found: tuple[Suggestion, ...] = fields["suggestions"]
    assert fields["suggested"] == (found[0].threshold if found else None)
    return found


def moved(counts: dict[int, int], threshold: int) -> Fraction:
    """The share of the bytes in values that reach it."""
    total = sum(size * many for size, many in counts.items()) or 1
    return Fraction(sum(size * many for size, many in counts.items() if size >= threshold), total)


@given(COUNTS, st.sampled_from(QUANTILES), st.sampled_from([0, 1, 5_000, 5_001, 40_000, 10**6]))
def test_the_order_holds_for_any_distribution_and_none_is_below_the_floor(counts, quantile, skipmixin):
    found = suggested(counts, quantile, skipmixin)
    assert [each.name for each in found] == [NEAR_INERT, MODERATE, AGGRESSIVE]
    inert, moderate, aggressive = (each.threshold for each in found)
    assert inert >= moderate >= aggressive >= max(10_000, 2 * skipmixin)
    assert {inert, moderate, aggressive} <= set(LADDER)
    assert all(each.effect.threshold == each.threshold and not each.effect.below_floor for each in found)
    for each in found:
        assert each.effect.values == sum(many for size, many in counts.items() if size >= each.threshold)
        assert each.effect.exact and each.reason


@given(COUNTS, st.sampled_from(QUANTILES))
def test_the_near_inert_one_leaves_that_share_of_the_values_where_they_are(counts, quantile):
    inert = suggested(counts, quantile)[0]
    total = sum(counts.values())
    below = sum(many for size, many in counts.items() if size < inert.threshold)
    if max(counts) < LADDER[-1]:
        assert Fraction(below, total) >= Fraction(str(quantile))
        for number in LADDER:  # and is the lowest that does
            if 10_000 <= number < inert.threshold:
                below = sum(many for size, many in counts.items() if size < number)
                assert Fraction(below, total) < Fraction(str(quantile))


@given(COUNTS)
def test_the_moderate_one_is_the_highest_that_moves_the_share_it_names(counts):
    inert, moderate, aggressive = (each for each in suggested(counts))
    numbers = [number for number in LADDER if number >= aggressive.threshold]
    named = [share for share in (50, 80, 90, 95, 99) if f" {share} % " in moderate.reason]
    if named:
        share = Fraction(named[0], 100)
        assert moved(counts, moderate.threshold) >= share > moved(counts, inert.threshold)
        assert all(moved(counts, number) < share for number in numbers if number > moderate.threshold)
    else:
        assert moderate.threshold == aggressive.threshold
        if moderate.threshold == inert.threshold:
            return
        less = all(moved(counts, number) < Fraction(1, 2) for number in numbers)
        assert ("less than half" in moderate.reason) == less


def test_a_near_inert_one_that_moves_half_of_the_bytes_has_a_moderate_one_that_moves_more():
    inert, moderate, aggressive = suggested({300: 100_000, 40_000: 5_000, 50_000_000: 5}, 0.9999)
    assert (inert.threshold, moderate.threshold, aggressive.threshold) == (50_000, 40_000, 10_000)
    assert " 80 % " in moderate.reason
    inert, moderate, aggressive = suggested({300: 10_000, 40_000: 2_000, 50_000_000: 50}, 0.99)
    assert (inert.threshold, moderate.threshold) == (50_000, 40_000) and " 99 % " in moderate.reason


def test_a_distribution_that_is_known():
    counts = {500: 100_000, 20_000: 90, 300_000: 9, 1_500_000: 3}
    inert, moderate, aggressive = suggested(counts)
    assert (inert.threshold, moderate.threshold, aggressive.threshold) == (25_000, 10_000, 10_000)
    inert, moderate, aggressive = suggested(counts, 0.9999)
    assert (inert.threshold, moderate.threshold, aggressive.threshold) == (400_000, 10_000, 10_000)
    assert "even the lowest that is safe moves less than half" in moderate.reason and "99.99 %" in inert.reason
    counts = {500: 900, 20_000: 1, 300_000: 9, 1_500_000: 30, 2_400_000: 1}
    inert, moderate, aggressive = suggested(counts)
    assert (inert.threshold, moderate.threshold, aggressive.threshold) == (2_500_000, 1_500_000, 10_000)
    assert "50 %" in moderate.reason and "99.9 %" in inert.reason


@pytest.mark.parametrize(("skipmixin", "floor", "lowest"), [(0, 10_000, 10_000), (5_000, 10_000, 10_000), (5_001, 10_002, 12_000), (40_000, 80_000, 80_000)])  # fmt: skip
def test_twice_the_largest_skipmixin_key_is_the_floor(skipmixin, floor, lowest):
    found = suggest.floor_of(skipmixin, "dag.branch")
    assert (found.bytes, found.skipmixin_bytes, found.skipmixin_of) == (floor, skipmixin, "dag.branch")
    inert, moderate, aggressive = suggested({100: 1000, 60_000: 3}, skipmixin=skipmixin)
    assert aggressive.threshold == lowest == round_up(floor)
    assert ("skipmixin_key (" in aggressive.reason) == (floor > 10_000)
    assert moderate.threshold >= lowest and inert.threshold >= lowest


def test_the_near_inert_one_says_so_when_the_floor_has_decided():
    inert, _, _ = suggested({100: 1000}, skipmixin=40_000)
    assert inert.threshold == 80_000
    assert "no threshold is lower than the floor of 80,000" in inert.reason
    assert "floor" not in suggested({70_000: 1000}, skipmixin=0)[0].reason


def test_without_values_nothing_is_suggested():
    def never(_: int) -> Effect:
        raise AssertionError("there is nothing to say")

    assert suggest.suggestions(Sizes(), 0.999, suggest.floor_of(0), never) == ()
    assert suggested({}) == ()
    assert [each.threshold for each in suggested({0: 5})] == [10_000] * 3  # on 2.x a value may have no bytes
