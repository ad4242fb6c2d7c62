"""What JSONB makes of JSON: names each change that the column itself makes, and tells any other one apart. Pure."""

from __future__ import annotations

import math
from typing import Any, Optional

from xcomctl.model.rehydrate import KEY_ORDER, LARGE_FLOAT, NEGATIVE_ZERO

#: From here on ``json.dumps`` writes a float with an exponent, which ``numeric`` spells out: 1.5e300 becomes 15 and 299 zeros.
_EXPONENT_FROM = 1e16
#: What Airflow 3 wraps a value of a class of its own in has this key.
_CLASS = "__classname__"


def changes(before: Any, after: Any) -> Optional[frozenset[str]]:
    """The changes between two decoded JSON values, by name; ``None`` where one is none of the column's own.

    PostgreSQL keeps numbers as ``numeric``: whole ones come back without a fraction, and there is no negative zero. It
    keeps keys sorted by their length; those in which Airflow wraps its classes have no order that anybody sees.
    """
    found: set[str] = set()
    waiting: list[tuple[Any, Any]] = [(before, after)]
    while waiting:
        old, new = waiting.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            if old.keys() != new.keys():
                return None
            if list(old) != list(new) and _CLASS not in old:
                found.add(KEY_ORDER)
            waiting += [(old[key], new[key]) for key in old]
        elif isinstance(old, list) and isinstance(new, list):
            if len(old) != len(new):
                return None
            waiting += zip(old, new)
        else:
            change = _of_scalar(old, new)
            if change is None:
                return None
            if change:
                found.add(change)
    return frozenset(found)


def _of_scalar(old: Any, new: Any) -> Optional[str]:
    """The change of a value that is no container: empty for none, ``None`` for one that is not the column's own."""
    if isinstance(old, float):
        if type(new) is float:
            if old == new:
                return NEGATIVE_ZERO if math.copysign(1, old) != math.copysign(1, new) else ""
            return "" if math.isnan(old) and math.isnan(new) else None
        if type(new) is int and abs(old) >= _EXPONENT_FROM and _nearest(new) == old:
            return LARGE_FLOAT
        return None
    return "" if type(old) is type(new) and old == new else None


def _nearest(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.nan
