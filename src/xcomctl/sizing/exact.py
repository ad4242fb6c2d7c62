"""The size of one stored value as the backend compares it, from what a 3.x column holds.

The column holds what ``BaseXCom`` makes of a value, the backend compares ``json.dumps(value, cls=XComEncoder)``. The two
differ, and JSONB forgets a little more (read in ``airflow.sdk.serde`` and ``airflow.utils.json``, tried with both):

- A tuple in a list or dict, and a ``numpy.float64`` anywhere, stand in the column in a wrapper that names their class;
  ``json.dumps`` writes a bare list and number. A tuple that is the whole value, and all that is in an object or a set,
  is wrapped by both.
- ``json.dumps`` escapes what is not ASCII, and DEL; the text that a database gives is UTF-8.
- JSONB keeps numbers as decimals: ``1e+16`` comes back as ``10000000000000000``, so a whole number of 17 digits and more
  may have been a float; and -0.0 comes back as 0.0. There the size lies between two.

What nobody can tell is a dict key that was no plain string and prints itself otherwise than JSON writes it, such as a
member of ``class Colour(str, Enum)``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Optional

_CLASS, _DATA = "__classname__", "__data__"
_TUPLE, _FLOAT64 = "builtins.tuple", "numpy.float64"
#: Whole numbers from here on are written with an exponent when they are floats.
_EXPONENT_FROM = 10**16
#: What has to be in a text for a number in it to be in doubt.
_DOUBTFUL = re.compile(r"\d{17}|(?<!\d)0\.0(?!\d)")


def span(text: str, *, jsonb: bool) -> Optional[tuple[int, int]]:
    """The least and the most bytes that the backend would compare for a column's JSON text; mostly the same number.

    ``jsonb``: the text comes from PostgreSQL. ``None`` for what is no JSON, or nested too deeply to be written.
    """
    try:
        value = json.loads(text)
        bare = _unwrapped(value, top=True) if _CLASS in text else value
        size = len(json.dumps(bare))
    except (ValueError, RecursionError):
        return None
    less, more = 0, 0
    if jsonb and _DOUBTFUL.search(text):
        for number in _numbers(bare):
            change = _as_float(number)
            less, more = less + min(change, 0), more + max(change, 0)
    return size + less, size + more


def _unwrapped(value: Any, *, top: bool = False) -> Any:
    if isinstance(value, list):
        return [_unwrapped(each) for each in value]
    if not isinstance(value, dict):
        return value
    name = value.get(_CLASS)
    if name is None:
        return {key: _unwrapped(each) for key, each in value.items()}
    if name == _TUPLE and not top:
        return _unwrapped(value.get(_DATA))
    return value.get(_DATA) if name == _FLOAT64 else value


def _numbers(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, (int, float)) and not isinstance(each, bool):
            yield each


def _as_float(number: Any) -> int:
    """How many bytes more (or, negative, less) it had if it was the other number that JSONB writes like this one."""
    if isinstance(number, float):
        return 1 if number == 0 else 0  # -0.0
    if -_EXPONENT_FROM < number < _EXPONENT_FROM:
        return 0
    try:
        written = repr(float(number))
    except OverflowError:
        return 0
    return len(written) - len(str(number)) if Decimal(written) == number else 0
