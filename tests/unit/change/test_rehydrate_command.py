"""A whole call of rehydrate against agents that answer what they are told: what it asks, shows and writes down."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.change.answering import BASE, NOON, Answering, stopped
from tests.unit.change.samples import DUAL_READ, OFFLOAD
from xcomctl.assess.verify import observed_before
from xcomctl.change.rehydrate import Pace, Rehydrate, verified
from xcomctl.change.retrigger import held_before
from xcomctl.change.steps import Asked
from xcomctl.cli import rehydrate as cli
from xcomctl.cli.main import build_parser
from xcomctl.deployment.agent_errors import AgentDied, error_of
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, entry_now
from xcomctl.model import requests
from xcomctl.model.barrier import HostingProcess, RunningInstance
from xcomctl.model.barrier_evidence import BarrierAnswer, InFlightAnswer
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.refs import RefTotals
from xcomctl.model.rehydrate import DANGLING, MAX_BYTES, RehydrateAnswer, RehydrateQuery, Row
from xcomctl.model.retrigger import SUSPECT, HeldBefore, SuspectInstance, SuspectRun, SuspectsAnswer
from xcomctl.model.verdicts import Status, Verdict
from xcomctl.report.progress import PlainProgress

INLINE: dict[str, Any] = {"path": BASE}
FIRST, LATER = "2026-06-06T10:00:00+00:00", "2026-06-06T11:00:00+00:00"
RUN = SuspectRun(
    "dag", "run", "success", 1, 0, (SuspectInstance("read", -1, "success", SUSPECT, "why", True),), first=LATER
)
OLDEST = HeldBefore("other", "oldest", FIRST)
FOUND = (RUN, SuspectsAnswer(BASE, (), 1, stored=3, first=OLDEST))
NONE_LEFT = RefTotals(BASE)
SOME = RefTotals(BASE, references=3, reference_bytes=300)


def quietly(what: str) -> None:
    """Nobody watches."""


def command(fleet: Answering, journal: Path, query: RehydrateQuery | None = None) -> Rehydrate:
    return Rehydrate(fleet.fleet, journal, "prod", query or RehydrateQuery(write=True), " -D prod")


def typed(fleet: Answering, journal: Path, *arguments: str) -> int:
    """The command line, with these contexts."""
    args = build_parser().parse_args(["rehydrate", "-y", "--journal", str(journal), *arguments])
    return cli._rehydrate(args, None, fleet.fleet, PlainProgress(io.StringIO(), tick_s=0))


def entries(journal: Path) -> list[JournalEntry]:
    return list(LocalJournal(journal).entries())


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


# --- who may have got path strings


def test_who_may_have_got_path_strings_is_on_record_before_the_first_row_is_written(journal, capsys):
    fleet = Answering({"scheduler": INLINE}, suspects=FOUND, reference_objects=[SOME, NONE_LEFT])
    assert typed(fleet, journal, "-o", "json", "--base-path", BASE) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["readers"] == 1
    again = f"xcomctl retrigger --base-path {BASE} --journal {journal}"
    assert said["next_steps"][0].startswith(again) and "flip --to inline" in said["next_steps"][1]
    assert any(note.startswith("1 run may have got path strings: xcomctl retrigger") for note in said["notes"])
    announced, done = entries(journal)
    asked = [name for name, params in fleet.asked if not params.get("look")]
    assert asked.index(requests.SUSPECTS) < asked.index(requests.REHYDRATE)
    assert announced.data["held"] == [OLDEST.to_json(), HeldBefore("dag", "run", LATER).to_json()]
    # What is inline now is seen once and for all: a later look has its window from here.
    assert [each.phase for each in observed_before(LocalJournal(journal), None, {"scheduler"})] == ["inline"]
    assert {each.until for each in held_before(entries(journal))} == {done.at}


def test_where_no_context_ever_handed_paths_over_nobody_is_looked_for(journal):
    fleet = Answering({"scheduler": DUAL_READ}, suspects=FOUND)
    made = command(fleet, journal)
    assert made.with_readers(made.look(quietly), quietly).held == ()
    assert fleet.of(requests.SUSPECTS) == []


def test_what_the_journal_saw_counts_as_well_and_what_it_knows_is_passed_on(journal):
    seen = {"contexts": [{"name": "scheduler", "phase": "misconfigured"}]}
    for entry in (
        entry_now("verify", "prod", data=seen),
        entry_now("rehydrate", "prod", plan="p", data={"held": [OLDEST.to_json()]}),
        entry_now("rehydrate", "prod", plan="p", verdict=Verdict.OK),
    ):
        LocalJournal(journal).append(entry)
    fleet = Answering({"scheduler": DUAL_READ}, suspects=FOUND)
    made = command(fleet, journal, RehydrateQuery(write=True, dag_id="dag", run_id="run"))
    before = made.with_readers(made.look(quietly), quietly)
    (asked,) = fleet.of(requests.SUSPECTS)
    assert (asked["dag_id"], asked["run_id"], asked["base_path"]) == ("dag", "run", BASE)
    assert [each["phase"] for each in asked["observations"]] == ["misconfigured", "dual-read"]
    assert [(each["run_id"], each["until"]) for each in asked["held"]] == [("oldest", entries(journal)[-1].at)]
    assert (before.readers, before.notes[-1]) == (
        1, "1 run may have got path strings: xcomctl retrigger -D prod afterwards",
    )  # fmt: skip


def test_versions_are_those_of_the_contexts(journal):
    assert typed(Answering({"scheduler": DUAL_READ}, reference_objects=[SOME, NONE_LEFT]), journal) == 0
    announced = entries(journal)[0]
    assert (announced.versions["airflow"], announced.versions["common_io"]) == ("3.3.2", "1.11.0")


# --- refusals


def test_a_database_that_is_not_written_to_is_refused_before_anybody_is_asked(journal, capsys):
    refused = error_of({"message": "MariaDB is not written to", "hint": "--dry-run", "reason": requests.REFUSED})
    fleet = Answering({"scheduler": DUAL_READ}, rehydrate=refused)
    with pytest.raises(UserError, match="MariaDB") as raised:
        typed(fleet, journal, "-o", "json")
    assert raised.value.verdict is Verdict.REFUSED
    (asked,) = fleet.of(requests.REHYDRATE)
    assert asked["look"] and asked["write"]
    assert entries(journal) == [] and capsys.readouterr().out == ""
    # What is only read is not asked for.
    made = command(Answering({"scheduler": DUAL_READ}, rehydrate=refused), journal, RehydrateQuery())
    assert made.look(quietly).totals.references == 3


def test_too_many_bytes_are_refused_but_for_those_of_some_age_which_only_the_agent_counts(journal):
    much = RefTotals(BASE, references=3, reference_bytes=MAX_BYTES + 1)
    fleet = Answering({"scheduler": DUAL_READ}, reference_objects=much)
    with pytest.raises(UserError, match="at most") as raised:
        command(fleet, journal).look(quietly)
    assert raised.value.verdict is Verdict.REFUSED and "--older-than" not in raised.value.hint
    aged = RehydrateQuery(write=True, before=NOON)
    assert command(fleet, journal, aged).look(quietly).totals is not None


def test_how_many_are_old_enough_is_not_known_before(journal, capsys, monkeypatch):
    fleet = Answering({"scheduler": DUAL_READ})
    assert typed(fleet, journal, "--older-than", "1d") == 0
    assert capsys.readouterr().out.startswith("at most 3 references below")
    asked: list[str] = []
    monkeypatch.setattr("xcomctl.report.confirmation.confirm", lambda question, yes: asked.append(question))
    for more in ((), ("--older-than", "1d")):
        typed(fleet, journal, *more)
    assert asked == ["write 3 values into the database?", "write at most 3 values into the database?"]


# --- broken off


@pytest.mark.parametrize(
    ("error", "verdict", "said"),
    [
        (AgentDied("the far side ended amid the work", status=1), Verdict.INCONCLUSIVE, "the far side ended"),
        (KeyboardInterrupt(), Verdict.INTERRUPTED, "interrupted"),
    ],
)
def test_broken_off_midway_it_is_one_json_object_still_and_on_record(journal, capsys, error, verdict, said):
    looked = RehydrateAnswer(BASE, True)
    fleet = Answering({"scheduler": DUAL_READ}, rehydrate=error)
    fleet.replies[requests.REHYDRATE] = [looked, error]
    with pytest.raises(type(error)):
        typed(fleet, journal, "-o", "json", "-d", "dag")
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["exit_code"], told["answer"], told["rows"]) == (
        verdict.value, verdict.exit_code, None, [],
    )  # fmt: skip
    assert said in told["error"] and told["next_steps"] == [f"xcomctl rehydrate -d dag --journal {journal}"]
    end = entries(journal)[-1]
    assert (end.verdict, end.data) == (Verdict.INCONCLUSIVE, {"broken_off": True, "looked_at": 25})


def test_what_could_not_begin_leaves_no_object_and_what_ended_has_no_error(journal, capsys):
    unreachable = Answering({"scheduler": DUAL_READ}, reference_objects=AgentDied("gone", status=1))
    with pytest.raises(AgentDied):
        typed(unreachable, journal, "-o", "json")
    assert capsys.readouterr().out == ""
    row = Row(DANGLING, "dag", "run", "task", -1, "key", BASE)
    left = (row, RehydrateAnswer(BASE, True, 3, 2, 200, left={DANGLING: 1}))
    fleet = Answering({"scheduler": DUAL_READ}, rehydrate=[RehydrateAnswer(BASE, True), left])
    assert typed(fleet, journal, "-o", "json") == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["error"], len(told["rows"]), told["disturbed"]) == ("", 1, "")


# --- nothing may be up


def test_quiesced_is_looked_at_twice_before_and_once_afterwards(journal, capsys):
    fleet = Answering({"scheduler": DUAL_READ}, barrier=stopped(), reference_objects=[SOME, NONE_LEFT])
    assert typed(fleet, journal, "--quiesced") == 0
    with_database = [params for params in fleet.of(requests.BARRIER) if params["database"]]
    assert len(with_database) == 3 and "flip --to inline --fleet-stopped" in capsys.readouterr().out


def test_what_was_up_between_two_looks_refuses_and_what_was_up_meanwhile_is_no_ok(journal, capsys):
    later = stopped("2026-06-06T12:30:00Z")
    fleet = Answering({"scheduler": DUAL_READ}, barrier=[stopped(), later])
    with pytest.raises(UserError, match="something ran between two looks") as raised:
        typed(fleet, journal, "--quiesced")
    assert raised.value.verdict is Verdict.INCONCLUSIVE and entries(journal) == []
    fleet = Answering(
        {"scheduler": DUAL_READ}, barrier=[stopped(), stopped(), later], reference_objects=[SOME, NONE_LEFT]
    )
    assert typed(fleet, journal, "--quiesced", "-o", "json") == 5
    told = json.loads(capsys.readouterr().out)
    assert "something ran" in told["disturbed"] and not any("flip" in step for step in told["next_steps"])
    assert entries(journal)[-1].verdict is Verdict.INCONCLUSIVE


# --- other base paths

ELSEWHERE = "s3://store@bucket/old"


def test_another_base_path_than_the_one_that_resolves_is_not_all_there_is(journal, capsys):
    fleet = Answering({"scheduler": DUAL_READ}, reference_objects=[replace(SOME, base_path=ELSEWHERE)])
    assert typed(fleet, journal, "-o", "json", "--base-path", ELSEWHERE) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["left_in_all"] is None
    assert told["next_steps"] == [f"xcomctl rehydrate --verify --base-path {ELSEWHERE} --journal {journal}"]
    assert told["notes"] == [f"only what lies below {ELSEWHERE} is rehydrated, while contexts resolve {BASE}"]
    # One above it holds all of these too.
    made = command(fleet, journal, RehydrateQuery(write=True, base_path="s3://store@bucket"))
    made.look(quietly)
    assert made.whole


def test_contexts_that_do_not_agree_on_it_are_named(journal):
    fleet = Answering({"scheduler": DUAL_READ, "worker": {**OFFLOAD, "path": ELSEWHERE}})
    made = command(fleet, journal)
    assert f"while contexts resolve {ELSEWHERE}" in made.look(quietly).notes[1] and not made.whole


def test_references_below_another_path_are_mentioned_with_the_way_to_them(journal):
    totals = RefTotals(BASE, references=1, foreign=2, foreign_bases=(ELSEWHERE,))
    note = command(Answering({"scheduler": DUAL_READ}, reference_objects=totals), journal).look(quietly).notes[0]
    assert "2 references" in note and note.endswith(f"xcomctl rehydrate --base-path {ELSEWHERE} -D prod")


@pytest.mark.parametrize("phase", [DUAL_READ, INLINE])
def test_a_look_at_another_path_looks_at_the_one_that_resolves_too(journal, phase):
    fleet = Answering({"scheduler": phase}, reference_objects=[NONE_LEFT, SOME], barrier=stopped())
    asked = Asked(given=SettingsEntry(ELSEWHERE, None, None), options=" -D prod", reads_only=True)
    checks = {each.id: each for each in verified(fleet.fleet, journal, "prod", asked, quietly)}
    assert checks["gate_references"].status.value == "ok"
    other = checks["gate_references_elsewhere"]
    assert other.status.value == "fail" and ELSEWHERE in other.title
    assert other.hint.startswith(f"xcomctl rehydrate --base-path {ELSEWHERE} -D prod")
    assert [each["base_path"] for each in fleet.of(requests.REFERENCE_OBJECTS)] == [BASE, ELSEWHERE]
    same = replace(asked, given=SettingsEntry(f"{BASE}/part", None, None))
    assert "gate_references_elsewhere" not in {
        each.id for each in verified(fleet.fleet, journal, "prod", same, quietly)
    }


def test_inline_is_not_safe_while_what_is_older_may_still_push_a_reference(journal):
    asked = Asked(options=" -D prod", reads_only=True)
    scheduler = HostingProcess("scheduler", "host", 1, NOON, "inline", "scheduler")
    older = RunningInstance("dag", "run", "task", -1, "running", "2026-06-06T11:00:00Z")
    for running, passed in (((), True), ((older,), False)):
        in_flight = InFlightAnswer("2026-06-06T13:00:00Z", 60.0, running=running)
        up = BarrierAnswer("3.3.2", "host", "inline", "", (scheduler,), in_flight=in_flight)
        fleet = Answering({"scheduler": INLINE}, reference_objects=NONE_LEFT, barrier=up)
        checks = {each.id: each for each in verified(fleet.fleet, journal, "prod", asked, quietly)}
        assert checks["gate_references"].status is Status.OK
        assert (checks["gate_barrier"].status is Status.OK) is passed
        assert passed or checks["gate_barrier"].hint == "xcomctl wait --to inline -D prod"


# --- the lock


def test_the_lock_is_renewed_now_and_then_and_not_for_every_message():
    renewed: list[int] = []
    said: list[str] = []
    often = Pace(said.append, 100, lambda: renewed.append(1))
    for done in range(25, 101, 25):
        often.tell({"done": done})
    often.tell({"message": "no count"})
    assert renewed == [] and len(said) == 4 and said[0].startswith("25 of 100 rows")
    Pace(said.append, None, lambda: renewed.append(1), renew_every_s=0.0).tell({"done": 25})
    assert renewed == [1]
