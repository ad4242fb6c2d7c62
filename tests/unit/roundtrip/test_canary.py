"""The value that is pushed through the real backend."""

from __future__ import annotations

import json

import pytest

from xcomctl.roundtrip.canary import value_of


@pytest.mark.parametrize("threshold", [100, 101, 20_000, 1_600_000])
def test_it_is_one_byte_larger_than_the_threshold(threshold: int) -> None:
    assert len(json.dumps(value_of(threshold))) == threshold + 1
    assert value_of(threshold) == value_of(threshold)


def test_it_exceeds_a_threshold_of_nothing() -> None:
    assert len(json.dumps(value_of(0))) > 0
