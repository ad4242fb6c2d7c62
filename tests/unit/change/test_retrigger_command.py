"""What the command refuses, and what it says to type next."""

from __future__ import annotations

import shlex
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.change.answering import Answering
from xcomctl.change.retrigger_command import Retrigger, still, verify_step
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, entry_now
from xcomctl.model import requests
from xcomctl.model.retrigger import (
    OTHER,
    PRODUCER,
    SUSPECT,
    HeldBefore,
    SuspectInstance,
    SuspectRun,
    SuspectsAnswer,
    SuspectsQuery,
)
from xcomctl.model.retriggered import Watched
from xcomctl.model.verdicts import Verdict

INLINE = ("scheduler is inline",)


def run(*roles: str, references: int = 0, aliases: int = 0) -> SuspectRun:
    instances = tuple(SuspectInstance(role, -1, "success", role, "why", clear=True) for role in roles)
    return SuspectRun("dag", "run", "success", references, aliases, instances)


@pytest.mark.parametrize(
    ("found", "producers", "refused"),
    [
        (run(SUSPECT, references=1), False, True),
        (run(SUSPECT, PRODUCER, references=1), True, False),
        (run(SUSPECT, aliases=1), False, True),
        (run(SUSPECT), False, False),
        (run(OTHER), False, True),  # it reads the reference of a run that keeps it
        (run(OTHER, PRODUCER, references=1), True, True),
    ],
)
def test_what_would_get_a_path_again_is_not_cleared(found, producers, refused):
    assert (still([run(), found], INLINE, producers=producers) is not None) == refused
    assert still([found], (), producers=producers) is None
    # What every run held is rehydrated: it is read as a value under any phase.
    assert still([found], INLINE, producers=producers, stored=False) is None


@pytest.mark.parametrize(("stored", "refused"), [(0, False), (1, True)])
def test_what_was_rehydrated_is_looked_for_and_cleared_while_contexts_are_inline(
    tmp_path: Path, stored: int, refused: bool
) -> None:
    journal = LocalJournal(tmp_path / "journal.jsonl")
    held = HeldBefore("dag", "run", "2026-06-06T10:00:00+00:00")
    journal.append(entry_now("rehydrate", None, plan="p", data={"held": [held.to_json()]}))
    journal.append(entry_now("rehydrate", None, plan="p", verdict=Verdict.OK))
    # Airflows that have no name share a journal.
    theirs = {"held": [replace(held, run_id="theirs").to_json()], "contexts": [{"name": "elsewhere"}]}
    journal.append(entry_now("rehydrate", None, plan="p", data=theirs))
    found = (run(OTHER), SuspectsAnswer("s3://store@bucket/xcom", (), 1, stored=stored))
    fleet = Answering({"scheduler": {"path": "s3://store@bucket/xcom"}}, suspects=found)
    command = Retrigger(fleet.fleet, journal, None)
    command.look(SuspectsQuery(), (), lambda what: None)
    (asked,) = fleet.of(requests.SUSPECTS)
    until = list(journal.entries())[1].at
    assert asked["held"] == [replace(held, until=until).to_json()]
    with pytest.raises(UserError) if refused else nullcontext():
        command.refuse()


def test_others_are_named_and_producers_are_no_way_out_for_them():
    message, hint = still([run(OTHER)], INLINE, producers=False) or ("", "")
    assert "gets path strings again" in message and "dag.other" in message
    assert "dual-read" in hint and "--producers" not in hint
    _, hint = still([run(SUSPECT, references=1)], INLINE, producers=False) or ("", "")
    # Nobody has to run again for what the store still has.
    assert hint.index("xcomctl rehydrate") < hint.index("--producers")


def test_the_command_to_look_at_a_run_is_one_that_a_shell_takes_as_it_is():
    name = "manual__2026-06-06T12:00:00+00:00 (again)"
    words = shlex.split(verify_step(Watched("dag", name, "failed"), " -D prod"))
    assert words == ["xcomctl", "verify", "-d", "dag", "-r", name, "-D", "prod"]
