"""How many values have which size: what quantiles, histograms and the effect of a threshold are read from."""

from __future__ import annotations

import bisect
import itertools
import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from xcomctl.model.size import Bin
from xcomctl.model.size_bounds import WINDOWS_DAYS
from xcomctl.sizing.intervals import GROUPS

#: Steps of the curve for each doubling of the size.
_STEPS_PER_DOUBLING = 8


@dataclass(frozen=True)
class Above:
    """Values of at least some size: how many, their bytes, how many of them are objects; and how many, with their bytes,
    were pushed within each of :data:`~xcomctl.model.size_bounds.WINDOWS_DAYS`."""

    values: int
    bytes: int
    offloaded: int
    recent: tuple[int, ...]
    recent_bytes: tuple[int, ...]


class Sizes:
    """Counts by exact size. Memory grows with the number of different sizes, some 100 bytes for each.

    ``age`` is the number of the shortest window that a value was pushed in, or that of the windows for none of them.
    """

    def __init__(self) -> None:
        self._place: dict[int, int] = {}
        self._ages = [array("q") for _ in (*WINDOWS_DAYS, None)]
        self._offloaded = array("q")
        self._groups = [array("q") for _ in range(GROUPS)]
        self._sorted: Optional[list[int]] = None
        self._up_to: list[int] = []

    def add(self, size: int, age: int, values: int, *, offloaded: bool = False, group: Optional[int] = None) -> None:
        """So many values more of a size. ``group`` is that of the sample: all values have one, or none has."""
        place = self._place.get(size)
        if place is None:
            place = self._place[size] = len(self._place)
            for column in (*self._ages, self._offloaded, *(self._groups if group is not None else ())):
                column.append(0)
        self._sorted = None
        self._ages[age][place] += values
        if offloaded:
            self._offloaded[place] += values
        if group is not None:
            self._groups[group][place] += values

    def count(self, size: int) -> int:
        """How many values have exactly that size."""
        place = self._place.get(size)
        return 0 if place is None else sum(column[place] for column in self._ages)

    @property
    def values(self) -> int:
        """How many values."""
        return sum(sum(column) for column in self._ages)

    @property
    def bytes(self) -> int:
        """Their bytes."""
        return sum(size * self.count(size) for size in self._place)

    @property
    def smallest(self) -> Optional[int]:
        """The smallest size, ``None`` without values."""
        return min(self._place, default=None)

    @property
    def largest(self) -> Optional[int]:
        """The largest size, ``None`` without values."""
        return max(self._place, default=None)

    def quantile(self, q: float) -> int:
        """The smallest size that at least this share of the values do not exceed. There has to be a value."""
        sizes = self._in_order()
        wanted = max(1, math.ceil(q * self._up_to[-1] - 1e-9))
        return sizes[bisect.bisect_left(self._up_to, wanted)]

    def above(self, threshold: int) -> Above:
        """Values of at least that size."""
        sizes = self._in_order()
        reach = sizes[bisect.bisect_left(sizes, threshold) :]
        places = [self._place[size] for size in reach]
        by_age = [sum(column[place] for place in places) for column in self._ages]
        bytes_by_age = [sum(column[place] * size for place, size in zip(places, reach)) for column in self._ages]
        return Above(
            values=sum(by_age),
            bytes=sum(bytes_by_age),
            offloaded=sum(self._offloaded[place] for place in places),
            recent=tuple(itertools.accumulate(by_age[:-1])),
            recent_bytes=tuple(itertools.accumulate(bytes_by_age[:-1])),
        )

    def in_groups(self, low: int = 0, high: Optional[int] = None) -> tuple[list[int], list[int]]:
        """How many values of the sample each group has from ``low`` to below ``high``, and their bytes."""
        sizes = [size for size in self._place if size >= low and (high is None or size < high)]
        places = [(self._place[size], size) for size in sizes]
        return (
            [sum(column[place] for place, _ in places) for column in self._groups],
            [sum(column[place] * size for place, size in places) for column in self._groups],
        )

    def histogram(self) -> tuple[Bin, ...]:
        """By steps of 1, 2, 5, 10, 20 … bytes, from the first that has a value to the last."""
        if not self._place:
            return ()
        edges = [0, *(step * 10**power for power in range(13) for step in (1, 2, 5))]
        found = self._binned(edges)
        first = next(index for index, each in enumerate(found) if each.values)
        last = max(index for index, each in enumerate(found) if each.values)
        return tuple(found[first : last + 1])

    def curve(self) -> tuple[Bin, ...]:
        """In eight steps for each doubling, those that have a value: a few hundred, to be drawn."""
        if not self._place:
            return ()
        largest = max(self._place)
        steps = range(_STEPS_PER_DOUBLING * (max(largest, 1).bit_length() + 1))
        edges = sorted({0, *(math.ceil(2 ** (step / _STEPS_PER_DOUBLING)) for step in steps)})
        return tuple(each for each in self._binned(edges) if each.values)

    def _binned(self, edges: Sequence[int]) -> list[Bin]:
        values, total = [0] * len(edges), [0] * len(edges)
        for size in self._place:
            index = bisect.bisect_right(edges, size) - 1
            count = self.count(size)
            values[index] += count
            total[index] += count * size
        ends = [*edges[1:], max(edges[-1] + 1, (self.largest or 0) + 1)]
        return [Bin(low, high, *both) for low, high, *both in zip(edges, ends, values, total)]

    def _in_order(self) -> list[int]:
        if self._sorted is None:
            self._sorted = sorted(self._place)
            self._up_to = list(itertools.accumulate(self.count(size) for size in self._sorted))
        return self._sorted
