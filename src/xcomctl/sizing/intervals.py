"""95 % confidence intervals of figures from a sample that was drawn in clusters (pages of the table, or runs).

Rows of one page or run are alike, so rows are not counted as if each was drawn by itself: the clusters are dealt to
groups, each group gives a figure of its own, and how far these lie apart is the error of their sum. The interval of a
quantile is that of the share of values up to it, turned round (Woodruff 1952).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Callable, Optional

from xcomctl.model.size import Interval

#: Groups that clusters are dealt to.
GROUPS = 20
#: Student's t, two-sided 95 %, for one less.
_T = 2.093
#: In so many groups there has to be one of a kind. What lies in fewer clusters may lie in many that were not drawn, and no
#: number bounds it from above.
_HELD_BY = 6


def of_total(groups: Sequence[float], share: float) -> Interval:
    """The interval of a total that the whole table has, from what each group of a sample of that share has of it."""
    total = sum(groups) / share
    error = _T * _error_of_sum(groups) / share
    return Interval(max(sum(groups), total - error), total + error if _is_bounded(groups) else None)


def of_quantile(
    q: float, up_to: Sequence[float], groups: Sequence[float], quantile: Callable[[float], int]
) -> Optional[Interval]:
    """The interval of a quantile. ``up_to`` are each group's values that do not exceed it, ``quantile`` gives others."""
    values = sum(groups)
    if not values:
        return None
    share = sum(up_to) / values
    apart = [one - share * all_of_it for one, all_of_it in zip(up_to, groups)]
    error = _T * _error_of_sum(apart) / values
    low, high = q - error, q + error
    above = [all_of_it - one for one, all_of_it in zip(up_to, groups)]
    bounded = high < 1 and _is_bounded(above)
    return Interval(quantile(max(low, 0.0)), quantile(high) if bounded else None)


def _is_bounded(part: Sequence[float]) -> bool:
    return sum(each > 0 for each in part) >= _HELD_BY


def _error_of_sum(groups: Sequence[float]) -> float:
    count = len(groups)
    mean = sum(groups) / count
    return math.sqrt(count / (count - 1) * sum((each - mean) ** 2 for each in groups))
