"""What was seen of a context, with the lives of what hosts tasks there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from xcomctl.change.windows import with_lives
from xcomctl.model.barrier import HostingProcess
from xcomctl.model.suspects import Observation, windows

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def seen(*phases: tuple[float, str]) -> list[Observation]:
    return [Observation(at(minutes), phase, "worker", "verify") for minutes, phase in phases]


def process(minutes: float, phase: str | None, component: str = "celery worker") -> HostingProcess:
    return HostingProcess(component, "host", started=at(minutes), phase=phase)


def lives(observed: list[Observation], *processes: HostingProcess) -> list[tuple[str | None, str | None]]:
    found = with_lives(observed, processes)
    assert all(each.apart for each in found)
    return [(each.since, each.until) for each in found if each.phase == "inline"]


def test_a_worker_that_was_restarted_ends_the_window_although_the_scheduler_lives_on():
    observed = with_lives(seen((10, "inline"), (30, "dual-read")), [process(20, "dual-read")])
    (window,) = windows(observed, [(NOON, None)])
    assert (window.start.isoformat(), window.end and window.end.isoformat()) == (at(0), at(20))


def test_the_last_of_several_processes_ends_it():
    assert lives(seen((10, "inline")), process(20, "offload"), process(22, "offload")) == [(None, at(22))]


def test_where_processes_hide_their_settings_or_started_before_it_ends_when_it_was_seen_to_resolve():
    observed = seen((5, "offload"), (10, "inline"), (12, "inline"), (12, "offload"), (30, "offload"), (40, "offload"))
    assert lives(observed, process(20, None)) == [(None, at(30))] * 2
    assert lives(observed, process(8, "offload"), process(9, None)) == [(at(8), at(30))] * 2


def test_one_that_hands_paths_over_still_has_no_end():
    assert lives(seen((10, "inline"), (30, "inline")), process(8, "inline")) == [(at(8), None)] * 2
    assert lives(seen((10, "inline"), (30, "unknown")), process(20, "unknown")) == [(None, None)]


def test_where_a_scheduler_lives_its_rows_tell_of_it():
    observed = seen((10, "inline"), (30, "offload"))
    assert with_lives(observed, [process(20, "offload"), process(5, None, "scheduler")]) == observed
    assert with_lives(observed, []) == observed
