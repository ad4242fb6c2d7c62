"""Steps in a real journal under a real lock: announced, recorded, and gone on with wherever it stopped."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.change import samples
from xcomctl.assess.status import Seen
from xcomctl.change import killswitch_revert, killswitch_run
from xcomctl.change.agents import Agents
from xcomctl.change.barrier import rolled_out
from xcomctl.change.killswitch import Outcome, Player, Step, Wanted, Work, begin_anew
from xcomctl.change.killswitch_decision import Decision
from xcomctl.change.killswitch_hard import Clear, Unpause, Watch, holds_pauses
from xcomctl.change.killswitch_revert import Deploy, Revert
from xcomctl.change.killswitch_run import Desk as Person
from xcomctl.change.killswitch_run import Switch
from xcomctl.change.killswitch_view import View, viewed
from xcomctl.change.observed import Held
from xcomctl.change.retrigger import RUN
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.killswitch import ACTION, Way, remaining, unfinished
from xcomctl.model.killswitch_report import DONE, FAILED, TO_DO, KillswitchReport
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import Record, Resolution, ResolvedSetting
from xcomctl.model.settings import BACKEND, THRESHOLD, settings_for
from xcomctl.model.status import DatabaseState, Elsewhere, RunningProcess, StatusAnswer, StoreState
from xcomctl.model.verdicts import Verdict
from xcomctl.report.confirmation import NotConfirmed
from xcomctl.report.progress import PlainProgress

PATH = "s3://store@bucket/xcom"
SETTING = ResolvedSetting("x", "airflow.cfg")
OFFLOAD = Resolution(SETTING, SETTING, SETTING, SETTING, OBJECT_STORAGE_BACKEND, None, "offload", "")
ANSWER = StatusAnswer(
    "3.3.2", "3", "3.12", "host", {"common.io": "1.11.0"}, OFFLOAD, StoreState(True, 1.0),
    DatabaseState(unfinished_runs=2, references=3, at_risk_runs=1, base_path=PATH),
)  # fmt: skip


def view(answer: StatusAnswer = ANSWER) -> View:
    return viewed(Seen({"scheduler": answer}, {}, answer.database))


@dataclass
class Noted(Step):
    """A step that does nothing but say so, and then what it is told to."""

    id: str
    log: list[str]
    then: Callable[[], None] = lambda: None
    verdict: Verdict = Verdict.OK
    title: str = field(default="A step", init=False)

    def prepare(self, work: Work) -> list[str]:
        return [f"{self.id} would be done"]

    def asks(self, work: Work) -> bool:
        return True

    def perform(self, work: Work, begin: Any) -> Outcome:
        begin(before={"it": "was"})
        self.log.append(self.id)
        self.then()
        return Outcome(f"{self.id} is done", self.verdict, ("a note",))


class Desk:
    """A kill-switch with a journal of its own."""

    def __init__(self, folder: Path) -> None:
        self.where = folder / "journal.jsonl"
        self.shown: list[str] = []
        self.asked: list[str] = []
        self.refuses = False

    def work(self, way: Way = Way.SOFT, seen: View | None = None, **wanted: Any) -> Work:
        begun = unfinished(LocalJournal(self.where).entries(), "prod")
        if begun is None:
            begun = begin_anew(way, seen or view(), "prod", {})
            LocalJournal(self.where).append(begun.first)
        agents = cast(Agents, None)  # nothing here asks a context
        return Work(way, agents, seen or view(), Wanted(**wanted), self.where, "prod", begun)

    @contextmanager
    def player(self, work: Work) -> Iterator[Player]:
        with LocalJournal(self.where).lock(this_actor(), ACTION, "prod") as held:
            work.lock = held
            yield Player(work, self.confirm, self.shown.append, PlainProgress(io.StringIO(), tick_s=0))

    def confirm(self, question: str) -> None:
        self.asked.append(question)
        if self.refuses:
            raise NotConfirmed("not confirmed")

    def entries(self) -> list[tuple[str, str | None]]:
        found = LocalJournal(self.where).entries()
        return [(each.action, None if each.verdict is None else each.verdict.value) for each in found]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_each_step_is_shown_asked_announced_and_recorded(desk: Desk) -> None:
    log: list[str] = []
    with desk.player(desk.work()) as player:
        played, verdict = player.play([Noted("revert", log), Noted("deploy", log)])
    assert verdict is Verdict.OK and [each.status for each in played] == [DONE, DONE]
    assert log == ["revert", "deploy"]
    assert desk.shown == ["revert would be done", "deploy would be done"] and len(desk.asked) == 2
    assert desk.entries() == [
        (ACTION, None), (f"{ACTION}.revert", None), (f"{ACTION}.revert", "ok"), (f"{ACTION}.deploy", None),
        (f"{ACTION}.deploy", "ok"),
    ]  # fmt: skip


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_a_step_that_is_not_done_stops_the_rest_and_is_left_to_do(desk: Desk, verdict: Verdict) -> None:
    log: list[str] = []
    work = desk.work()
    with desk.player(work) as player:
        played, ended = player.play([Noted("revert", log, verdict=verdict), Noted("deploy", log)])
    assert ended is verdict and [each.status for each in played] == [FAILED, TO_DO] and log == ["revert"]
    assert desk.entries()[-1] == (f"{ACTION}.revert", verdict.value)
    assert remaining(desk.work().begun, resolved=False)[0] == "revert"


def test_an_error_is_a_failed_step_with_its_way_out_and_on_record(desk: Desk) -> None:
    def fails() -> None:
        raise UserError("no answer", "ask again", Verdict.FAILED)

    with desk.player(desk.work()) as player:
        played, ended = player.play([Noted("revert", [], fails)])
    assert (ended, played[0].detail, played[0].hint) == (Verdict.FAILED, "no answer", "ask again")
    assert desk.entries()[-1] == (f"{ACTION}.revert", "failed")


def test_a_no_changes_nothing_and_is_no_entry(desk: Desk) -> None:
    desk.refuses = True
    log: list[str] = []
    with desk.player(desk.work()) as player:
        played, ended = player.play([Noted("revert", log)])
    assert ended is Verdict.REFUSED and log == [] and played[0].status == FAILED
    assert desk.entries() == [(ACTION, None)]


def test_what_was_interrupted_is_gone_on_with_under_the_same_plan(desk: Desk) -> None:
    def dies() -> None:
        raise KeyboardInterrupt

    log: list[str] = []
    with pytest.raises(KeyboardInterrupt), desk.player(desk.work()) as player:
        player.play([Noted("revert", log), Noted("deploy", log, dies)])
    work = desk.work()
    left = remaining(work.begun, resolved=False)
    with desk.player(work) as player:
        player.play([Noted(step, log) for step in left])
        player.record(ACTION, Verdict.OK)
    assert unfinished(LocalJournal(desk.where).entries(), "prod") is None
    assert len({each.plan for each in LocalJournal(desk.where).entries()}) == 1


# --- the carrier


@pytest.fixture
def carrier(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    lines = [f'{name}="{value}"\n' for name, value in settings_for(Phase.OFFLOAD, PATH, 20_000).items()]
    path.write_text("# why\n" + "".join(lines))
    return path


def test_the_edit_is_announced_with_both_settings_and_not_made_twice(desk: Desk, carrier: Path) -> None:
    work = desk.work(carrier=named(carrier))
    with desk.player(work) as player:
        played, _ = player.play([Revert()])
    assert "EDITED, NOT DEPLOYED" in played[0].detail
    assert EnvFile.read(carrier).settings()[THRESHOLD.env] == "-1"
    announced = work.begun.begun("revert")[0]
    assert announced.before is not None and announced.after is not None
    assert (announced.before["threshold"], announced.after["threshold"]) == (20_000, -1)
    again = desk.work(carrier=named(carrier))
    with desk.player(again) as player:
        played, _ = player.play([Revert()])
    assert "already" in played[0].detail and len(again.begun.begun("revert")) == 1
    # What started since the edit counts as new, however often this is called.
    assert again.edited_at == work.edited_at


def test_an_edit_that_was_killed_before_it_was_recorded_is_on_record_once(desk: Desk, carrier: Path) -> None:
    work = desk.work(carrier=named(carrier))
    with desk.player(work) as player:
        step = Revert()
        step.perform(work, lambda before=None, after=None, data=None: player.record("killswitch.revert", None, before=before, after=after))  # fmt: skip
    for _ in range(2):
        with desk.player(desk.work(carrier=named(carrier))) as player:
            player.play([Revert()])
    recorded = [each.after for each in LocalJournal(desk.where).entries() if each.action == "killswitch.revert" and each.verdict]  # fmt: skip
    assert len(recorded) == 2 and recorded[0] is not None and recorded[1] is None
    # `wait` takes from there since when processes may have it that hide what they started with (2.x).
    assert rolled_out(LocalJournal(desk.where), "prod", Phase.DUAL_READ) is not None


def test_hard_writes_the_backend_alone(desk: Desk, carrier: Path) -> None:
    with desk.player(desk.work(Way.HARD, carrier=named(carrier))) as player:
        player.play([Revert()])
    found = EnvFile.read(carrier).settings()
    assert (found[BACKEND.env], found[THRESHOLD.env]) == (BASE_XCOM, "20000")


def test_without_a_carrier_it_is_written_by_hand_and_announced_once(desk: Desk) -> None:
    planned = SettingsEntry(path=PATH)
    for _ in range(2):
        with desk.player(desk.work(planned=planned)) as player:
            player.play([Revert()])
    assert f'  {THRESHOLD.env}="-1"' in desk.shown and desk.asked == []
    assert len(desk.work().begun.begun("revert")) == 1


def test_a_path_under_which_what_is_held_does_not_resolve_is_refused(desk: Desk, carrier: Path) -> None:
    moved = replace(
        ANSWER,
        database=DatabaseState(references=0, base_path="s3://b/new", elsewhere=(Elsewhere("s3://b/old", 3, "d", "r"),)),
    )
    with pytest.raises(UserError, match="s3://b/old") as refused:
        Revert().prepare(desk.work(seen=view(moved), carrier=named(carrier)))
    assert refused.value.hint == "--path s3://b/old" and refused.value.verdict is Verdict.REFUSED
    assert Revert().prepare(desk.work(seen=view(moved), carrier=named(carrier), given=SettingsEntry(path="s3://b/old")))


class Holding(Agents):
    """A context with the metadata database, which answers what it is asked of runs with this."""

    def __init__(self, *runs: Record) -> None:
        self.runs = runs
        self.asked: list[Any] = []

    def fleet(self, variables: Any = None) -> Any:
        return self

    def with_database(self, ask: Callable[[Any], Any], *, heavy: bool = False) -> Any:
        return ask(self)

    def stream(self, request: str, params: Any, *more: Any) -> Iterator[Any]:
        self.asked.append(params)
        return iter([each.to_json() for each in self.runs])

    def request(self, request: str, params: Any) -> Any:
        return {"run_state": {"r1": "failed", "r2": "running"}[params["run_id"]]}


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_path_that_leaves_behind_what_finished_runs_hold_is_refused(desk: Desk, carrier: Path, by_hand: bool) -> None:
    work = desk.work(carrier=None if by_hand else named(carrier), given=SettingsEntry(path="s3://store@bucket/new"))
    work.view = view(replace(ANSWER, database=DatabaseState(base_path=PATH)))
    work.agents = holding = Holding(AtRiskRun("d", "r", "success", None, 2))
    with pytest.raises(UserError, match="finished ones among them") as refused:
        Revert().prepare(work)
    assert refused.value.hint == f"--path {PATH}" and refused.value.verdict is Verdict.REFUSED
    assert holding.asked[0]["base_path"] == PATH and not holding.asked[0].get("unfinished_only")
    work.agents = Holding()  # nothing lies there
    assert Revert().prepare(work)


def test_the_deploy_is_shown_without_its_secrets(desk: Desk) -> None:
    assert Deploy().prepare(desk.work(deploy="roll out --password hunter2")) == ["run: roll out --password ***"]


# --- one that is over, done again, or somebody else's


def announced(desk: Desk, step: str, verdict: Verdict | None = None, **more: Any) -> None:
    plan = desk.work().begun.plan
    entry = JournalEntry(f"{ACTION}.{step}", this_actor(), now(), "prod", plan=plan, verdict=verdict, **more)
    LocalJournal(desk.where).append(entry)


def test_suspects_are_looked_for_since_the_first_edit(desk: Desk) -> None:
    desk.work(Way.HARD)
    announced(desk, "revert")
    first = desk.work().edited_at
    announced(desk, "revert")
    again = desk.work()
    assert first < again.edited_at
    again.agents = holding = Holding()
    with pytest.raises(AttributeError):  # a plain iterator has no result
        Clear().prepare(again)
    assert parse_time(holding.asked[0]["windows"][0]["start"]) == first


def test_what_was_put_back_is_not_put_back_again_when_all_is_done_again(desk: Desk) -> None:
    desk.work(Way.HARD)
    announced(desk, "pause", before={"paused": ["a"], "unpaused": ["b", "c"]})
    assert holds_pauses(desk.work().begun)
    announced(desk, "unpause", Verdict.OK)
    assert not holds_pauses(desk.work().begun)
    # Somebody has paused b meanwhile.
    announced(desk, "pause", before={"paused": ["a", "b"], "unpaused": ["c"]})
    assert holds_pauses(desk.work().begun)
    pauses = Paused({"a": True, "b": True, "c": True})
    with desk.player(desk.work(pauses=pauses)) as player:
        player.play([Unpause()])
    assert pauses.now == {"a": True, "b": True, "c": False}


@dataclass
class Paused:
    """Whether DAGs are paused."""

    now: dict[str, bool]

    def states(self) -> dict[str, bool]:
        return dict(self.now)

    def set(self, dag_ids: Iterable[str], paused: bool) -> tuple[str, ...]:
        self.now.update(dict.fromkeys(dag_ids, paused))
        return ()


@pytest.mark.parametrize(
    ("runs", "over", "verdict"), [(["r1"], True, Verdict.FAILED), (["r1", "r2"], False, Verdict.FAILED), (["r2"], False, Verdict.INCONCLUSIVE)]
)  # fmt: skip
def test_it_is_over_once_every_run_is_also_where_one_is_not_green(
    desk: Desk, runs: list[str], over: bool, verdict: Verdict
) -> None:
    desk.work(Way.HARD)
    for run_id in runs:
        data = {"dag_id": "d", "run_id": run_id}
        LocalJournal(desk.where).append(JournalEntry(RUN, this_actor(), now(), "prod", data=data))
    work = desk.work(timeout_s=0.01)
    work.agents = Holding()
    assert Watch().perform(work, lambda **more: None).verdict is verdict
    assert work.over is over


class Red(Noted):
    """Ends a kill-switch with a run that is not green."""

    def perform(self, work: Work, begin: Any) -> Outcome:
        work.over = True
        return super().perform(work, begin)


def named(*paths: Path) -> CarrierFiles:
    return CarrierFiles(paths)


def switch(desk: Desk, deployment: str | None, *names: str, carrier: CarrierFiles | None = None) -> Switch:
    seen = viewed(Seen(dict.fromkeys(names, ANSWER), {}, ANSWER.database))
    person = Person(desk.confirm, desk.shown.append, PlainProgress(io.StringIO(), tick_s=0))
    return Switch(cast(Agents, None), desk.where, deployment, seen, Wanted(carrier=carrier), person)


def play(made: Switch, steps: dict[str, Step], monkeypatch: pytest.MonkeyPatch) -> KillswitchReport:
    monkeypatch.setattr(killswitch_run, "STEPS", steps)
    return made.play(hard=True, announce=lambda decision, titles: None)


def test_a_red_end_is_an_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    steps: dict[str, Step] = {each: Noted(each, log) for each in Way.HARD.steps}
    steps["watch"] = Noted("watch", log, verdict=Verdict.FAILED)
    assert not play(switch(desk, "prod", "scheduler"), steps, monkeypatch).ended
    assert unfinished(LocalJournal(desk.where).entries(), "prod") is not None
    steps["watch"] = Red("watch", log, verdict=Verdict.FAILED)
    report = play(switch(desk, "prod", "scheduler"), steps, monkeypatch)
    assert (report.ended, report.verdict) == (True, Verdict.FAILED)
    assert desk.entries()[-1] == (ACTION, "failed")
    assert unfinished(LocalJournal(desk.where).entries(), "prod") is None
    # The backend was there again when it was called the second time: all of it was done again.
    assert log == [*Way.HARD.steps] * 2


def test_where_none_is_named_one_of_another_airflow_is_not_gone_on_with(
    desk: Desk, carrier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: dict[str, Step] = {each: Noted(each, [], verdict=Verdict.FAILED) for each in Way.HARD.steps}
    begun = play(switch(desk, None, "a", "b", carrier=named(carrier)), steps, monkeypatch)
    assert begun.resumes is None
    other = switch(desk, None, "c", carrier=named(carrier.with_name("other")))
    for call in (lambda: play(other, steps, monkeypatch), other.abandon):
        with pytest.raises(UserError, match="for a, b, has not ended") as refused:
            call()
        assert refused.value.verdict is Verdict.REFUSED and "--journal FILE" in refused.value.hint
    # The same context, or the same carrier.
    for same in (switch(desk, None, "b"), switch(desk, None, "c", carrier=named(carrier))):
        assert play(same, steps, monkeypatch).resumes is not None


# --- what it sees


def test_the_view_counts_what_runs_and_asks_again_where_the_class_does_not_import() -> None:
    running = replace(
        ANSWER, running=(RunningProcess("scheduler", 7, "dual-read"), RunningProcess("webserver", 8, "inline"))
    )
    assert view(running).sees.phases == {"scheduler": ("offload", "dual-read")}
    broken = replace(
        ANSWER, resolution=replace(OFFLOAD, class_path=None, class_error="no"), store=StoreState(False), database=None
    )
    seen = viewed(Seen({"scheduler": broken}, {}, None), Seen({"scheduler": ANSWER}, {}, ANSWER.database))
    assert seen.sees.unimportable == {"scheduler": "no"} and seen.sees.store_up == ("scheduler",)
    assert seen.sees.references_at_risk == 3 and seen.variables == {BACKEND.env: BASE_XCOM}
    assert view().variables == {}


@pytest.mark.parametrize(
    ("wanted", "hard", "to_inline", "named"),
    [
        ({"only_at_risk": True}, False, False, "--only-at-risk"),
        ({"past_barrier": "a reason"}, False, True, "--past-barrier"),
        ({"clear": ("dag.task",)}, False, False, "--clear"),
        ({"clear": ("dag.task",)}, False, True, ""),
        ({"only_at_risk": True, "past_barrier": "a reason", "clear": ("dag.task",)}, True, False, ""),
    ],
)
def test_what_only_a_hard_one_takes_is_refused_where_it_would_do_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any], hard: bool, to_inline: bool, named: str
) -> None:
    steps: dict[str, Step] = {step: Noted(step, []) for way in Way for step in way.steps}
    monkeypatch.setattr(killswitch_run, "STEPS", steps)
    made = switch(desk, "prod", "scheduler")
    made = replace(made, wanted=replace(made.wanted, **wanted))
    for call in (made.preview, made.play):
        if not named:
            call(hard=hard, announce=lambda decision, titles: None, to_inline=to_inline)
            continue
        with pytest.raises(UserError, match=f"{named} means nothing on the soft way") as refused:
            call(hard=hard, announce=lambda decision, titles: None, to_inline=to_inline)
        assert refused.value.verdict is Verdict.REFUSED and not desk.where.exists()


# --- on to inline


def test_a_dry_run_to_inline_shows_the_way_on_from_dual_read_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: dict[str, Step] = {step: Noted(step, []) for way in Way for step in way.steps}
    monkeypatch.setattr(killswitch_run, "STEPS", steps)
    told: list[tuple[Way | None, int]] = []

    def announce(decision: Decision, titles: Sequence[str]) -> None:
        told.append((decision.way, len(titles)))

    made = switch(desk, "prod", "scheduler")
    found = made.preview(hard=False, announce=announce, to_inline=True)
    assert told == [(Way.SOFT, 3), (Way.EXIT, len(Way.EXIT.steps))]
    assert found.before is not None and found.before.way is Way.SOFT
    for report, way in ((found.before, Way.SOFT), (found, Way.EXIT)):
        assert report.dry_run and [(each.id, each.status) for each in report.steps] == [
            (step, TO_DO) for step in way.steps
        ]
    assert made.preview(hard=False, announce=announce).before is None and not desk.where.exists()


def test_the_exit_leaves_dual_read_only_where_no_path_that_is_known_holds_a_reference(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def held(fleet: Any, base_path: str, waiting: Any, *, store: bool) -> Held:
        looked.append(base_path)
        return samples.held(samples.run("r", "success"), references=int(base_path == PATH))

    monkeypatch.setattr(killswitch_revert, "held", held)
    work = desk.work(Way.EXIT, base_path="s3://store@bucket/old")
    work.agents = Holding()
    with pytest.raises(UserError, match="no row of xcom holds a reference"):
        Revert().perform(work, lambda **more: None)
    assert looked == ["s3://store@bucket/old", PATH]
