"""Windows: what was observed at a moment holds for the life of the scheduler that was alive then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from xcomctl.model.suspects import Observation, Ran, Window, suspects, windows

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


@pytest.mark.parametrize(
    ("since", "until", "inside", "outside"),
    [
        (5, 17, (5, 17), (4, 18)),  # it outlived one scheduler, and the next one outlived it
        (None, 17, (11, 17), (10, 18)),
        (5, None, (5, 25, 1000), (4,)),
    ],
)
def test_a_worker_lives_a_life_of_its_own(since, until, inside, outside):
    life = {name: at(value).isoformat() for name, value in (("since", since), ("until", until)) if value is not None}
    (window,) = windows([replace(seen(15, "inline"), apart=True, **life)], LIVES)
    assert all(window.holds(at(minutes)) for minutes in inside)
    assert not any(window.holds(at(minutes)) for minutes in outside)


BAD = [Window(at(10), at(20), "inline", "scheduler was inline")]


@pytest.mark.parametrize(
    ("starts", "ended", "first", "started", "ran_on", "inside"),
    [
        ((15,), 16, 12, True, False, True),  # the usual one
        ((15,), None, 12, True, False, True),
        ((11,), 12, 12, False, False, True),  # over when the first reference came
        ((11,), 30, 12, False, True, True),  # it may still pull what is pushed beside it
        ((11,), None, 12, False, True, True),
        ((15,), 16, None, False, False, True),  # the run holds no reference: another one may
        ((5,), 30, 12, False, False, False),  # started before the window, so with other settings
        ((21,), 22, 12, False, False, False),
        ((15, 25), 26, 12, True, False, True),  # deferred under inline, and resumed after it
        ((5, 15), 16, 12, True, False, True),
        ((), None, 12, False, False, False),
    ],
)
def test_who_may_have_read_a_path_string(starts, ended, first, started, ran_on, inside):
    ran = Ran("task", tuple(at(minutes) for minutes in starts), None if ended is None else at(ended))
    found = suspects([ran], BAD, None if first is None else at(first))
    assert ("task" in found.started, "task" in found.ran_on, "task" in found.inside) == (started, ran_on, inside)
    assert not started or found.started["task"] is BAD[0]


def test_without_a_window_nobody_is_a_suspect():
    assert suspects([Ran("task", (at(1),))], [], at(0)).inside == {}
