"""A hundred kills, at random moments, of what changes things; called again each comes to its end, and nothing is lost.

``flip`` in both directions with both kinds of carriers, the kill-switch on all three ways and ``retrigger``, on both lines. Each
is called once without a kill, to see how long it usually takes and when it changes what. Then it is begun, killed, called
again, killed again, at moments drawn from that time, and at last called and left alone.
"""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support import dags
from tests.support.changes import FINISHED, KINDS, MINE, SIZE, Change, pauses, references
from tests.support.commands import Done, run
from tests.support.resumable import ROOT, once
from tests.support.stood_up import StoodUp
from tests.support.struck import Usual, damaged_of, entries_of, label, strike, untold, usual
from tests.support.switching import PAUSED_BEFORE, TWO_DAGS
from xcomctl.journal.local import LocalJournal

BUDGET_S = 1500
PART = "kills-change"
LINES = ("3.3", "2.11")
#: How often each is begun on each line, and how often it is killed then, in an order that needs few deploys.
PLAYED = {
    "flip down .env": (2, 3),
    "flip down airflow.cfg": (1, 3),
    "soft": (1, 8),
    "flip up .env": (2, 3),
    "flip up airflow.cfg": (1, 3),
    "exit": (1, 8),
    "hard": (1, 8),
    "retrigger": (2, 4),
}
CASES = [(line, kind, number) for line in LINES for kind, (begun, _) in PLAYED.items() for number in range(begun)]
KILLS = 100
#: Others come too late: what they should kill has ended.
AT_LEAST = 80


class Sites:
    """One sandbox at a time: that of the line which is asked for."""

    def __init__(self) -> None:
        self._closing = contextlib.ExitStack()
        self._line = ""
        self._site: StoodUp | None = None

    def at(self, line: str) -> StoodUp:
        """The sandbox of a line, in which a run has ended in ``offload``."""
        if self._site is None or line != self._line:
            self.close()
            source = dags.SOURCE.replace(dags.DAG_ID, MINE)
            files = {f"{MINE}.py": source, f"{PAUSED_BEFORE}.py": TWO_DAGS}
            self._line = line
            self._site = self._closing.enter_context(StoodUp(ROOT / ".venvs" / f"airflow-{line}", files))
            api = self._site.sandbox.airflow.api
            api.set_paused(PAUSED_BEFORE, True)
            api.trigger(MINE, FINISHED, {"size": SIZE})
            dags.wait_for_run(self._site, MINE, FINISHED)
            assert references(self._site, FINISHED) == 2  # its producer's, and what was passed on
        return self._site

    def close(self) -> None:
        """End it."""
        self._site = None
        self._closing.close()


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    """The sandboxes, each started when it is needed."""
    found = Sites()
    try:
        yield found
    finally:
        found.close()


def as_usual(change: Change) -> dict[str, Any]:
    """Call it, and kill nothing."""
    with change.begun() as command:
        done, seen = usual(command, change.journal)
    come_to_its_end(change, done)
    return asdict(seen)


def killed(change: Change, seen: Usual, moments: list[float]) -> dict[str, Any]:
    """Kill it at each of these moments, unless it ends before; then call it once more."""
    kills: list[dict[str, Any]] = []
    torn: set[int] = set()
    output = change.folder / "output"
    with change.begun() as command:
        for moment in moments:
            code = strike(command, change.journal, seen, moment, output)
            entries = entries_of(change.journal)
            last = label(entries[-1]) if entries else ""
            kills.append({"moment_s": round(moment, 3), "exit": code, "last": last})
            assert code in (0, -signal.SIGKILL), (kills, output.read_text())
            assert change.carrier.read_bytes() in (change.before, change.after), kills
            for line in damaged_of(change.journal):
                assert line.torn or line.number in torn, line
                torn.add(line.number)
            if code == 0:
                break
        done = run(command)
    assert "Traceback" not in output.read_text()
    come_to_its_end(change, done)
    drafts = len(list(change.carrier.parent.glob(f".{change.carrier.name}.*.part")))
    return {"kills": kills, "missed": len(moments) - sum(each["exit"] != 0 for each in kills), "drafts": drafts}


def come_to_its_end(change: Change, done: Done) -> None:
    """Assert what holds at the end of each."""
    assert done.orderly().code == 0, (done.out, done.err)
    assert change.carrier.read_bytes() == change.after
    assert untold(entries_of(change.journal)) == []
    assert LocalJournal(change.journal).locks() == []
    change.ended(done)
    assert pauses(change.site) == change.pauses
    assert references(change.site, FINISHED) == change.left_finished


HIT: list[int] = []


@pytest.mark.parametrize(("line", "kind", "number"), CASES, ids=[" ".join(map(str, case)) for case in CASES])
def test_killed_again_and_again_it_comes_to_the_same_end(
    line: str, kind: str, number: int, sites: Sites, tmp_path: Path, measure: Callable[[str, Any], None]
) -> None:
    def change(which: int | None) -> Change:
        folder = tmp_path / str(which)
        folder.mkdir()
        return KINDS[kind](sites.at(line), folder, which)

    name = f"{line} {kind}"
    seen = Usual(**once(PART, f"{name} usual", lambda: as_usual(change(None))))
    moments = seen.moments(random.Random(CASES.index((line, kind, number))), PLAYED[kind][1])
    result = once(PART, f"{name} {number}", lambda: killed(change(number), seen, moments))
    HIT.append(len(moments) - result["missed"])
    measure(f"{name} {number}", {"usual_s": round(seen.total_s, 1), **result})


def test_most_of_them_hit_what_was_alive(measure: Callable[[str, Any], None]) -> None:
    measure("hit", sum(HIT))
    assert sum(PLAYED[kind][1] for _, kind, _ in CASES) == KILLS
    assert sum(HIT) >= AT_LEAST
