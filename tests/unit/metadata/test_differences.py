from __future__ import annotations

import json
from datetime import date, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.metadata.differences import LONGEST_KEY, parsed_again, refused_key


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("20260606", "int"), ("1e5", "float"), ("NaN", "float"), ("true", "bool"), ("null", "NoneType"),
        (' {"a": 1}\n', "dict"), ("[]", "list"), ('"quoted"', "str"), ("[" * 100_000, "RecursionError"),
        ("", None), ("2026-06-06", None), ("True", None), ("[INFO] done", None), ("1_000", None), ("\u00a01", None),
        ("9" * 5_000, None),  # longer than Python turns into a number: a ValueError, which the backend catches
    ],
)  # fmt: skip
def test_a_string_that_parses_becomes_something_else(text, becomes):
    assert parsed_again(text) == becomes


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_json_text_never_stays_itself(value):
    assert parsed_again(json.dumps(value)) == type(value).__name__


keys = st.one_of(
    st.tuples(
        st.integers() | st.text(max_size=5) | st.booleans() | st.none(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    st.just(()),
    st.tuples(st.dates()),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(timezone(timedelta(hours=-3, minutes=30)))),
)


@given(keys)
def test_what_airflow_makes_of_a_tuple_or_a_date_is_recognised(key):
    stored = str(key)
    assert refused_key({stored: 1}) == stored
    assert refused_key([{"a": {"b": [{stored: 1}]}}]) == stored
    # In a tuple within something the keys are refused, in one at the top they are made text of.
    wrapped = {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [{stored: 1}]}
    assert refused_key([wrapped]) == stored
    assert refused_key(wrapped) is None
    assert refused_key([{"__classname__": "a.Class", "__version__": 1, "__data__": {stored: 1}}]) is None
    # As a value it is nobody's key.
    assert refused_key({"key": stored, "keys": [stored]}) is None


@pytest.mark.parametrize(
    "key",
    [
        "", "a", "2026", "2026-01", "2026-01-01T00:00:00", "2026-01-01 ", "x 2026-01-01", "(see below)", "(1)", "()x",
        "(1, 2", "[1, 2]", "1, 2", "(a, b)", "(" + "1, " * LONGEST_KEY + ")", "(" * 190 + ")", "(\\d, )", "(\0,)",
    ],
)  # fmt: skip
def test_other_keys_are_text(key):
    assert refused_key({key: 1}) is None


@pytest.mark.parametrize("value", [None, 1, "(1, 2)", [], {}, [[]], {"a": None}])
def test_values_without_such_keys(value):
    assert refused_key(value) is None


def test_a_value_that_is_nested_deep_is_looked_into():
    value = {str(date(2026, 1, 1)): 1}
    for _ in range(50_000):
        value = [value]
    assert refused_key(value) == "2026-01-01"
    assert refused_key({"2026-01-01 00:00:00": 1}) == "2026-01-01 00:00:00"
