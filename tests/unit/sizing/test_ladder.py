"""Numbers to choose from: up, down and which one agree with each other and with a search through all of them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.sizing.ladder import LADDER, round_down, round_up, rung

SIZES = st.integers(0, 2 * 10**9) | st.sampled_from(LADDER) | st.sampled_from(LADDER).map(lambda number: number + 1)


def test_the_numbers_rise_from_a_thousand_to_a_billion_by_no_more_than_a_third_each():
    assert (LADDER[0], LADDER[-1], len(set(LADDER))) == (1000, 10**9, len(LADDER))
    assert all(1 < high / low <= 4 / 3 + 1e-9 for low, high in itertools.pairwise(LADDER))
    assert {10_000, 1_600_000, 1_000_000} <= set(LADDER)


@given(SIZES)
def test_each_is_what_a_search_finds(size):
    below = [number for number in LADDER if number <= size]
    assert rung(size) == len(below) - 1
    assert round_down(size) == max(below, default=LADDER[0])
    assert round_up(size) == min((number for number in LADDER if number >= size), default=LADDER[-1])


@pytest.mark.parametrize("number", [1000, 1200, 1_600_000, 10**9])
def test_a_number_of_the_ladder_stays_what_it_is(number):
    assert round_up(number) == round_down(number) == LADDER[rung(number)] == number
    assert rung(number - 1) == rung(number) - 1
