"""What a look finds, and what a re-trigger comes to."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from xcomctl.model.retrigger import (
    OTHER,
    SUSPECT,
    HandedOn,
    HeldBefore,
    Span,
    SuspectInstance,
    SuspectRun,
    SuspectsAnswer,
    SuspectsQuery,
    plan_hash,
    span,
)
from xcomctl.model.retriggered import Cleared, Found, Outcome, Watched
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Verdict

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)
WINDOW = Span("2026-06-06T12:00:00+00:00", None, "inline", "it was seen")


def instance(task_id: str, state: str | None = "success", clear: bool = True, index: int = -1) -> SuspectInstance:
    return SuspectInstance(task_id, index, state, SUSPECT if clear else OTHER, "because", clear)


def run(*instances: SuspectInstance, run_id: str = "run") -> SuspectRun:
    return SuspectRun("dag", run_id, "success", 1, 0, instances)


def found(*runs: SuspectRun, kill: tuple[str, ...] = ()) -> Found:
    return Found(runs, SuspectsAnswer("s3://b/x", (WINDOW,)), frozenset(kill))


@pytest.mark.parametrize(
    "record",
    [
        SuspectsQuery(
            observations=(Observation("2026-06-06T12:00:00Z", "inline", "here"),),
            windows=(WINDOW,),
            include=("dag.task",),
            held=(HeldBefore("dag", "run", "2026-06-06T11:00:00+00:00"),),
        ),
        replace(run(instance("a", index=3)), partly=("a",), warnings=("w",), paused=True, first="2026-06-06T11:00:00Z"),
        SuspectsAnswer("s3://b/x", (WINDOW,), 2, 1, (HandedOn("dag", "run"),), ("w",)),
        SuspectsAnswer("s3://b/x", (), stored=3, first=HeldBefore("dag", "run", "2026-06-06T11:00:00+00:00")),
    ],
)
def test_records_survive_the_wire(record):
    assert type(record).from_json(json.loads(json.dumps(record.to_json()))) == record


def test_the_hash_of_a_plan_is_that_of_what_is_cleared_in_whatever_order():
    one, other = run(instance("a"), instance("b"), run_id="1"), run(instance("c"), run_id="2")
    assert plan_hash([one, other]) == plan_hash([other, replace(one, instances=one.instances[::-1])])
    assert plan_hash([replace(one, state="failed", instances=(*one.instances, instance("x", clear=False)))]) == plan_hash([one])  # fmt: skip
    assert len({plan_hash([]), plan_hash([one]), plan_hash([other]), plan_hash([run(instance("a", index=1))])}) == 4


def test_a_run_waits_for_what_runs_unless_it_may_be_killed():
    held = run(instance("a"), instance("b", "running"))
    free = run(instance("a"), instance("x", "running", clear=False), run_id="free")
    assert [each.name for each in held.held_by(())] == ["b"]
    assert found(held, free).clearable == (free,) and found(held, free).held == (held,)
    assert found(held, free, kill=("dag.b",)).clearable == (held, free)
    assert found(held, kill=("other.b",)).held == (held,)


def test_a_window_that_somebody_names_has_times_with_zones_in_their_order():
    assert span(NOON, None, "inline", "said").window.holds(NOON)
    for start, end in ((NOON, NOON.replace(hour=11)), (NOON.replace(tzinfo=None), None), (NOON, datetime(2027, 1, 1))):  # noqa: DTZ001
        with pytest.raises(ValueError, match=r"zone|before"):
            span(start, end, "inline", "said")


@pytest.mark.parametrize(
    ("states", "verdict"),
    [
        ((), Verdict.OK),
        (("success", "success"), Verdict.OK),
        (("success", "running"), Verdict.INCONCLUSIVE),
        (("queued", "failed"), Verdict.FAILED),
        (("success", None), Verdict.FAILED),
    ],
)
def test_green_again_not_green_or_not_seen_in_time(states, verdict):
    watched = tuple(Watched("dag", str(number), state) for number, state in enumerate(states))
    assert Outcome(watched=watched).verdict(found()) is verdict


def test_what_could_not_be_cleared_yet_is_inconclusive():
    green = (Watched("dag", "run", "success"),)
    held = found(run(instance("a", "running")))
    assert Outcome(watched=green).verdict(held) is Verdict.INCONCLUSIVE
    assert Outcome(watched=green, paused=(("dag", "p"),)).verdict(found()) is Verdict.INCONCLUSIVE
    began = ((run(instance("a")), Cleared((), running=("a",))),)
    assert Outcome(began, green).verdict(found()) is Verdict.INCONCLUSIVE
