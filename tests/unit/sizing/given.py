"""Values that tasks push, as Hypothesis draws them: all that JSONB can hold, and what it remembers otherwise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.unit.sizing.backend import Float64

#: PostgreSQL stores neither NUL nor halves of a surrogate pair.
CHARACTERS = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, max_size=12) | st.sampled_from(
    ["", "\x7f", '"', "\\", "\\u00e9", "\x01\x1f\b\f\n\r\t", "\x80\xa0\u2028", "é", "日本", "😀", "/", "__classname__", "0.0"]
)  # fmt: skip
INTEGERS = (
    st.integers(-(10**40), 10**40)
    | st.integers(-1000, 1000)
    | st.sampled_from([10**15, 10**16 - 1, 10**16, 10**16 + 1, -(10**16), 2**53 + 1, 2**60, 10**22, 10**23, 10**40])
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [
        0.0, -0.0, 1e15, 1e16, -1e16, 1e22, 1e23, 1e300, 5e-324, -5e-324, 1e-4, 9.9e-5, 1e-5, 1.7976931348623157e308, 0.1,
        1.0, 1.2345678901234568e16, 9999999999999998.0, 12345678901234567890.0,
    ]
)  # fmt: skip
#: Keys of which no two are the same text: ``json.dumps`` would write both, and the column has one.
KEYS = TEXT | st.integers(-(10**20), 10**20) | st.booleans() | st.none() | FLOATS
LEAVES = st.none() | st.booleans() | INTEGERS | FLOATS | FLOATS.map(Float64) | TEXT


def _dictionaries(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Any, Any]]:
    items = st.lists(st.tuples(KEYS, inner), max_size=4, unique_by=lambda each: str(each[0]))
    return items.map(dict).filter(lambda found: "__classname__" not in found and "__id__" not in found)


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | _dictionaries(inner),
    max_leaves=12,
)


def has_doubt(value: Any) -> bool:
    """Whether there is a number in a value that another one looks like in JSONB."""
    if isinstance(value, dict):
        return any(has_doubt(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_doubt(each) for each in value)
    if isinstance(value, float):
        return value == 0 or abs(value) >= 1e16
    if isinstance(value, int) and abs(value) >= 10**16:
        # Whether a float prints just these digits: 10**16 + 2 is one, and 10**16 + 1 is none.
        # Beyond them no float has as many digits.
        return abs(value) < 10**308 and Decimal(repr(float(value))) == value
    return False
