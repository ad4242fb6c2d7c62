"""The size of a stored value, from what PostgreSQL and SQLite have of it, against what Airflow's own code makes of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.sizing.backend import Float64
from tests.unit.sizing.given import VALUES, has_doubt
from xcomctl.sizing.exact import span


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(VALUES, min_size=15, max_size=25))
def test_the_size_lies_in_the_span_and_is_known_wherever_no_number_is_in_doubt(airflow_and_postgres, values):
    for value, stored in zip(values, airflow_and_postgres.stored(values), strict=True):
        # SQLite has the text that was stored.
        assert span(stored.text, jsonb=False) == (stored.truth, stored.truth), value
        found = span(stored.jsonb, jsonb=True)
        assert found is not None, value
        low, high = found
        assert low <= stored.truth <= high, (value, found, stored)
        if not has_doubt(value):
            assert low == high, (value, found, stored)


#: A value, and how far apart the least and the most are.
KNOWN = [
    ([0.0], 1), ([-0.0], 1), (0.0, 1), ({"a": [0.0, -0.0, 0]}, 2), ("0.0", 0), ("1" * 20, 0), (10.05, 0),
    (1e16, 12), (10**16, 12), (10**16 + 1, 0), (1.2345678901234568e16, 5), (9999999999999998.0, 0), (10**15, 0),
    ([1e300, 1e22, 5e-324], 295 + 18), (10**400, 0), (1e-5, 0), ("é\x7f日😀\x01", 0),
    ([(), {"a": (1, (2,))}], 0), ((1, (2, {True: ()})), 0), ((), 0), (Float64(0.5), 0), ((Float64(0.5),), 0),
    ([Float64(1e16)], 12), ({None: 1, False: 2, 1.5: 3, 1e16: 4, 7: 5}, 0),
]  # fmt: skip


@pytest.mark.parametrize(("value", "apart"), KNOWN, ids=[repr(value)[:40] for value, _ in KNOWN])
def test_what_is_in_doubt_and_by_how_much(airflow_and_postgres, value, apart):
    (stored,) = airflow_and_postgres.stored([value])
    found = span(stored.jsonb, jsonb=True)
    assert found is not None
    assert (found[0] <= stored.truth <= found[1], found[1] - found[0]) == (True, apart)
    assert span(stored.text, jsonb=False) == (stored.truth, stored.truth)


@pytest.mark.parametrize("text", ["", "{", "nope", "'a'", "[1,]", "1 2", "[" * 200_000 + "]" * 200_000, "9" * 5000])
def test_what_python_cannot_read_has_no_span(text):
    assert span(text, jsonb=False) is None
    assert span(text, jsonb=True) is None


@pytest.mark.parametrize("text", ["NaN", "[Infinity, -Infinity]"])
def test_what_sqlite_holds_and_postgresql_does_not(text):
    assert span(text, jsonb=False) == (len(text), len(text))


def test_a_wrapper_that_is_deeper_than_python_goes_has_no_span():
    text = '{"__classname__": "builtins.tuple", "__version__": 1, "__data__": [' * 5_000 + "]}" * 5_000
    assert span(f"[{text}]", jsonb=False) is None
