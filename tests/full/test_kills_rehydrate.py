"""A hundred kills while values are written back, of the desk and of its agent: each row has its reference or its whole value.

``xcomctl rehydrate`` is begun, killed at a random moment while rows are written, called again, killed again, and at last
called and left alone. A desk that is killed takes its agent with it; one whose agent is killed says so and ends.
"""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.bulk import Bulk
from tests.support.commands import DOCUMENTED, Typed, run, typed
from tests.support.numbered import Held, Numbered
from tests.support.resumable import ROOT, once
from tests.support.struck import child, damaged_of, entries_of, label, untold, usual, wait_for_entry
from xcomctl.journal.local import LocalJournal
from xcomctl.model.phases import Phase

BUDGET_S = 1500
PART = "kills-rehydrate"
LINES = ("3.3", "2.11")
VICTIMS = ("desk", "agent")
#: How often the writing of so many rows is begun for each victim on each line, and how often it is killed then.
ROUNDS, STRIKES, ROWS = 5, 5, 400
CASES = [(line, victim, number) for line in LINES for victim in VICTIMS for number in range(ROUNDS)]
KILLS = 100
#: Others come too late: what they should kill has ended.
AT_LEAST = 80
#: How long what is left may take to notice that the other one is gone, and to end.
GONE_S = 60


class Sites:
    """One sandbox at a time, with its rows: that of the line which is asked for."""

    def __init__(self) -> None:
        self._closing = contextlib.ExitStack()
        self._line = ""
        self._found: tuple[Bulk, Numbered] | None = None

    def at(self, line: str) -> tuple[Bulk, Numbered]:
        """The sandbox of a line, with references alone."""
        if self._found is None or line != self._line:
            self.close()
            bulk = self._closing.enter_context(Bulk(ROOT / ".venvs" / f"airflow-{line}", Phase.DUAL_READ))
            numbered = Numbered(bulk)
            numbered.add(ROWS)
            self._line, self._found = line, (bulk, numbered)
        else:
            self._found[1].put_back()
        assert self._found[1].held() == Held(references=ROWS, values=0, other=0)
        return self._found

    def close(self) -> None:
        """End it."""
        self._found = None
        self._closing.close()


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """The sandboxes, each started when it is needed."""
    found = Sites()
    try:
        yield found
    finally:
        found.close()


def called(bulk: Bulk, journal: Path) -> Typed:
    return typed(bulk, "rehydrate", "-y", "-o", "json", journal=journal)


def writing_s(sites: Sites, line: str, journal: Path) -> dict[str, Any]:
    """How long all rows take when nobody kills anything."""
    bulk, numbered = sites.at(line)
    done, seen = usual(called(bulk, journal), journal)
    assert done.code == 0 and numbered.held() == Held(references=0, values=ROWS, other=0), (done, numbered.held())
    return {"seconds": seen.at_s["rehydrate told"] - seen.at_s["rehydrate announced"], "whole_s": seen.total_s}


class Round:
    """Rows that are written by calls of which one after the other is killed."""

    def __init__(self, site: tuple[Bulk, Numbered], victim: str, folder: Path) -> None:
        self._bulk, self._numbered = site
        self._victim = victim
        self._journal, self._output = folder / "journal.jsonl", folder / "output"
        self._torn: set[int] = set()
        #: The process that held the lock when it was killed, until somebody took it over.
        self._locked_by: int | None = None

    def strike(self, after_s: float) -> dict[str, Any]:
        """Call it, and kill the victim so long after it has said that it begins; what that hit."""
        before = self._numbered.held()
        with child(called(self._bulk, self._journal), self._output) as desk:
            wait_for_entry(desk, self._journal)
            agents = _children(desk)
            time.sleep(after_s)
            hit, code = self._kill(desk, agents)
        assert self._locked_by is None or self._locked_by == self._took_over()
        held = self._numbered.held()
        assert held.other == 0 and held.references + held.values == ROWS, held
        self._look_at_the_journal(desk.pid if hit and self._victim == "desk" else None)
        written = held.values - before.values
        return {"after_s": round(after_s, 3), "hit": hit, "exit": code, "written": written, "left": held.references}

    def _kill(self, desk: subprocess.Popen[bytes], agents: list[psutil.Process]) -> tuple[bool, int]:
        """Whether the victim was alive, and the desk's exit code. Nothing of either is left then."""
        if self._victim == "desk":
            desk.kill()
            code = desk.wait()
            hit = code != 0
            assert code in (0, -signal.SIGKILL), code
        else:
            hit = False
            for agent in agents:
                with contextlib.suppress(psutil.NoSuchProcess):
                    hit = agent.status() != psutil.STATUS_ZOMBIE
                    agent.kill()
            code = desk.wait(GONE_S)
            assert code in DOCUMENTED - {2, 6}, code
        _, alive = psutil.wait_procs(agents, GONE_S)
        assert alive == [], "the agent has outlived its desk"
        return hit, code

    def _look_at_the_journal(self, killed: int | None) -> None:
        """Nothing is damaged but a last line that was torn, and only a desk that was killed leaves its lock behind."""
        for line in damaged_of(self._journal):
            assert line.torn or line.number in self._torn, line
            self._torn.add(line.number)
        locks = LocalJournal(self._journal).locks()
        assert all(lock.process.pid == killed and lock.abandoned for lock in locks), locks
        told = label(entries_of(self._journal)[-1]) == "rehydrate told"
        assert locks or told or killed is None  # once that is told, it may be given back already
        self._locked_by = killed if locks else None

    def _took_over(self) -> int | None:
        """Whose lock the last call has found, as it says itself."""
        announced = [entry for entry in entries_of(self._journal) if label(entry) == "rehydrate announced"]
        state = announced[-1].data.get("took_over")
        return None if state is None else int(state["actor"]["pid"])

    def end(self) -> None:
        """Call it once more, and leave it alone."""
        done = run(called(self._bulk, self._journal)).orderly()
        assert (done.code, done.record["left_in_all"]["references"]) == (0, 0), (done.out, done.err)
        assert self._numbered.held() == Held(references=0, values=ROWS, other=0)
        assert self._locked_by is None or self._locked_by == self._took_over()
        assert untold(entries_of(self._journal)) == [] and LocalJournal(self._journal).locks() == []
        assert "Traceback" not in self._output.read_text()

    @property
    def left(self) -> int:
        """References that are left."""
        return self._numbered.held().references


def killed(
    site: tuple[Bulk, Numbered], victim: str, writing_s: float, folder: Path, draw: random.Random
) -> dict[str, Any]:
    """Kill it so often, each time at a random moment of what is left to do; then call it once more."""
    calls = Round(site, victim, folder)
    times = site[1].keys_and_times()
    # A part of what is usual, so that most of them come amid the rows, and never more than what is left should take.
    part = 2 / STRIKES
    strikes = [calls.strike(draw.uniform(0, writing_s * min(part, calls.left / ROWS))) for _ in range(STRIKES)]
    calls.end()
    assert site[1].keys_and_times() == times
    return {"strikes": strikes, "hit": sum(each["hit"] for each in strikes)}


def _children(desk: subprocess.Popen[bytes]) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(desk.pid).children()
    return []


HIT: list[int] = []


@pytest.mark.parametrize(("line", "victim", "number"), CASES, ids=[" ".join(map(str, case)) for case in CASES])
def test_killed_while_rows_are_written_each_has_its_reference_or_its_value(
    line: str, victim: str, number: int, sites: Sites, tmp_path: Path, measure: Callable[[str, Any], None]
) -> None:
    whole = once(PART, f"{line} usual", lambda: writing_s(sites, line, tmp_path / "usual.jsonl"))
    draw = random.Random(CASES.index((line, victim, number)))
    name = f"{line} {victim} {number}"
    result = once(PART, name, lambda: killed(sites.at(line), victim, whole["seconds"], tmp_path, draw))
    HIT.append(result["hit"])
    measure(name, {"usual_s": round(whole["seconds"], 2), **result})


def test_most_of_them_hit_what_was_alive(measure: Callable[[str, Any], None]) -> None:
    measure("hit", sum(HIT))
    assert len(CASES) * STRIKES == KILLS
    assert sum(HIT) >= AT_LEAST
