"""Which places the lists have, against sums over all values; and what is forgotten."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.model.size import Place
from xcomctl.sizing import places
from xcomctl.sizing.ladder import LADDER
from xcomctl.sizing.places import Places

ADDED = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 50_000) | st.sampled_from([1000, 1199, 1200]), st.integers(1, 9)),
    max_size=40,
)  # fmt: skip


def place(name: str) -> tuple[str, str, str]:
    return ("dag", name, "return_value")


@given(ADDED, st.sampled_from([number for number in LADDER if number <= 60_000]), st.integers(1, 7))
def test_the_lists_have_what_a_sum_over_all_values_has(added, threshold, top):
    found = Places()
    values: dict[str, list[int]] = defaultdict(list)
    for name, size, many in added:
        found.add(place(name), size, many)
        values[name] += [size] * many
    expected = []
    for name, sizes in values.items():
        above = [size for size in sizes if size >= threshold]
        expected.append(Place(*place(name), len(sizes), sum(sizes), max(sizes), len(above), sum(above)))
    assert len(found) == len(expected)
    by_bytes = found.by_bytes(threshold, top)
    assert list(by_bytes) == sorted(expected, key=lambda each: (each.bytes, each.task_id), reverse=True)[:top]
    reach = sorted(
        (each for each in expected if each.above), key=lambda each: (each.above, each.bytes, each.task_id), reverse=True
    )
    assert list(found.by_above(threshold, top)) == reach[:top]


def test_what_a_sample_stands_for_is_told_and_rounded_at_the_end():
    found = Places()
    for _ in range(3):
        found.add(place("a"), 100, 1.5, estimated=True)
    found.add(place("a"), 9_000, 1)
    found.add(place("b"), 100, 1)
    first, second = found.by_bytes(1000)
    assert first == Place(*place("a"), 6, 9_450, 9_000, 1, 9_000, estimated=True)  # 5.5 and 9,450
    assert not second.estimated


def test_beyond_the_most_that_is_remembered_the_big_ones_stay(monkeypatch):
    monkeypatch.setattr(places, "MOST_PLACES", 100)
    found = Places()
    for number in range(40):
        found.add(place(f"big {number:02}"), 50_000 + number, 10)
    assert not found.forgotten
    for number in range(5_000):
        found.add(place(f"small {number}"), 10 + number % 7, 1)
        assert len(found) <= 100
    assert found.forgotten
    kept = found.by_bytes(10_000, 40)
    assert [each.task_id for each in kept] == [f"big {number:02}" for number in range(39, -1, -1)]
    assert all(each.values == each.above == 10 for each in kept)
    assert {each.task_id for each in found.by_above(10_000, 100)} == {each.task_id for each in kept}


def test_a_hundred_places_are_no_more_than_a_hundred(monkeypatch):
    monkeypatch.setattr(places, "MOST_PLACES", 100)
    found = Places()
    for _ in range(2):
        for number in range(100):
            found.add(place(str(number)), 5, 1)
    assert (len(found), found.forgotten) == (100, False)
    found.add(place("another"), 5, 1)
    assert (len(found), found.forgotten) == (51, True)


@pytest.mark.parametrize("threshold", [10_000, 1000])
def test_without_places(threshold):
    assert (Places().by_bytes(threshold), Places().by_above(threshold)) == ((), ())
