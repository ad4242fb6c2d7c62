"""References and objects side by side: two sorted streams, joined as they pass. Memory does not grow with either.

A store lists its keys in order, a thousand with each request, and the database sorts the URLs; so each reference meets
its object without a request of its own. What cannot be compared in that order (see :attr:`Candidate.in_order`) is asked
for by itself. Because the rows' snapshot is taken before the listing begins, and the backend writes an object before its
row (F30), an object that is missing for a row was gone already, or the row is gone by now: so it is read again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Callable, Generic, Optional, TypeVar

_R = TypeVar("_R")


@dataclass(frozen=True)
class Candidate(Generic[_R]):
    """A row's reference: its object's key below the base path, and whether it comes in the order of keys."""

    row: _R
    key: str
    in_order: bool


@dataclass(frozen=True)
class Found:
    """An object: its key below the base path, its size in bytes, when it was written."""

    key: str
    size: int
    modified: Optional[datetime.datetime] = None


@dataclass(frozen=True)
class Pair(Generic[_R]):
    """A row and its object, a row without one, or an object without a row."""

    row: Optional[_R]
    object: Optional[Found]


class Disorder(Exception):
    """The store does not list its keys in order: what is not met in passing says nothing."""


def join(
    candidates: Iterable[Candidate[_R]],
    objects: Iterable[Found],
    ask: Callable[[str], Optional[Found]],
    *,
    unreferenced: bool = False,
    named_elsewhere: frozenset[str] = frozenset(),
) -> Iterator[Pair[_R]]:
    """Every row with its object, and with ``unreferenced`` every object that no row names.

    ``ask`` looks for the object of one key. ``named_elsewhere`` are the keys of rows that do not come in order: without
    them an object of theirs would be taken for unreferenced. A listing out of order is noticed, and from there on every
    row is asked for by itself. What was missed before that was missed for no reason, and what is unreferenced cannot be
    told: raises :class:`Disorder` at the end.
    """
    listing = _Listing(objects)
    missed = False
    for candidate in candidates:
        if listing.disordered() or not candidate.in_order or candidate.key < listing.passed:
            yield Pair(candidate.row, ask(candidate.key))
            continue
        for lonely in listing.up_to(candidate.key):
            if unreferenced and lonely.key not in named_elsewhere:
                yield Pair(None, lonely)
        here = listing.at(candidate.key)
        if here is None and listing.disordered():
            here = ask(candidate.key)
        missed = missed or here is None
        yield Pair(candidate.row, here)
    if unreferenced or missed:
        for lonely in listing.up_to(None):
            if unreferenced and lonely.key not in named_elsewhere:
                yield Pair(None, lonely)
        if listing.disordered():
            raise Disorder


class _Listing:
    """The objects, of which one is looked at. ``passed``: everything before this key has gone by."""

    def __init__(self, objects: Iterable[Found]) -> None:
        self._objects: Any = iter(objects)
        self._current: Optional[Found] = None
        self._named = False
        self._ended = False
        self.passed = ""
        self._disordered = False

    def disordered(self) -> bool:
        """Whether a key came that is not beyond the one before it."""
        return self._disordered

    def up_to(self, key: Optional[str]) -> Iterator[Found]:
        """Let everything before a key go by (``None``: everything); what of that no row named."""
        while not self._ended and (self._current is None or key is None or self._current.key < key):
            if self._current is not None and not self._named:
                yield self._current
            before, self._current, self._named = self._current, next(self._objects, None), False
            self._ended = self._current is None
            if before is not None and self._current is not None and self._current.key <= before.key:
                self._disordered = True
        if key is not None:
            self.passed = key

    def at(self, key: str) -> Optional[Found]:
        """The object of that key, if it is the one that is looked at."""
        if self._current is not None and self._current.key == key:
            self._named = True
            return self._current
        return None
