"""The decision of the barrier, line by line of DESIGN §2. What each line is for: ``tests/unit/change/test_protocol_model.py``."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from xcomctl.model.barrier import (
    Accepted,
    Barrier,
    Evidence,
    HostingProcess,
    LeftInstance,
    Pod,
    QueuedInstance,
    RunningInstance,
    judge,
    judge_stopped,
)
from xcomctl.model.phases import Phase

NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)
MARGIN = timedelta(seconds=30)
OUTLIVES = timedelta(seconds=360)


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


#: The old scheduler went at 100, the new one was up at 60: T is 100.
OLD = HostingProcess("scheduler", "old", 1, at(-9000), "dual-read", "scheduler", at(100))
NEW = HostingProcess("scheduler", "new", 2, at(60), "offload", "scheduler")
CALM = Evidence(now=at(1000), contexts=("scheduler",), processes=(OLD, NEW))


def ask(evidence: Evidence = CALM, **changes) -> Barrier:
    options = {"margin": MARGIN, "outlives": OUTLIVES}
    kept = {name: changes.pop(name) for name in ("accepted", "following", "not_before") if name in changes}
    return judge(Phase.OFFLOAD, replace(evidence, **changes), **options, **kept)


def running(started, state="running", task="load", queued=None) -> RunningInstance:
    return RunningInstance("etl", "r1", task, -1, state, started, "w1", queued)


def only(barrier: Barrier):
    (blocker,) = barrier.blockers
    assert barrier.passage == "blocked"
    return blocker


def test_nothing_old_left_is_passed_at_the_moment_when_the_last_old_process_went():
    barrier = ask()
    assert barrier.passed and barrier.moment == at(100)
    assert (barrier.blockers, barrier.unknown, barrier.accepted) == ((), (), ())


@pytest.mark.parametrize(
    ("processes", "moment"),
    [
        ((NEW,), at(60)),
        ((NEW, replace(NEW, host="b", started=at(70))), at(70)),
        ((NEW, replace(OLD, ended=at(30))), at(60)),
        # One that was new and went again hosted nothing old.
        ((NEW, replace(NEW, host="b", ended=at(500))), at(60)),
        # What is gone and never told what it was counts as old.
        ((NEW, replace(OLD, phase=None, ended=at(300))), at(300)),
    ],
)
def test_the_moment_is_when_the_last_new_one_is_up_and_the_last_old_one_gone(processes, moment):
    assert ask(processes=processes).moment == moment


def test_a_moment_that_no_record_is_left_of_can_be_told():
    assert ask(not_before=at(250)).moment == at(250)
    assert ask(not_before=at(20)).moment == at(100)


@pytest.mark.parametrize("phase", ["dual-read", "inline", "misconfigured", "unknown"])
def test_an_old_process_that_lives_blocks_and_so_does_all_that_runs(phase):
    barrier = ask(processes=(replace(OLD, phase=phase, ended=None), NEW), running=(running(at(999)),))
    assert barrier.passage == "blocked" and barrier.moment is None
    assert [(blocker.kind, blocker.since) for blocker in barrier.blockers] == [
        ("process", at(-9000)),
        ("running", at(999)),
    ]
    assert phase in barrier.blockers[0].reason


def test_a_context_in_which_nothing_is_up_is_no_proof_of_the_new_phase():
    blocker = only(ask(contexts=("scheduler", "celery")))
    assert (blocker.kind, blocker.name, blocker.since) == ("process", "celery", None)
    assert only(ask(processes=(OLD,))).name == "scheduler"


@pytest.mark.parametrize(
    ("process", "words"),
    [
        (HostingProcess("host", "w9"), "w9 is covered by no context"),
        (replace(NEW, host="w9", context=None), "(pid 2) is covered by no context"),
        (replace(NEW, host="w9", phase=None), "a fresh exec there is no proof"),
        (replace(NEW, host="w9", started=None), "not known when"),
    ],
)
def test_a_process_of_which_too_little_is_known_is_inconclusive(process, words):
    barrier = ask(processes=(OLD, NEW, process))
    assert barrier.passage == "inconclusive" and barrier.moment is None
    assert len(barrier.unknown) == 1 and words in barrier.unknown[0]
    # What is surely old blocks all the same.
    assert ask(processes=(OLD, NEW, process), running=(running(at(-5)),)).passage == "blocked"


def test_no_context_at_all_and_what_the_caller_could_not_look_at_are_inconclusive():
    assert ask(contexts=(), processes=()).unknown == ("no context that starts or hosts tasks is known",)
    assert ask(unknown=("w3 does not answer",)).unknown == ("w3 does not answer",)
    assert ask(unknown=("w3 does not answer",)).passage == "inconclusive"


@pytest.mark.parametrize("state", ["running", "restarting"])
@pytest.mark.parametrize(
    ("started", "blocks"), [(None, True), (at(-5), True), (at(100), True), (at(130), True), (at(131), False)]
)
def test_what_runs_since_before_the_moment_and_the_margin_blocks(started, blocks, state):
    barrier = ask(running=(running(started, state),))
    assert barrier.passed is not blocks
    if blocks:
        blocker = only(barrier)
        assert (blocker.kind, blocker.name, blocker.since, blocker.host) == ("running", "etl.load of r1", started, "w1")
        assert state in blocker.reason and ("db clean" in blocker.reason) is (started is None)
        assert blocker.ways_out[-1] == "--accept etl.load"


@pytest.mark.parametrize(
    ("queued", "started", "blocks"),
    [
        (None, 131, False),
        (at(131), 131, False),
        # Its process may have been there since it was queued: for as long as a process outlives its parent.
        (at(130), 131, True),
        (at(130), 490, True),
        (at(130), 491, False),
    ],
)
def test_what_was_queued_before_and_started_soon_after_may_have_had_its_process_before(queued, started, blocks):
    barrier = ask(running=(running(at(started), queued=queued),))
    assert barrier.passed is not blocks
    if blocks:
        assert "queued before" in only(barrier).reason


@pytest.mark.parametrize(("queued", "blocks"), [(None, True), (at(-5), True), (at(130), True), (at(131), False)])
def test_what_was_queued_before_blocks(queued, blocks):
    barrier = ask(queued=(QueuedInstance("etl", "r1", "load", 3, queued),))
    assert barrier.passed is not blocks
    if blocks:
        blocker = only(barrier)
        assert (blocker.name, blocker.ways_out[1]) == ("etl.load[3] of r1", "clear it")


def test_the_way_out_for_a_queued_instance_with_a_pod_is_the_pod_since_clearing_leaves_it():
    pod = Pod("etl-load-x1", at(50), "airflow", "etl", "r1", "load", 3)
    barrier = ask(queued=(QueuedInstance("etl", "r1", "load", 3, at(40)),), pods=(pod,))
    queued, of_pod = barrier.blockers
    assert (queued.kind, of_pod.kind) == ("queued", "pod")
    assert "delete the pod etl-load-x1" in queued.ways_out and "clear it" not in queued.ways_out


@pytest.mark.parametrize(("created", "blocks"), [(at(-5), True), (at(130), True), (at(131), False)])
def test_a_pod_created_before_blocks_whatever_its_instance_does(created, blocks):
    assert ask(pods=(Pod("step-x1", created),)).passed is not blocks


@pytest.mark.parametrize(("creator", "blocks"), [(None, False), (at(-5), True), (at(130), True), (at(131), False)])
def test_a_pod_that_an_old_process_made_later_blocks(creator, blocks):
    barrier = ask(pods=(Pod("step-x1", at(500), creator_began=creator),))
    assert barrier.passed is not blocks
    if blocks:
        assert "by a process that started before" in only(barrier).reason


def test_pods_that_cannot_be_listed_are_inconclusive():
    barrier = ask(pods=None)
    assert barrier.passage == "inconclusive" and "cannot be listed" in barrier.unknown[0]
    assert ask(pods=None, running=(running(at(0)),)).passage == "blocked"


@pytest.mark.parametrize(
    ("left", "began", "blocks"),
    [
        (1000, 50, True),
        (1000, None, True),
        (1000, 130, True),
        (1000, 131, False),
        # 1000 - 360 - 30: the last moment at which its process may still be there.
        (610, 50, True),
        (609, 50, False),
    ],
)
def test_a_process_may_outlive_its_state_for_the_heartbeat_and_the_kill(left, began, blocks):
    each = LeftInstance("etl", "r1", "load", -1, "cleared", at(left), None if began is None else at(began), "w1")
    barrier = ask(left=(each,))
    assert barrier.passed is not blocks
    if blocks:
        assert only(barrier).kind == "left" and "cleared" in only(barrier).reason


@pytest.mark.parametrize("following", [None, Phase.OFFLOAD, Phase.DUAL_READ])
def test_what_is_accepted_by_name_is_passed_and_named(following):
    pod = Pod("etl-load-x1", at(50), "airflow", "etl", "r1", "load")
    barrier = ask(
        running=(running(at(0)),), pods=(pod,), accepted=(Accepted("etl.load"),), following=following
    )  # fmt: skip
    assert barrier.passed and [each.task for each in barrier.accepted] == ["etl.load", "etl.load"]
    assert not ask(running=(running(at(0), task="other"),), accepted=(Accepted("etl.load"),)).passed


def test_towards_inline_nothing_is_accepted_and_nothing_offers_to():
    blocker = only(ask(running=(running(at(0)),), accepted=(Accepted("etl.load"),), following=Phase.INLINE))
    assert not any("--accept" in way for way in blocker.ways_out)


def test_neither_a_process_nor_an_unlabelled_pod_can_be_accepted():
    barrier = ask(processes=(replace(OLD, ended=None), NEW), pods=(Pod("x", at(0)),), accepted=(Accepted(""),))
    assert len(barrier.blockers) == 2 and not barrier.accepted


def test_the_oldest_comes_first_and_before_it_what_has_no_date():
    barrier = ask(running=(running(at(20)), running(at(10)), running(None)))
    assert [each.since for each in barrier.blockers] == [None, at(10), at(20)]


def test_a_time_without_a_zone_is_an_error_and_no_guess():
    with pytest.raises(ValueError, match="zone"):
        ask(running=(running("2026-06-06T12:00:00"),))


QUEUED = QueuedInstance("etl", "r1", "load", -1, at(-5000))
STOPPED = Evidence(now=at(1000), contexts=("scheduler",), processes=(replace(NEW, ended=at(900)),))


@pytest.mark.parametrize(
    ("change", "passage"),
    [
        ({}, "passed"),
        ({"processes": (NEW,)}, "blocked"),
        ({"processes": (HostingProcess("host", "w9"),)}, "inconclusive"),
        ({"running": (running(at(950)),)}, "blocked"),
        ({"pods": (Pod("x", at(950)),)}, "blocked"),
        ({"pods": None}, "inconclusive"),
        # A fork for it may have been made until the last process ended, however long it is queued.
        ({"queued": (QUEUED,)}, "blocked"),
        ({"queued": (QUEUED,), "processes": (replace(NEW, ended=at(610)),)}, "blocked"),
        ({"queued": (QUEUED,), "processes": (replace(NEW, ended=at(609)),)}, "passed"),
        ({"queued": (QUEUED,), "processes": ()}, "inconclusive"),
        ({"left": (LeftInstance("etl", "r1", "load", -1, "marked", at(990), at(5)),)}, "blocked"),
        ({"unknown": ("w3 does not answer",)}, "inconclusive"),
    ],
)
def test_a_stopped_fleet_has_nothing_alive(change, passage):
    assert judge_stopped(replace(STOPPED, **change), MARGIN, OUTLIVES).passage == passage


def test_since_when_a_fleet_stands_still_can_be_told():
    seen = replace(STOPPED, queued=(QUEUED,), processes=())
    assert judge_stopped(seen, MARGIN, OUTLIVES, not_before=at(610)).passage == "blocked"
    assert judge_stopped(seen, MARGIN, OUTLIVES, not_before=at(609)).passage == "passed"


def test_records_survive_the_wire():
    evidence = replace(
        CALM,
        running=(running(None, queued=at(3)),),
        queued=(QueuedInstance("etl", "r1", "load", -1, at(1)),),
        left=(LeftInstance("etl", "r1", "load", -1, "marked", at(9), None),),
        pods=(Pod("x", at(0)),),
        unknown=("one",),
    )
    for record in (evidence, replace(evidence, pods=None)):
        assert Evidence.from_json(json.loads(json.dumps(record.to_json()))) == record
    barrier = ask(evidence, accepted=(Accepted("etl.load"),))
    assert Barrier.from_json(json.loads(json.dumps(barrier.to_json()))) == barrier
