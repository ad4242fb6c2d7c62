"""Kills at random moments strike when they should, and what a journal lacks is seen."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, Typed
from tests.support.struck import Usual, damaged_of, entries_of, strike, untold, usual
from xcomctl.model.journal_entry import Actor, JournalEntry
from xcomctl.model.verdicts import Verdict

#: Announces, waits, tells, waits for long where it is told to.
CHILD = """
import sys, time
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.verdicts import Verdict

journal, linger = LocalJournal(sys.argv[1]), float(sys.argv[2])
for verdict in (None, Verdict.OK):
    journal.append(JournalEntry("flip", this_actor(), now(), verdict=verdict))
time.sleep(linger)
"""


def child(journal: Path, linger_s: float) -> Typed:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return Typed([sys.executable, "-c", CHILD, str(journal), str(linger_s)], environment)


def entry(action: str, verdict: Verdict | None = None) -> JournalEntry:
    return JournalEntry(action, Actor("ann", "desk", 7), "2026-06-06T12:00:00Z", verdict=verdict)


def test_a_call_is_killed_in_the_part_that_the_moment_lies_in(tmp_path: Path) -> None:
    done, seen = usual(child(tmp_path / "usual", 0), tmp_path / "usual")
    assert done.code == 0 and list(seen.at_s) == ["flip announced", "flip told"]
    assert 0 < seen.first_s <= seen.at_s["flip told"] <= seen.total_s
    output = tmp_path / "output"
    before, after = tmp_path / "before", tmp_path / "after"
    # Far from its first entry, and after it: neither depends on how fast the machine is.
    slow = Usual({"flip announced": 3600.0}, 3600.0)
    assert strike(child(before, 3600), before, slow, 0.0, output) == -signal.SIGKILL
    assert entries_of(before) == []
    quick = Usual({"flip announced": 60.0}, 3600.0)
    assert strike(child(after, 3600), after, quick, 60.5, output) == -signal.SIGKILL
    assert entries_of(after)[0].verdict is None
    # What was done before is not waited for again.
    told = Usual({"flip announced": 60.0, "flip told": 3600.0}, 3601.0)
    assert strike(child(after, 3600), after, told, 3600.5, output) == -signal.SIGKILL


def test_one_that_has_ended_is_hit_by_nothing(tmp_path: Path) -> None:
    journal, slow = tmp_path / "journal", Usual({"flip announced": 3600.0}, 3600.0)
    assert strike(child(journal, 0), journal, slow, 3600.0, tmp_path / "output") == 0


def test_moments_are_those_of_the_whole_call_and_of_the_part_that_changes_something() -> None:
    found = Usual({"flip announced": 90.0}, 100.0).moments(random.Random(0), 200)
    assert found == sorted(found) and len(found) == 200 and 0 <= found[0] < 10
    assert sum(moment >= 90.0 for moment in found) >= 100
    assert found == Usual({"flip announced": 90.0}, 100.0).moments(random.Random(0), 200)


def test_what_was_set_going_goes_on_to_the_next_entry_and_no_further() -> None:
    seen = Usual(
        {"killswitch announced": 5.0, "killswitch.deploy announced": 6.0, "killswitch.deploy told": 40.0}, 50.0
    )
    assert seen.reached_s([]) == 5.0
    # Written long ago; a call that goes on announces itself again.
    assert seen.reached_s([entry("killswitch"), entry("killswitch.deploy"), entry("killswitch")]) == 40.0
    assert seen.reached_s([entry("killswitch.deploy", Verdict.OK)]) == 50.0


@pytest.mark.parametrize(
    ("entries", "left"),
    [
        ([entry("flip")], ["flip"]),
        ([entry("flip"), entry("flip"), entry("flip", Verdict.OK)], []),
        ([entry("flip", Verdict.OK), entry("flip")], ["flip"]),
        # A kill-switch that has ended tells of the clearing alone, not of its other steps.
        ([entry("killswitch.pause"), entry("retrigger.run"), entry("killswitch", Verdict.OK)], ["killswitch.pause"]),
        ([entry("retrigger.plan"), entry("retrigger.run"), entry("retrigger", Verdict.OK)], []),
        ([entry("retrigger.plan"), entry("retrigger.run"), entry("retrigger.run", Verdict.OK)], ["retrigger.plan"]),
    ],
)
def test_what_was_announced_and_never_told(entries: list[JournalEntry], left: list[str]) -> None:
    assert untold(entries) == left


def test_lines_that_are_no_entries_are_seen(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert damaged_of(journal) == []
    journal.write_text('{"schema": "xcomctl.jour')
    (line,) = damaged_of(journal)
    assert line.torn
