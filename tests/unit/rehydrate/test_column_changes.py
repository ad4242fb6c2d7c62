"""What JSONB makes of JSON is told by name, and any other difference is told apart.

That a real JSONB makes nothing else of it is shown in ``tests/unit/metadata/test_swap.py``.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xcomctl.model.rehydrate import COLUMN_WORDS, KEY_ORDER, LARGE_FLOAT, NEGATIVE_ZERO
from xcomctl.rehydrate.column_changes import changes

NUMBERS = st.integers() | st.floats() | st.floats(1e15, 1e17) | st.sampled_from([-0.0, 0.0, 1e16, -1e16, 10**400])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def jsonb(value: Any) -> tuple[Any, set[str]]:
    """What PostgreSQL gives for a value, and the names of what it changed."""
    if isinstance(value, dict):
        inner = {key: jsonb(each) for key, each in value.items()}
        ordered = sorted(inner, key=lambda key: (len(key.encode("utf-8", "surrogatepass")), key))
        names = {name for _, changed in inner.values() for name in changed}
        return {key: inner[key][0] for key in ordered}, names | ({KEY_ORDER} if ordered != list(value) else set())
    if isinstance(value, list):
        parts = [jsonb(each) for each in value]
        return [each for each, _ in parts], {name for _, changed in parts for name in changed}
    if isinstance(value, float) and math.isfinite(value):
        if value == 0 and math.copysign(1, value) < 0:
            return 0.0, {NEGATIVE_ZERO}
        if "e+" in repr(value):
            mantissa, _, exponent = repr(value).partition("e+")
            whole, _, fraction = mantissa.partition(".")
            return int(f"{whole}{fraction}{'0' * (int(exponent) - len(fraction))}"), {LARGE_FLOAT}
    return value, set()


@given(value=VALUES)
def test_what_the_column_itself_changes_is_named_and_nothing_besides(value):
    stored, names = jsonb(value)
    assert changes(value, stored) == names
    assert names <= set(COLUMN_WORDS)


@given(value=VALUES)
def test_what_comes_back_as_it_was_is_no_change(value):
    assert changes(value, json.loads(json.dumps(value))) == frozenset()


@given(before=VALUES, after=VALUES)
def test_what_is_not_named_is_equal_in_value_and_type_and_what_differs_otherwise_is_none(before, after):
    found = changes(before, after)
    if found is None:
        assert json.dumps(before) != json.dumps(after)
    else:
        assert changes(after, jsonb(after)[0]) is not None
        assert json.dumps(jsonb(before)[0], sort_keys=True) == json.dumps(jsonb(after)[0], sort_keys=True)


@st.composite
def other(draw: Any, value: Any) -> Any:
    """The value with one scalar in it exchanged."""
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: draw(other(value[key]))}
    if isinstance(value, list) and value:
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(other(value[place])), *value[place + 1 :]]
    return draw(SCALARS.filter(lambda new: json.dumps(new) != json.dumps(value)))


@given(data=st.data(), value=VALUES)
def test_one_scalar_that_is_another_one_is_never_the_columns_doing(data, value):
    stored, _ = jsonb(value)
    changed = data.draw(other(stored))
    assume(json.dumps(jsonb(changed)[0]) != json.dumps(stored))  # 0.0 for -0.0, or an int for a float
    assert changes(value, changed) is None


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (1e16, 10**16, {LARGE_FLOAT}),
        (1.5e300, 15 * 10**299, {LARGE_FLOAT}),
        (-1e16, -(10**16), {LARGE_FLOAT}),
        (1e15, 1e15, set()),
        (1e15, 10**15, None),  # it has a fraction in JSON, which numeric keeps
        (5.0, 5, None),
        (0.0, 0, None),
        (10**16, 1e16, None),
        (1e16, 10**16 + 100, None),
        (1e300, 10**400, None),  # beyond any float
        (float("inf"), 10**400, None),
        (-0.0, 0.0, {NEGATIVE_ZERO}),
        (float("nan"), float("nan"), set()),
        (float("nan"), None, None),
        (True, 1, None),
        (1, True, None),
        (0, False, None),
        ("1", 1, None),
        (None, "null", None),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, {KEY_ORDER}),
        ({"a": 1}, {"a": 1, "b": 1}, None),
        ({"a": 1, "b": 1}, {"a": 1}, None),
        ({}, [], None),
        ([], {}, None),
        ([1, 2], [2, 1], None),
        ([1], [1, 1], None),
        ([[{"b": [-0.0], "a": 1e17}]], [[{"a": 10**17, "b": [0.0]}]], {KEY_ORDER, NEGATIVE_ZERO, LARGE_FLOAT}),
    ],
    ids=lambda each: str(each)[:20],
)
def test_each_change_and_what_is_none(before, after, found):
    assert changes(before, after) == (None if found is None else frozenset(found))


def test_depth_is_no_limit():
    before: Any = -0.0
    after: Any = 0.0
    for _ in range(50_000):
        before, after = [before], [after]
    assert changes(before, after) == {NEGATIVE_ZERO}
