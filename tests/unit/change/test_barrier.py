"""Since when a phase is rolled out, as far as a real journal tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xcomctl.change.barrier import ACTION, rolled_out
from xcomctl.change.carrier_edit import settings_after
from xcomctl.journal.local import LocalJournal, this_actor
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.killswitch import ACTION as KILLSWITCH
from xcomctl.model.phases import Line, Phase
from xcomctl.model.settings import settings_for
from xcomctl.model.verdicts import Verdict

DUAL_READ, OFFLOAD = Phase.DUAL_READ, Phase.OFFLOAD


class Journal:
    """A journal whose entries are an hour apart."""

    def __init__(self, path: Path) -> None:
        self.journal = LocalJournal(path)
        self._hour = 0

    def add(self, action: str, verdict: Verdict | None = Verdict.OK, deployment: str = "prod", **more: Any) -> None:
        self._hour += 1
        entry = JournalEntry(action, this_actor(), self.at(self._hour), deployment, verdict=verdict, **more)
        self.journal.append(entry)

    def edited(self, phase: Phase, verdict: Verdict | None = Verdict.OK, action: str = "flip", **more: Any) -> None:
        after = settings_after(settings_for(phase, "s3://b/x", 20_000), {}, Line.AF3)
        self.add(action, verdict, after=after.to_json(), **more)

    def waited(self, phase: Phase, deployed_at: str | None, verdict: Verdict = Verdict.OK) -> None:
        self.add(ACTION, verdict, data={"target": phase.value, "deployed_at": deployed_at})

    @staticmethod
    def at(hour: int) -> str:
        return f"2026-06-06T{hour:02d}:00:00.000000Z"

    def hour(self, phase: Phase = DUAL_READ) -> int | None:
        found = rolled_out(self.journal, "prod", phase)
        return None if found is None else found.hour


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.jsonl")


def test_nothing_is_known_where_nothing_was_done(journal: Journal) -> None:
    assert journal.hour() is None
    journal.add("rehearse")
    journal.add("killswitch.pause", after={"paused": ["dag"]})
    assert journal.hour() is None


def test_it_is_when_the_carrier_was_edited_last_also_by_a_kill_switch(journal: Journal) -> None:
    journal.edited(DUAL_READ)
    assert (journal.hour(), journal.hour(OFFLOAD)) == (1, None)
    journal.edited(OFFLOAD)
    assert (journal.hour(), journal.hour(OFFLOAD)) == (None, 2)
    journal.edited(DUAL_READ, action=f"{KILLSWITCH}.revert")
    assert (journal.hour(), journal.hour(OFFLOAD)) == (3, None)


def test_an_edit_that_was_announced_or_is_another_deployments_does_not_count(journal: Journal) -> None:
    journal.edited(DUAL_READ)
    journal.edited(DUAL_READ, None)
    journal.edited(DUAL_READ, Verdict.FAILED)
    journal.edited(OFFLOAD, deployment="staging")
    assert journal.hour() == 1


def test_what_was_said_to_wait_counts_whatever_came_of_it(journal: Journal) -> None:
    journal.edited(DUAL_READ)
    journal.waited(DUAL_READ, journal.at(7), Verdict.INCONCLUSIVE)
    journal.waited(DUAL_READ, None)
    journal.waited(OFFLOAD, journal.at(9))
    assert journal.hour() == 7
    journal.edited(DUAL_READ)  # once more, later
    assert journal.hour() == 5


def test_after_another_phase_nobody_knows_when_somebody_came_back_by_hand(journal: Journal) -> None:
    """Dual-read, offload, and back without a word: what started in between has the settings of offload."""
    journal.edited(DUAL_READ)
    journal.edited(OFFLOAD)
    journal.edited(DUAL_READ, None, data={"by_hand": True})
    assert journal.hour() is None
    journal.waited(DUAL_READ, "2026-06-06T14:30:00+02:00")
    found = rolled_out(journal.journal, "prod", DUAL_READ)
    assert found == parse_time("2026-06-06T12:30:00Z")
