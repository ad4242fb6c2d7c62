"""Windows: what was observed at a moment holds for the life of the scheduler that was alive then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from xcomctl.model.suspects import Observation, windows

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


LIVES = [(at(0), at(10)), (at(11), at(20)), (at(21), None)]


def seen(minutes: float, phase: str) -> Observation:
    return Observation(at(minutes).isoformat().replace("+00:00", "Z"), phase, "scheduler", "verify")


@pytest.mark.parametrize(
    ("observed", "inside", "outside"),
    [
        (seen(15, "inline"), (11, 12, 20), (10, 10.5, 21)),
        (seen(30, "misconfigured"), (21, 25, 1000), (20,)),
    ],
)
def test_a_window_is_the_life_of_the_scheduler(observed, inside, outside):
    (window,) = windows([observed], LIVES)
    assert all(window.holds(at(minutes)) for minutes in inside)
    assert not any(window.holds(at(minutes)) for minutes in outside)
    assert "scheduler was" in window.because and "(verify)" in window.because


@pytest.mark.parametrize("observed", [seen(15, "offload"), seen(15, "dual-read"), seen(10.5, "inline")])
def test_no_window_for_phases_that_resolve_or_when_nobody_lived(observed):
    assert windows([observed], LIVES) == []
