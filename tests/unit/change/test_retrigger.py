"""Clearing run by run, each step in the journal; what an unfinished one left; waiting until all is over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from xcomctl.assess.verify import observed_before
from xcomctl.change import retrigger
from xcomctl.change.clearing import AgentWay, ApiWay, way_for
from xcomctl.change.retrigger import ACTION, PLAN, RUN, Steps
from xcomctl.clients.airflow_api import ApiError, ApiUnreachable
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.retrigger import SUSPECT, HeldBefore, SuspectInstance, SuspectRun, SuspectsAnswer
from xcomctl.model.retriggered import Cleared, Found, Outcome, Watched
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Verdict
from xcomctl.model.verification import RunStateAnswer


def run(run_id: str, *states: str, partly: tuple[str, ...] = ()) -> SuspectRun:
    instances = tuple(
        SuspectInstance(f"t{number}", -1, state, SUSPECT, "why", clear=True) for number, state in enumerate(states)
    )
    return SuspectRun("dag", run_id, "success", 1, 0, instances, partly=partly)


def found(*runs: SuspectRun) -> Found:
    return Found(runs, SuspectsAnswer("s3://b/x", ()))


class Way:
    """Clears what it is told; some runs began to run, and from some run on it breaks."""

    name = "a way"

    def __init__(self, running: Collection[str] = (), breaks_at: str = "") -> None:
        self.asked: list[str] = []
        self._running, self._breaks_at = running, breaks_at

    def clear(self, run: SuspectRun, kill: Collection[str]) -> Cleared:
        if run.run_id == self._breaks_at:
            raise UserError("gone")
        self.asked.append(run.run_id)
        if run.run_id in self._running:
            return Cleared((), "running", ("t0",))
        return Cleared(tuple(each.name for each in run.to_clear), "queued", (), ("a warning",))


@pytest.fixture
def journal(tmp_path: Path) -> LocalJournal:
    return LocalJournal(tmp_path / "journal.jsonl")


NAMES = ("scheduler", "worker")


def clear(
    journal: LocalJournal, what: Found, way: Way, deployment: str | None = None
) -> list[tuple[SuspectRun, Cleared]]:
    with journal.lock(this_actor(), ACTION, None) as lock:
        return list(
            retrigger.clear(what, way, Steps(journal, deployment, lock, tuple((name, "offload") for name in NAMES)))
        )


def said(journal: LocalJournal) -> list[tuple[str, str | None, Verdict | None]]:
    return [(each.action, each.data.get("run_id"), each.verdict) for each in journal.entries()]


def test_each_run_is_announced_before_and_recorded_after(journal):
    what = found(run("one", "success", "failed"), run("held", "running"), run("two", "success"))
    way = Way(running=("two",))
    outcome = clear(journal, what, way)
    assert way.asked == ["one", "two"]
    assert said(journal) == [
        (PLAN, None, None),
        (RUN, "one", None), (RUN, "one", Verdict.OK),
        (RUN, "two", None), (RUN, "two", Verdict.INCONCLUSIVE),
    ]  # fmt: skip
    entries = list(journal.entries())
    assert {each.plan for each in entries} == {what.plan}
    assert observed_before(journal, None, NAMES) == [
        Observation(entries[0].at, "offload", name, PLAN) for name in NAMES
    ]
    assert entries[0].data["held"] == [["dag", "held"]]
    assert entries[2].before == {"state": "success", "instances": {"t0": "success", "t1": "failed"}}
    assert entries[2].after == {"state": "queued", "instances": {"t0": None, "t1": None}}
    assert entries[2].data["warnings"] == ["a warning"] and entries[4].data["running"] == ["t0"]
    assert Outcome(tuple(outcome)).verdict(what) is Verdict.INCONCLUSIVE


def test_nothing_to_clear_is_nothing_to_record(journal):
    assert clear(journal, found(run("held", "running")), Way()) == []
    assert said(journal) == []


def test_what_an_earlier_call_announced_is_known_until_it_came_to_its_end(journal):
    what = found(run("one", "success"), run("two", "success"), run("three", "success"))
    with pytest.raises(UserError, match="gone"):
        clear(journal, what, Way(breaks_at="two"))
    assert retrigger.unfinished(journal, None, NAMES) == [("dag", "one"), ("dag", "two")]
    assert retrigger.unfinished(journal, "another", NAMES) == []
    retrigger.record(what.plan, Verdict.OK, Outcome(watched=(Watched("dag", "one", "success"),)), journal, None)
    assert retrigger.unfinished(journal, None, NAMES) == []
    end: JournalEntry = list(journal.entries())[-1]
    assert (end.action, end.verdict, end.plan) == (ACTION, Verdict.OK, what.plan)
    assert end.data["runs"] == [{"dag_id": "dag", "run_id": "one", "state": "success"}]


def test_one_of_other_contexts_is_neither_waited_for_nor_taken_for_done(journal):
    """Airflows that have no name share a journal."""
    clear(journal, found(run("one", "success")), Way())
    for others in (("scheduler",), ("another",), ()):
        with pytest.raises(UserError, match="scheduler, worker") as caught:
            retrigger.unfinished(journal, None, others)
        assert caught.value.verdict is Verdict.REFUSED and "--journal" in caught.value.hint
    assert retrigger.unfinished(journal, None, NAMES[::-1]) == [("dag", "one")]
    retrigger.record("plan", Verdict.OK, Outcome(), journal, None)
    assert retrigger.unfinished(journal, None, ("another",)) == []
    # A deployment by its name is one and the same, whatever its contexts are.
    clear(journal, found(run("one", "success")), Way(), "prod")
    assert retrigger.unfinished(journal, "prod", ("another",)) == [("dag", "one")]


FIRST, SOONER = "2026-06-06T12:00:00+00:00", "2026-06-06T13:30:00+02:00"


def rehydrate(
    at: str, *names: str, plan: str = "a plan", action: str = "rehydrate", first: str = FIRST
) -> JournalEntry:
    """One that is announced, with these runs that held references; or without any one that has ended."""
    held = {"held": [HeldBefore("dag", name, first).to_json() for name in names]}
    verdict = None if names else Verdict.FAILED
    return JournalEntry(action, this_actor(), at, plan=plan, verdict=verdict, data=held if names else {})


def test_until_when_runs_held_references_is_known_once_what_rehydrates_them_has_ended():
    noon, one, two, three = (f"2026-06-06T{hour}:00:00.000000Z" for hour in (12, 13, 14, 15))
    begun = [rehydrate(noon, "a", "b")]
    assert {each.until for each in retrigger.held_before(begun)} == {None}
    for other in (rehydrate(one, plan="another"), rehydrate(one, action="killswitch.late")):
        assert {each.until for each in retrigger.held_before([*begun, other])} == {None}
    ended = [*begun, rehydrate(one), rehydrate(two)]
    assert [(each.run_id, each.until) for each in retrigger.held_before(ended)] == [("a", one), ("b", one)]
    # Begun again with one of them: the earliest first, and again no end.
    again = [*ended, rehydrate(two, "a", plan="later", first=SOONER)]
    assert retrigger.held_before(again) == (HeldBefore("dag", "a", SOONER), HeldBefore("dag", "b", FIRST, one))
    again.append(rehydrate(three, plan="later"))
    assert retrigger.held_before(again)[0] == HeldBefore("dag", "a", SOONER, three)
    for action in ("killswitch.rehydrate", "killswitch.late"):
        assert retrigger.held_before([rehydrate(noon, "a", action=action)]) == (HeldBefore("dag", "a", FIRST),)
    assert retrigger.held_before([rehydrate(noon, "a", action="flip")]) == ()


def test_what_is_held_now_is_put_on_record_and_what_is_known_to_be_over_is_not_again():
    oldest = HeldBefore("other", "oldest", SOONER)
    holds, over, never = (replace(run(name, "success"), first=FIRST) for name in ("holds", "over", "never"))
    over = replace(over, references=0)
    what = Found((holds, over, replace(never, first=None)), SuspectsAnswer("s3://b/x", (), first=oldest))
    known = (HeldBefore("dag", "over", FIRST, "2026-06-06T13:00:00Z"), HeldBefore("dag", "broken off", FIRST))
    assert retrigger.to_hold(what, known) == [oldest, known[1], HeldBefore("dag", "holds", FIRST)]
    assert HeldBefore("dag", "over", FIRST) in retrigger.to_hold(what, ())
    # Nobody got a path string: there is nobody to remember but those that are remembered.
    assert retrigger.to_hold(Found((), what.answer), known) == [known[1]]


class States:
    """Gives the states of each run one after the other, the last one for good; an error is raised."""

    def __init__(self, **states: list[object]) -> None:
        self._states = states
        self.asked = 0

    def trigger(self, dag_id: str, run_id: str, conf: object) -> None: ...

    def state(self, dag_id: str, run_id: str) -> RunStateAnswer:
        self.asked += 1
        states = self._states[run_id]
        seen = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(seen, Exception):
            raise seen
        return RunStateAnswer(seen if seen is None else str(seen))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrigger, "_POLL_S", 0.001)


def watch(states: States, *names: str, timeout_s: float = 60.0) -> dict[str, str | None]:
    watched = retrigger.watch([("dag", name) for name in names], states, timeout_s)
    return {each.run_id: each.state for each in watched}


def test_it_is_waited_until_every_run_is_over_green_or_not():
    states = States(one=["queued", "running", "success"], two=["running", "failed"], gone=[None])
    assert watch(states, "one", "two", "gone") == {"one": "success", "two": "failed", "gone": None}


def test_what_is_over_is_asked_no_more():
    states = States(one=["success", "queued"], two=["running", "running", "success"])
    assert watch(states, "one", "two") == {"one": "success", "two": "success"}
    assert states.asked == 4


def test_when_the_time_is_over_they_are_as_they_are():
    assert watch(States(one=["running"]), "one", timeout_s=0.0) == {"one": "running"}
    assert watch(States()) == {}


def test_what_an_earlier_call_left_in_a_paused_dag_is_not_waited_for():
    states = States(one=["queued"], over=["success"], gone=[None], free=["queued"])
    keys = [("dag", "one"), ("dag", "over"), ("dag", "gone"), ("unpaused", "free"), ("no more", "lost")]
    assert retrigger.left_paused(keys, {"dag": True, "unpaused": False}, states) == {("dag", "one")}
    assert states.asked == 3


def test_an_api_that_has_a_bad_moment_ends_nothing_and_one_that_is_gone_does():
    away = ApiUnreachable("nobody answers")
    assert watch(States(one=[away, away, "success"]), "one") == {"one": "success"}
    with pytest.raises(ApiError, match="nobody"):
        watch(States(one=[away]), "one")


class Api:
    """Stands for a client of which it is only asked what it can do."""

    def __init__(self, clears_map_indexes: bool) -> None:
        self.clears_map_indexes = clears_map_indexes


def test_map_indexes_that_matter_are_cleared_where_they_can_be():
    whole, partly = run("whole", "success"), run("partly", "success", partly=("mapped",))
    v1, v2, session = Api(False), Api(True), object()

    def chosen(runs, api, through=None):
        way, words = way_for(runs, session, api, through)
        return type(way), words

    assert chosen([partly], None) == (AgentWay, "")
    assert chosen([partly], v2) == chosen([whole], v1) == (ApiWay, "")
    assert chosen([whole], v2, "context") == (AgentWay, "")
    kind, words = chosen([whole, partly], v1)
    assert kind is AgentWay and "dag.mapped" in words and "in a context instead" in words
    kind, words = chosen([partly], v1, "api")
    assert kind is ApiWay and "every index runs again" in words
