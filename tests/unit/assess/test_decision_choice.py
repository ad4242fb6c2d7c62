"""Which threshold, and whether somebody decided on it: never a decision that was about another one."""

from __future__ import annotations

import datetime

import pytest

from tests.unit.report import size_samples
from xcomctl.assess.decision_choice import Said, choose
from xcomctl.errors import UserError
from xcomctl.model.decision import Choice, Decided, Evidence, State

TODAY = datetime.date(2026, 11, 26)
SIZE = Evidence(size=size_samples.typical())
SUGGESTED = 1_600_000


def chosen(said: Said = Said(), state: State = State(), evidence: Evidence = SIZE) -> Choice:  # noqa: B008
    return choose(said, state, evidence, TODAY)


def test_the_suggestion_is_offered_and_nobody_has_decided():
    choice = chosen()
    assert (choice.threshold, choice.decided, choice.state) == (SUGGESTED, None, State())
    assert choice.why.startswith("near-inert: ")


def test_without_a_measurement_there_is_none_to_decide_on():
    assert chosen(evidence=Evidence()).threshold is None
    with pytest.raises(UserError, match="no threshold to decide on"):
        chosen(Said(by="Ann"), evidence=Evidence())


def test_what_was_decided_is_remembered_and_stays_when_the_suggestion_moves():
    first = chosen(Said(by="Ann", threshold=2_000_000))
    assert first.decided == Decided(2_000_000, "Ann", "2026-11-26")
    assert "named by hand" in first.why
    later = chosen(state=first.state)
    assert (later.threshold, later.decided) == (2_000_000, first.decided)
    again = choose(Said(by="Ann"), first.state, SIZE, TODAY + datetime.timedelta(days=3))
    assert again == later, "the date moved on its own"


def test_another_threshold_is_not_decided_until_somebody_does():
    first = chosen(Said(by="Ann"))
    moved = chosen(Said(threshold=2_000_000), state=first.state)
    assert (moved.threshold, moved.decided, moved.before) == (2_000_000, None, first.decided)
    assert chosen(state=moved.state) == moved
    assert chosen(Said(threshold=SUGGESTED), state=moved.state).decided == first.decided
    assert chosen(Said(by="Bob", at="2026-12-01"), state=moved.state).decided == Decided(2_000_000, "Bob", "2026-12-01")


def test_the_same_person_again_with_another_date():
    first = chosen(Said(by="Ann", at="2026-11-20"))
    assert chosen(Said(by="Ann"), first.state).decided == first.decided
    moved = chosen(Said(by="Ann", at="2026-11-24"), first.state).decided
    assert moved is not None and moved.at == "2026-11-24"


def test_a_secret_in_a_name_is_taken_out():
    decided = chosen(Said(by="Ann password=hunter2")).decided
    assert decided is not None and "hunter2" not in decided.by
