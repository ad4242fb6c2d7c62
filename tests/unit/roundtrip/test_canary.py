"""The value that is pushed through the real backend."""

from __future__ import annotations

import json
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest

from xcomctl.roundtrip import canary
from xcomctl.roundtrip.canary import folder_of, is_run_id, is_value, new_run_id, size_of, value_of
from xcomctl.store.opened import Tried


@pytest.mark.parametrize("threshold", [100, 101, 20_000, 1_600_000])
def test_it_is_one_byte_larger_than_the_threshold(threshold: int) -> None:
    assert len(json.dumps(value_of(threshold))) == threshold + 1
    assert value_of(threshold) == value_of(threshold)


def test_it_exceeds_a_threshold_of_nothing() -> None:
    assert len(json.dumps(value_of(0))) > 0


def test_what_comes_back_is_compared_in_types_too() -> None:
    value = value_of(200)
    assert is_value(json.loads(json.dumps(value)), value)
    for other in (
        {**value, "nothing": 0},
        {**value, "numbers": (1, 2.5, -3)},
        {**value, "filled": "y"},
        "a path",
        None,
    ):
        assert not is_value(other, value)


def test_a_large_one_is_not_copied_to_be_measured_and_compared() -> None:
    size = 8_000_000
    value = value_of(size)
    got = dict(value)
    tracemalloc.start()
    try:
        assert size_of(value) == size + 1
        assert is_value(got, value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 10


def test_only_a_folder_of_our_own_is_removed() -> None:
    run_id = new_run_id()
    assert is_run_id(run_id)
    assert folder_of(run_id) == f"xcomctl_preflight/{run_id}"
    for other in ("", "canary-", "scheduled__2026-06-06", f"{run_id}/..", f"../{run_id}"):
        assert not is_run_id(other)
        with pytest.raises(ValueError, match="no run of a canary"):
            folder_of(other)


@pytest.mark.parametrize(
    ("error", "left"), [(None, False), (FileNotFoundError("nothing there"), False), (PermissionError("no"), True)]
)
def test_what_cannot_be_looked_for_may_be_left(error: Exception | None, left: bool) -> None:
    store: Any = SimpleNamespace(
        root="bucket/xcom",
        is_local=False,
        fs=SimpleNamespace(),
        uri=lambda below: f"s3://conn@bucket/xcom/{below}",
        attempt=lambda work: Tried(None, error),
    )
    run_id = new_run_id()
    assert canary.remove(store, run_id) == (f"s3://conn@bucket/xcom/xcomctl_preflight/{run_id}" if left else None)
