"""References and objects joined as they pass: the same as with everything in memory, whatever comes in whatever order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.references.join import Candidate, Disorder, Found, join

#: Few letters, so that keys meet; among them what escapes and what sorts elsewhere.
KEYS = st.text(alphabet="ab/-ü\U0001f680", min_size=1, max_size=4)


class Store:
    """Objects that are listed in order, and asked for one at a time."""

    def __init__(self, keys: set[str]) -> None:
        self.keys = keys
        self.asked: list[str] = []

    def listing(self) -> Iterator[Found]:
        for key in sorted(self.keys):
            yield Found(key, len(key))

    def ask(self, key: str) -> Found | None:
        self.asked.append(key)
        return Found(key, len(key)) if key in self.keys else None


@given(rows=st.lists(KEYS, max_size=30), keys=st.sets(KEYS, max_size=30), shuffled=st.randoms())
def test_the_same_as_with_everything_in_memory(rows, keys, shuffled):
    """Rows in the order of keys, but for those that are known to be out of it; a key may be named by many rows."""
    store = Store(keys)
    odd = {row for row in rows if not row.isascii()}
    ordered = sorted(row for row in rows if row not in odd)
    for row in (row for row in rows if row in odd):
        ordered.insert(shuffled.randint(0, len(ordered)), row)
    candidates = [Candidate(row, row, row not in odd) for row in ordered]
    pairs = list(join(candidates, store.listing(), store.ask, unreferenced=True, named_elsewhere=frozenset(odd)))
    assert sorted(pair.row for pair in pairs if pair.row is not None) == sorted(rows)
    for pair in pairs:
        if pair.row is not None:
            assert (pair.object is not None) == (pair.row in keys)
            assert pair.object is None or pair.object.key == pair.row
    assert [pair.object.key for pair in pairs if pair.row is None] == sorted(keys - set(rows))
    # Nothing is asked for by itself that comes in order.
    assert set(store.asked) <= odd


@given(rows=st.lists(KEYS, max_size=20), keys=st.lists(KEYS, unique=True, max_size=20))
def test_rows_out_of_order_cost_requests_and_tell_no_lies(rows, keys):
    store = Store(set(keys))
    for pair in join([Candidate(row, row, True) for row in rows], store.listing(), store.ask):
        assert (pair.object is not None) == (pair.row in store.keys)


@given(rows=st.lists(KEYS, max_size=20), keys=st.lists(KEYS, unique=True, max_size=20))
def test_a_listing_out_of_order_tells_no_lies_without_saying_so(rows, keys):
    store = Store(set(keys))
    wrong = False
    try:
        for pair in join([Candidate(row, row, True) for row in rows], (Found(key, 1) for key in keys), store.ask):
            wrong = wrong or (pair.object is not None) != (pair.row in store.keys)
    except Disorder:
        return
    assert not wrong


def test_a_listing_out_of_order_does_not_say_what_is_unreferenced():
    store = Store({"a", "b"})
    with pytest.raises(Disorder):
        list(join([], iter([Found("b", 1), Found("a", 1)]), store.ask, unreferenced=True))


def test_an_object_of_many_rows_is_listed_once():
    store = Store({"a"})
    pairs = list(join([Candidate(n, "a", True) for n in range(3)], store.listing(), store.ask, unreferenced=True))
    assert [(pair.row, pair.object) for pair in pairs] == [(n, Found("a", 1)) for n in range(3)]
    assert store.asked == []
