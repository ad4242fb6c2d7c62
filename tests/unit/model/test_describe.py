"""Which values count as the same: type and value at every depth, and nothing else."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import pytest

from xcomctl.model.describe import digest, same

VIENNA = zoneinfo.ZoneInfo("Europe/Vienna")
NIGHT = datetime.datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 — that it has no zone is the point


class Text(str):
    """A text that says the same whatever it is."""

    def __repr__(self) -> str:
        return "Text()"


class Moment(datetime.datetime):
    """As pendulum's: its ``repr`` leaves the fold out."""

    def __repr__(self) -> str:
        return f"Moment({self.isoformat()})"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (True, 1),
        (1, 1.0),
        (2**53 + 1, float(2**53)),
        (None, "None"),
        ("1", 1),
        ("a", Text("a")),
        (Text("a"), Text("b")),
        ("e\u0301", "\u00e9"),
        ("\ud800", "\\ud800"),
        ("\ud800", "\udfff"),
        ("a", b"a"),
        ([1, 2], (1, 2)),
        ([[1]], [(1,)]),
        ({1, 2}, frozenset({1, 2})),
        ({"a": 1}, {"a": True}),
        ({1: "a"}, {"1": "a"}),
        ({True: "a"}, {"True": "a"}),
        ([float("nan")], [None]),
        (NIGHT, NIGHT.replace(tzinfo=datetime.UTC)),
        (NIGHT.replace(tzinfo=datetime.UTC), NIGHT.replace(tzinfo=zoneinfo.ZoneInfo("UTC"))),
        (NIGHT.replace(tzinfo=VIENNA), NIGHT.replace(tzinfo=VIENNA, fold=1)),
        (Moment(2026, 10, 25, 2, 30), Moment(2026, 10, 25, 2, 30, fold=1)),
        (NIGHT.date(), NIGHT),
        (["a,b"], ["a", "b"]),
    ],
    ids=repr,
)
def test_these_two_differ(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (float("nan"), float("nan")),
        ([float("nan")], [float("nan")]),
        (-0.0, -0.0),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({3, 1, 2}, {2, 3, 1}),
        ("\ud800", "\ud800"),
        (NIGHT.replace(tzinfo=VIENNA, fold=1), NIGHT.replace(tzinfo=VIENNA, fold=1)),
        (Text("a"), Text("a")),
    ],
    ids=repr,
)
def test_these_two_are_the_same(one: Any, other: Any) -> None:
    assert same(one, other)
    assert digest(one) == digest(other)
