"""What is said of a threshold on a real PostgreSQL, against what the backend would do: right, or counted as uncertain."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.sizing.backend import Float64, Judged
from tests.unit.sizing.given import LEAVES, VALUES, has_doubt

SEVENTEEN = [1.2345678901234568e16 + 2 * n for n in range(3000)]
SMALL = [1.5e-5 + n / 1e7 for n in range(300)]
#: What makes the database's text longer than json.dumps, and what makes it shorter.
SHAPES = {
    "Cyrillic": "я" * 3000,
    "Cyrillic, twice": ["я" * 3000] * 2,
    "CJK": "日本" * 2000,
    "emoji": "😀" * 1000,
    "DEL": "\x7f" * 20_000,
    "DEL and Cyrillic": "\x7f" * 300 + "я" * 3000,
    "C1": "\x80" * 3000,
    "one e acute": "x" * 500 + "é",
    "keys": {f"ключ {n}": n for n in range(300)},
    "1e300": [1e300] * 1000,
    "one 1e300": 1e300,
    "-1e300": [-1e300] * 50,
    "hundreds of digits": [*[10**600] * 60, ()],
    "thousands of digits": [*[10**4299] * 9, ()],
    "whole floats": SEVENTEEN,
    "a few whole floats": SEVENTEEN[:4],
    "negative whole floats": [-each for each in SEVENTEEN[:300]],
    "whole numbers": [10**17 + 2 * n for n in range(3000)],
    "-0.0": [-0.0] * 3000,
    "one -0.0": -0.0,
    "5e-324": [5e-324] * 1000,
    "-5e-324": [-5e-324] * 300,
    "1e-5": SMALL,
    "tuples": [(n,) for n in range(500)],
    "a tuple of tuples": tuple((n,) for n in range(100)),
    "numpy.float64": [Float64(n / 7) for n in range(500)],
    "one numpy.float64": Float64(0.5),
    "numpy.float64 of 1e300": [Float64(1e300)] * 200,
    "a tuple and Cyrillic": [(), "я" * 3000],
    # Each alone is too little to reach the threshold.
    "whole floats and Cyrillic": [*SEVENTEEN, "я" * 30_000],
    "whole floats and e acute": [*SEVENTEEN[:300], "é" * 300],
    "-0.0 and e acute": [*[-0.0] * 1000, "é" * 3000],
    "1e300 and Cyrillic": [*[1e300] * 100, "я" * 20_000],
    "random": random.Random(3).randbytes(9000).decode("latin-1").replace("\x00", ""),
    "ASCII": ["plain text"] * 1000,
}  # fmt: skip
#: Those whose text is just as long.
HARMLESS = ("a tuple of tuples", "whole numbers", "ASCII")


def is_right(each: Judged) -> bool:
    """Whether nothing wrong was said."""
    reaches = int(each.truth >= each.threshold)
    if each.uncertain:
        return (each.values, each.exact) == (0, False)
    known = each.bytes <= each.truth if each.measured else each.bytes == reaches * each.size
    return (each.values, each.exact) == (reaches, True) and known


def is_tripped(each: Judged) -> bool:
    """Whether the database's own figure is on the other side of the threshold."""
    return (each.size >= each.threshold) != (each.truth >= each.threshold)


@pytest.fixture(scope="module")
def judged(airflow_and_postgres) -> dict[str, list[Judged]]:
    return dict(zip(SHAPES, airflow_and_postgres.judged(list(SHAPES.values())), strict=True))


@pytest.mark.parametrize("name", SHAPES)
def test_what_trips_the_database_s_figure_is_measured(judged, name):
    assert len(judged[name]) >= 6
    assert any(is_tripped(each) for each in judged[name]) == (name not in HARMLESS)
    assert [each for each in judged[name] if not is_right(each)] == []
    assert has_doubt(SHAPES[name]) or not any(each.uncertain for each in judged[name])


#: Some of these many times, so that it is large and stored apart or compressed; and mixed.
PARTS = st.tuples(
    LEAVES
    | VALUES
    | st.sampled_from([1e300, -0.0, 1.2345678901234568e16, "é", "\x7f", "я日😀", (), Float64(0.1), 1e-5]),
    st.sampled_from([1, 2, 7, 60, 500]),
)
LARGE = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: [part for part, many in parts for _ in range(many)])


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(LARGE | LARGE | VALUES, min_size=4, max_size=10))
def test_a_threshold_near_a_value_is_judged_right_or_the_value_is_uncertain(airflow_and_postgres, values):
    for value, found in zip(values, airflow_and_postgres.judged(values), strict=True):
        for each in found:
            assert is_right(each), (value, each)
            assert not each.uncertain or has_doubt(value), (value, each)


def test_beyond_the_cap_values_are_uncertain_and_none_is_guessed(airflow_and_postgres):
    for name, found in zip(SHAPES, airflow_and_postgres.judged(list(SHAPES.values()), most=0), strict=True):
        assert [each for each in found if not is_right(each) or each.measured] == [], name
        assert all(each.uncertain for each in found if is_tripped(each)), name
