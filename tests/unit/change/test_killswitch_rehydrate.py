"""References back into the database on the way to inline: what stops it, and what only makes tasks run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from tests.unit.change.test_killswitch import Desk, Holding, announced, desk
from xcomctl.change import killswitch_rehydrate
from xcomctl.change.killswitch import Work
from xcomctl.change.killswitch_rehydrate import Back
from xcomctl.change.killswitch_run import STEPS
from xcomctl.change.rehydrate import Rehydrate, TooMuch
from xcomctl.change.retrigger import held_before
from xcomctl.deployment.agent_errors import NoStepPod
from xcomctl.errors import UserError
from xcomctl.journal.errors import LockLost
from xcomctl.model.killswitch import LATE, REHYDRATE, Way
from xcomctl.model.refs import RefTotals
from xcomctl.model.rehydrate import ALIAS, DANGLING, UNFINISHED, UNREAD, RehydrateAnswer, Row
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.retrigger import SUSPECT, HeldBefore, SuspectInstance, SuspectRun, SuspectsAnswer
from xcomctl.model.retriggered import Found
from xcomctl.model.verdicts import Verdict

__all__ = ["desk"]
BASE = "s3://store@bucket/xcom"
FIRST = "2026-06-06T12:00:00+00:00"
WELL = After(RehydrateAnswer(BASE, True, 3, 3, 300), 1.0, RefTotals(BASE))
SOME = After(RehydrateAnswer(BASE, True, 3, 1, 100, left={DANGLING: 1, ALIAS: 1}), 1.0, RefTotals(BASE, references=1))
SUSPECT_RUN = SuspectRun(
    "dag", "run", "success", 3, 0, (SuspectInstance("read", -1, "success", SUSPECT, "why", True),), first=FIRST
)


@dataclass
class Command:
    """A rehydrate that finds this, and comes to that."""

    references: int = 3
    end: After = WELL
    #: What each look ends with, in turn; the last one again.
    on_look: Exception | Sequence[Exception | None] | None = None
    on_play: Exception | None = None
    earlier: tuple[HeldBefore, ...] = ()
    log: list[str] = field(default_factory=list)

    def look(self, waiting: Any) -> Before:
        first, *rest = self.on_look if isinstance(self.on_look, Sequence) else [self.on_look]
        if rest:
            self.on_look = rest
        if first is not None:
            raise first
        return Before({}, RefTotals(BASE, references=self.references, reference_bytes=300), ())

    def with_readers(self, before: Before, waiting: Any) -> Before:
        return replace(before, held=self.earlier)

    def play(self, each: Any, waiting: Any, total: int, renew: Any) -> After:
        self.log.append("play")
        if self.on_play is not None:
            raise self.on_play
        for why in self.end.answer.left:
            each(Row(why, "dag", "run", "task", -1, "key", BASE, "a reason"))
        return self.end


def step(monkeypatch: pytest.MonkeyPatch, command: Command, id: str = REHYDRATE, *runs: SuspectRun) -> Back:
    monkeypatch.setattr(killswitch_rehydrate, "look", lambda work: Found(runs, SuspectsAnswer(BASE, ()), frozenset()))
    monkeypatch.setattr(Back, "_command", lambda self, work, base_path=None: cast(Rehydrate, command))
    return Back(id, "A title")


def played(made: Back, work: Work, log: list[str]) -> tuple[Any, list[dict[str, Any]]]:
    begun: list[dict[str, Any]] = []

    def begin(before: Any = None, after: Any = None, data: Any = None) -> None:
        log.append("begin")
        begun.append(data)

    work.lock = cast(Any, type("Lock", (), {"renew": lambda self: None})())
    made.prepare(work)
    return made.perform(work, begin), begun


def test_every_way_has_all_of_its_steps() -> None:
    assert set(STEPS) == {step for way in Way for step in way.steps}
    assert all(STEPS[step].id == step and STEPS[step].title for step in STEPS)


SEEN: dict[str, Any] = {"barrier": {}}


@pytest.mark.parametrize(
    ("way", "id", "waited", "no_readers"),
    [
        (Way.EXIT, REHYDRATE, None, False),
        (Way.EXIT, REHYDRATE, SEEN, False),
        (Way.EXIT, LATE, SEEN, True),
        (Way.HARD, REHYDRATE, SEEN, True),
        # Somebody went on although not everything could be seen.
        (Way.HARD, REHYDRATE, {**SEEN, "past_barrier": "it is fine"}, False),
        (Way.HARD, REHYDRATE, None, False),
    ],
)
def test_what_only_a_reader_would_get_as_something_else_is_written_once_none_is_left(
    desk: Desk, way: Way, id: str, waited: dict[str, Any] | None, no_readers: bool
) -> None:
    desk.work(way)
    if waited is not None:
        announced(desk, "wait", Verdict.OK, data=waited)
    work = desk.work(way, base_path=BASE)
    work.agents = Holding()
    query = Back(id, "A title")._command(work).query
    assert (query.write, query.no_readers, query.base_path, query.runs) == (True, no_readers, BASE, "all")


@pytest.mark.parametrize("way", [Way.EXIT, Way.HARD])
def test_where_there_is_none_nothing_is_asked_and_nothing_announced(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    command = Command(references=0)
    made, work = step(monkeypatch, command), desk.work(way)
    outcome, begun = played(made, work, command.log)
    assert (outcome.verdict, outcome.detail) == (Verdict.OK, "no row holds a reference")
    assert not made.asks(work) and begun == [] and command.log == []


def test_who_may_have_read_them_is_written_down_before_the_first_is_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = Command()
    none_pushed = replace(SUSPECT_RUN, run_id="other", first=None)
    made, work = step(monkeypatch, command, REHYDRATE, SUSPECT_RUN, none_pushed), desk.work(Way.HARD)
    outcome, (data,) = played(made, work, command.log)
    assert outcome.verdict is Verdict.OK and "3 references rehydrated" in outcome.detail and made.asks(work)
    assert command.log == ["begin", "play"]
    assert data["held"] == [HeldBefore("dag", "run", FIRST).to_json()] and data["references"] == 3
    # Under dual-read everywhere those that got one did so before this began.
    earlier = HeldBefore("dag", "earlier", FIRST)
    for found in ((), (earlier,)):
        made, work = step(monkeypatch, Command(earlier=found), REHYDRATE, SUSPECT_RUN), desk.work(Way.EXIT)
        work.way = Way.EXIT
        assert played(made, work, [])[1][0]["held"] == [each.to_json() for each in found]


def test_what_was_written_down_is_found_again_by_whoever_calls_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, work = step(monkeypatch, Command(), REHYDRATE, SUSPECT_RUN), desk.work(Way.HARD)
    for _ in range(2):
        with desk.player(work) as player:
            player.play([made])
    begun = desk.work().begun
    done = begun.done(REHYDRATE)
    assert done is not None and held_before(begun.entries) == (HeldBefore("dag", "run", FIRST, until=done.at),)
    # Killed in between: nobody knows yet until when.
    assert held_before(begun.entries[:2]) == (HeldBefore("dag", "run", FIRST),)


def test_on_the_way_from_dual_read_whatever_is_left_stops_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = played(step(monkeypatch, Command(end=SOME)), desk.work(Way.EXIT), [])
    assert outcome.verdict is Verdict.FAILED and "2 rows left, which block inline" in outcome.detail
    assert "xcomctl rehydrate" in outcome.hint and outcome.notes == ("dag run task key: a reason",) * 2
    gone = replace(SOME, answer=replace(SOME.answer, left={UNREAD: 1}, store_error="s3://key:hunter2@b is down"))
    outcome, _ = played(step(monkeypatch, Command(end=gone)), desk.work(Way.EXIT), [])
    assert outcome.verdict is Verdict.INCONCLUSIVE and "hunter2" not in outcome.notes[-1]


def test_after_a_hard_one_what_is_left_is_pushed_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = played(step(monkeypatch, Command(end=SOME)), desk.work(Way.HARD), [])
    assert outcome.verdict is Verdict.OK and "2 rows left to be pushed again" in outcome.detail
    assert outcome.data["answer"]["left"] == {DANGLING: 1, ALIAS: 1}


@pytest.mark.parametrize("where", ["on_look", "on_play"])
def test_a_store_that_does_not_answer_stops_the_exit_and_no_hard_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    down = UserError("s3://key:hunter2@b is down", "xcomctl status", Verdict.INCONCLUSIVE)
    hard, _ = played(step(monkeypatch, Command(**{where: down})), desk.work(Way.HARD), [])  # type: ignore[arg-type]
    assert hard.verdict is Verdict.OK and "has to run again" in hard.detail
    assert "is down" in hard.notes[0] and "hunter2" not in hard.notes[0]
    work = desk.work()
    work.way = Way.EXIT
    with pytest.raises(UserError, match="is down"):
        played(step(monkeypatch, Command(**{where: down})), work, [])  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["on_look", "on_play"])
def test_without_a_pod_for_the_work_a_hard_one_stops_since_the_store_may_well_give_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    none = NoStepPod("you may not create pods in the namespace air (403)", "xcomctl rbac --change -n air")
    with pytest.raises(NoStepPod):
        played(step(monkeypatch, Command(**{where: none})), desk.work(Way.HARD), [])  # type: ignore[arg-type]


def test_no_more_is_moved_than_may_be(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit is refused with what would do; a hard one leaves finished runs theirs, and says so."""
    much = TooMuch("9 references point to 20 GiB", "--max-bytes 20", "or a part of it: --dag-id")
    with pytest.raises(UserError, match="20 GiB") as refused:
        played(step(monkeypatch, Command(on_look=much)), desk.work(Way.EXIT), [])
    assert refused.value.verdict is Verdict.REFUSED
    assert refused.value.hint == "--max-bytes 20, or a part at a time before: xcomctl rehydrate --dag-id DAG"
    hard = desk.work()
    hard.way = Way.HARD
    made = step(monkeypatch, Command(on_look=[much, None]))
    shown = made.prepare(hard)
    assert hard.runs == UNFINISHED and "finished runs keep" in shown[0] and "go back" in shown[1]
    outcome, _ = played(step(monkeypatch, Command(on_look=[much, None])), hard, [])
    assert outcome.verdict is Verdict.OK and "finished runs keep their references" in outcome.notes
    # What unfinished runs hold is too much as well: what pushed it runs again.
    outcome, _ = played(step(monkeypatch, Command(on_look=much)), hard, [])
    assert "has to run again" in outcome.detail


def test_the_bound_is_the_one_that_was_asked_for(desk: Desk) -> None:
    work = desk.work(Way.HARD, base_path=BASE, max_bytes=99)
    work.agents, work.runs = Holding(), UNFINISHED
    query = Back(REHYDRATE, "A title")._command(work).query
    assert (query.max_bytes, query.runs) == (99, UNFINISHED)


def test_a_lock_that_was_lost_ends_a_hard_one_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = LockLost("somebody else has it", "xcomctl journal")
    with pytest.raises(LockLost):
        played(step(monkeypatch, Command(on_play=lost)), desk.work(Way.HARD), [])


def test_who_may_have_read_what_a_late_process_wrote_is_on_record_for_the_clear(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = desk.work(Way.EXIT)
    outcome, begun = played(step(monkeypatch, Command(), LATE, SUSPECT_RUN), work, [])
    assert outcome.verdict is Verdict.OK and begun[0]["held"] == [HeldBefore("dag", "run", FIRST).to_json()]
    # What is left blocks all the same: it is a path string by now.
    outcome, _ = played(step(monkeypatch, Command(end=SOME), LATE, SUSPECT_RUN), work, [])
    assert outcome.verdict is Verdict.FAILED and "2 rows left" in outcome.detail
