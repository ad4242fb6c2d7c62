"""What fits only in the store: exactly what PostgreSQL's JSONB refuses."""

from __future__ import annotations

import json

import pytest

from xcomctl.references import fits
from xcomctl.references.fits import misfit


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"a": [1.5, float("nan")]}, "NaN"),
        (float("-inf"), "-Infinity"),
        ({"\x00": 1}, r"\u0000"),
        (["a\x00b"], r"\u0000"),
        ("\ud800", "surrogate"),
        ({"k": {"\udfff": 1}}, "surrogate"),
    ],
)
def test_what_jsonb_refuses(value, why):
    found = misfit(json.dumps(value).encode())
    assert found is not None and why in found


@pytest.mark.parametrize("value", [None, 1e16, -0.0, "NaN", "\U0001f600", r"\u0000", {"a": [[]] * 50}, 2**70])
def test_what_it_takes(value):
    """Text that only looks like it, a whole surrogate pair, and numbers that it changes but keeps."""
    assert misfit(json.dumps(value).encode()) is None


def test_nesting(monkeypatch):
    assert misfit(b"[" * 100_000 + b"]" * 100_000) == "is nested too deeply"
    monkeypatch.setattr(fits, "DEEPEST", 3)
    assert misfit(b"[[[]]]") is None
    assert misfit(b"[[[[]]]]") == "is nested too deeply"


def test_a_string_longer_than_an_entry_of_jsonb_may_be(monkeypatch):
    monkeypatch.setattr(fits, "LONGEST_STRING", 8)
    assert misfit(json.dumps("12345678").encode()) is None
    assert misfit(json.dumps("123456789").encode()) == "holds a string above 256 MB"
    assert misfit(json.dumps("éééé" + "é").encode()) == "holds a string above 256 MB"  # bytes count


def test_what_is_no_json_raises():
    with pytest.raises(ValueError):
        misfit(b"{")
