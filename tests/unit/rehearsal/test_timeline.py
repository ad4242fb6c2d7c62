"""A step fails with the observation that it lacks, and everything is recorded wherever it stops."""

from __future__ import annotations

import io

import pytest

from xcomctl.model.verdicts import Status
from xcomctl.rehearsal.timeline import ObservationMissing, Timeline
from xcomctl.report.progress import progress_for


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(progress_for(io.StringIO()))


def test_a_step_with_all_its_observations(timeline: Timeline) -> None:
    with timeline.step("break", "Break it") as step:
        step.require("seen", "It broke", True, "3 of 3", hint="not shown when seen")
    (check,) = timeline.checks
    assert (check.id, check.category, check.status, check.hint) == ("seen", "break", Status.OK, "")
    assert timeline.steps[0].status is Status.OK
    assert timeline.open_steps == []


def test_a_missing_observation_fails_the_step_after_the_others_were_made(timeline: Timeline) -> None:
    with pytest.raises(ObservationMissing, match="first: nothing happened") as caught, timeline.step("b", "B") as step:
        step.require("first", "It broke", False, "nothing happened", hint="look at X")
        step.require("second", "It was noticed", True, "it was")
    assert [check.status for check in timeline.checks] == [Status.FAIL, Status.OK]
    assert [check.hint for check in caught.value.checks] == ["look at X"]
    assert timeline.steps[0].status is Status.FAIL
    assert timeline.open_steps == ["b"]


def test_a_warning_does_not_fail_the_step(timeline: Timeline) -> None:
    with timeline.step("left", "Look") as step:
        step.warn("stranded", "References stay", "3 references", "stay in dual-read")
    assert timeline.steps[0].status is Status.WARN


def test_an_interrupted_step_is_neither_ok_nor_failed(timeline: Timeline) -> None:
    with pytest.raises(KeyboardInterrupt), timeline.step("run", "Run"):
        raise KeyboardInterrupt
    assert timeline.steps[0].status is Status.SKIP
    assert timeline.steps[0].detail == "interrupted"
    assert timeline.open_steps == ["run"]


def test_spans_are_recorded_also_when_they_end_badly(timeline: Timeline) -> None:
    with pytest.raises(ValueError), timeline.span("restart", "restart into offload"):
        raise ValueError
    assert [(span.lane, span.label) for span in timeline.spans] == [("restart", "restart into offload")]
    assert timeline.spans[0].end_s >= timeline.spans[0].start_s


def test_a_step_knows_its_scenario() -> None:
    timeline = Timeline(progress_for(io.StringIO()))
    with timeline.step("start", "Start"):
        pass
    timeline.scenario = "soft"
    with timeline.step("soft_in_flight", "Leave a run in flight"):
        pass
    assert [(step.id, step.scenario) for step in timeline.steps] == [("start", ""), ("soft_in_flight", "soft")]
