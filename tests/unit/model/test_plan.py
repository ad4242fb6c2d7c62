"""The plan's verdict and what to type next follow from the gates of its first step."""

from __future__ import annotations

import pytest

from xcomctl.model.plan import (
    READY,
    REFUSED,
    UNKNOWN,
    Above,
    Misfit,
    PlannedStep,
    PlanReport,
    StepFactsAnswer,
    digest,
    state_of,
)
from xcomctl.model.verdicts import Check, Status, Verdict


def gate(status, hint=""):
    return Check("gate", "gates", "a gate", status, hint=hint)


def report(*steps, start="inline"):
    return PlanReport("2026-06-06T12:00:00Z", None, start, "offload", "", {}, steps)


def planned(*gates):
    return PlannedStep("inline", "dual-read", "up", state_of(gates), "", gates, ("flip", "# deploy", "wait"))


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ((), READY),
        ((Status.OK, Status.WARN), READY),
        ((Status.SKIP, Status.OK), UNKNOWN),
        ((Status.SKIP, Status.FAIL), REFUSED),
    ],
)
def test_what_could_not_be_told_is_in_the_way_too(statuses, state):
    assert state_of(tuple(gate(status) for status in statuses)) == state


def test_a_step_that_can_be_taken_gives_its_commands_without_what_is_done_by_hand():
    ready = report(planned(gate(Status.OK)))
    assert (ready.verdict, ready.next_steps) == (Verdict.OK, ("flip", "wait"))


def test_one_that_cannot_gives_what_unblocks_it():
    refused = report(
        planned(gate(Status.FAIL, "do this"), gate(Status.WARN, "not this"), gate(Status.SKIP, "look here"))
    )
    assert (refused.verdict, refused.next_steps) == (Verdict.REFUSED, ("do this", "look here"))
    assert report(planned(gate(Status.SKIP))).verdict is Verdict.INCONCLUSIVE


def test_nothing_to_do_is_ok_and_nowhere_to_start_is_inconclusive():
    assert (report().verdict, report().next_steps) == (Verdict.OK, ())
    assert report(start=None).verdict is Verdict.INCONCLUSIVE
    assert report(start=None).to_json()["exit_code"] == 5


def test_facts_survive_the_wire():
    answer = StepFactsAnswer(
        "jsonb", Above(1, 2, 3, 4, True), 5, 4, 1, (Misfit("d", "r", "t", -1, "k", "why"),), 1, "gone"
    )
    assert StepFactsAnswer.from_json(answer.to_json()) == answer


def test_the_hash_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
