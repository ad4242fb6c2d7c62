"""Commands that are killed from outside, at random moments, with a real SIGKILL of the real child."""

from __future__ import annotations

import contextlib
import math
import random
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.commands import ROOT, Done, Typed, run
from xcomctl.change.retrigger import ACTION as RETRIGGER
from xcomctl.journal.interface import DamagedLine
from xcomctl.journal.local import LocalJournal
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.killswitch import ACTION as KILLSWITCH

_POLL_S = 0.0005


@dataclass(frozen=True)
class Usual:
    """How a call goes that nobody kills, in seconds from its start.

    ``at_s`` is when each of its entries is written (:func:`label`), the first of which comes before the first change;
    ``total_s`` is when it ends.
    """

    at_s: dict[str, float]
    total_s: float

    @property
    def first_s(self) -> float:
        """When its first entry is written."""
        return min(self.at_s.values())

    def moments(self, draw: random.Random, count: int) -> list[float]:
        """So many random moments of it in their order, every other one in the part in which something is changed."""
        return sorted(draw.uniform(self.first_s if number % 2 else 0.0, self.total_s) for number in range(count))

    def reached_s(self, entries: Iterable[JournalEntry]) -> float:
        """How far calls that were killed have come: what they set going goes on, to the next entry at the furthest."""
        known = [(self.at_s[label(entry)], entry.at) for entry in entries if label(entry) in self.at_s]
        if not known:
            return self.first_s
        at_s, written = max(known)
        following = min((each for each in self.at_s.values() if each > at_s), default=self.total_s)
        return min(at_s + (datetime.now(UTC) - parse_time(written)).total_seconds(), following)


def usual(command: Typed, journal: Path) -> tuple[Done, Usual]:
    """Call it, and see how it goes."""
    began, started = datetime.now(UTC), time.monotonic()
    done = run(command)
    total_s = time.monotonic() - started
    at = {label(entry): (parse_time(entry.at) - began).total_seconds() for entry in entries_of(journal)}
    written = {what: seconds for what, seconds in at.items() if seconds >= 0}  # what is older is not of this call
    assert written, done
    return done, Usual(written, total_s)


def strike(command: Typed, journal: Path, usual: Usual, moment: float, output: Path) -> int:
    """Kill it when it should have come as far as it usually has at this moment; its exit code."""
    before, size = entries_of(journal), _size(journal)
    began = time.monotonic()
    with child(command, output) as process:
        deadline = began + moment
        if moment > usual.first_s:
            # Where only the end is left to be told, no entry comes before that one.
            told = {label(entry) for entry in before if entry.verdict is not None}
            silent = bool(told) and sum(each > usual.reached_s(before) for each in usual.at_s.values()) <= 1
            at_last = began + usual.first_s if silent else math.inf
            while _size(journal) == size and process.poll() is None and time.monotonic() < at_last:
                time.sleep(_POLL_S)
            deadline = time.monotonic() + moment - usual.reached_s(before)
        while process.poll() is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
    return process.wait()


@contextlib.contextmanager
def child(command: Typed, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command as a child, which is killed at the end of the block unless it has ended."""
    with output.open("ab") as log:
        process = subprocess.Popen(
            list(command.argv), env=dict(command.environment), cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for_entry(process: subprocess.Popen[bytes], journal: Path) -> None:
    """Wait until the child has written into the journal something that was not there, or has ended."""
    size = _size(journal)
    while _size(journal) == size and process.poll() is None:
        time.sleep(_POLL_S)


def label(entry: JournalEntry) -> str:
    """What it says, in two words."""
    return f"{entry.action} {'announced' if entry.verdict is None else 'told'}"


def entries_of(journal: Path) -> list[JournalEntry]:
    """What it tells, in its order."""
    return list(LocalJournal(journal).entries())


def damaged_of(journal: Path) -> list[DamagedLine]:
    """The lines that are no entries."""
    return [line for line in LocalJournal(journal).read() if isinstance(line, DamagedLine)]


def untold(entries: Iterable[JournalEntry]) -> list[str]:
    """The actions that were announced, and of which no later entry tells how they ended.

    What a re-trigger, or a kill-switch, is about to clear is told of by its own end at the latest: a call that was killed
    before it could tell is followed by one that finds it cleared.
    """
    left: list[str] = []
    for entry in entries:
        if entry.verdict is None:
            left.append(entry.action)
        else:
            ends = entry.action in (RETRIGGER, KILLSWITCH)
            left = [
                action
                for action in left
                if action != entry.action and not (ends and action.startswith(f"{RETRIGGER}."))
            ]
    return left


def _size(journal: Path) -> int:
    return journal.stat().st_size if journal.exists() else 0
