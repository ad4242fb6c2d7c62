"""Which DAG, task and key the bytes are of."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from xcomctl.model.size import Place
from xcomctl.model.size_bounds import TOP
from xcomctl.sizing import ladder

#: Places that are remembered. Who makes up a key for each value has no few places that matter.
MOST_PLACES = 20_000


@dataclass
class _Held:
    values: float = 0
    bytes: float = 0
    largest: int = 0
    estimated: bool = False
    #: By the number of the ladder that is reached: values and bytes.
    rungs: dict[int, list[float]] = field(default_factory=dict)


class Places:
    """Counts by place. Beyond :data:`MOST_PLACES` of them those with the fewest bytes are forgotten, half at a time."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, str], _Held] = {}
        #: Whether places were forgotten: then a place that had little, and later much, is counted with the latter alone.
        self.forgotten = False

    def __len__(self) -> int:
        return len(self._held)

    def add(self, place: tuple[str, str, str], size: int, values: float, *, estimated: bool = False) -> None:
        """So many values more of a size there; ``estimated`` where a sample stands for more than it holds."""
        held = self._held.get(place)
        if held is None:
            if len(self._held) >= MOST_PLACES:
                self._forget()
            held = self._held[place] = _Held()
        held.values += values
        held.bytes += values * size
        held.largest = max(held.largest, size)
        held.estimated = held.estimated or estimated
        index = ladder.rung(size)
        if index >= 0:
            reached = held.rungs.setdefault(index, [0, 0])
            reached[0] += values
            reached[1] += values * size

    def by_bytes(self, threshold: int, top: int = TOP) -> tuple[Place, ...]:
        """Those with the most bytes. ``threshold`` is a number of the ladder."""
        most = heapq.nlargest(top, self._held.items(), key=lambda each: (each[1].bytes, each[0]))
        return tuple(_place(place, held, threshold) for place, held in most)

    def by_above(self, threshold: int, top: int = TOP) -> tuple[Place, ...]:
        """Those with the most values of at least ``threshold`` bytes, a number of the ladder."""
        reach = ((place, held, _above(held, threshold)[0]) for place, held in self._held.items())
        most = heapq.nlargest(
            top, (each for each in reach if each[2]), key=lambda each: (each[2], each[1].bytes, each[0])
        )
        return tuple(_place(place, held, threshold) for place, held, _ in most)

    def _forget(self) -> None:
        self.forgotten = True
        kept = heapq.nlargest(MOST_PLACES // 2, self._held.items(), key=lambda each: each[1].bytes)
        self._held = dict(kept)


def _above(held: _Held, threshold: int) -> tuple[float, float]:
    first = ladder.rung(threshold)
    reached = [each for index, each in held.rungs.items() if index >= first]
    return sum(each[0] for each in reached), sum(each[1] for each in reached)


def _place(place: tuple[str, str, str], held: _Held, threshold: int) -> Place:
    above, above_bytes = _above(held, threshold)
    return Place(
        *place, round(held.values), round(held.bytes), held.largest, round(above), round(above_bytes), held.estimated
    )
