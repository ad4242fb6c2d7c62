"""Numbers that a person would choose for a threshold."""

from __future__ import annotations

import bisect

_STEPS = (1, 1.2, 1.5, 1.6, 2, 2.5, 3, 4, 5, 6, 8)

#: From 1,000 to 1,000,000,000 bytes.
LADDER: tuple[int, ...] = (*(round(step * 10**power) for power in range(3, 9) for step in _STEPS), 10**9)


def rung(size: int) -> int:
    """Which number of :data:`LADDER` a size reaches: the index of the largest that is not above it, -1 for none."""
    return bisect.bisect_right(LADDER, size) - 1


def round_up(size: float) -> int:
    """The smallest number of the ladder that is not below a size; the largest of all where there is none."""
    return LADDER[min(bisect.bisect_left(LADDER, size), len(LADDER) - 1)]


def round_down(size: float) -> int:
    """The largest number of the ladder that is not above a size; the smallest of all where there is none."""
    return LADDER[max(bisect.bisect_right(LADDER, size) - 1, 0)]
