"""A barrier as text: what is in the way, since when, where, and the ways out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TextIO

from xcomctl.model.barrier import Barrier, Blocker, Passage
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Phase
from xcomctl.report import units
from xcomctl.report.text import printable

#: Blockers and sentences that are shown of each kind.
_SHOWN = 20


def render_wait(barrier: Barrier, warnings: Sequence[str], options: str, stream: TextIO) -> None:
    """Write the barrier. ``options`` name the contexts in the commands that are printed."""

    def line(text: str) -> None:
        stream.write(f"{printable(text)}\n")

    if barrier.moment is not None:
        line(f"{barrier.target} everywhere since {units.moment(barrier.moment)}")
    for blocker in barrier.blockers[:_SHOWN]:
        _blocker(blocker, line)
    _more(len(barrier.blockers), line)
    for sentence in barrier.unknown[:_SHOWN]:
        line(f"SKIP  {sentence}")
    _more(len(barrier.unknown), line)
    for accepted in barrier.accepted:
        line(f"OK    {accepted.name} {accepted.reason}: accepted")
    for warning in warnings:
        line(f"WARN  {warning}")
    said = {
        Passage.PASSED.value: "passed: nothing is left that began with older settings",
        Passage.BLOCKED.value: f"blocked by {units.count(len(barrier.blockers), 'thing', 'things')} that began before",
        Passage.INCONCLUSIVE.value: "inconclusive: not everything could be seen",
    }
    line(f"barrier to {barrier.target}: {said[barrier.passage]}")
    for step in next_steps(barrier, options):
        line(f"→ {step}")


def next_steps(barrier: Barrier, options: str) -> list[str]:
    """Commands to type next."""
    if not barrier.passed:
        return [f"xcomctl wait --to {barrier.target}{options}"]
    if barrier.target == Phase.INLINE.value:
        return [f"xcomctl refs{options}  # what a late process still wrote"]
    return [f"xcomctl status{options}"]


def _blocker(blocker: Blocker, line: Callable[[str], None]) -> None:
    since = ""
    if blocker.since is not None:
        age = (datetime.now(UTC) - parse_time(blocker.since)).total_seconds()
        since = f", since {units.ago(max(age, 0.0))}"
    host = f", on {blocker.host}" if blocker.host and blocker.host not in blocker.name else ""
    line(f"FAIL  {blocker.name} {blocker.reason}{since}{host}")
    if blocker.ways_out:
        line(f"      {'; '.join(blocker.ways_out)}")


def _more(count: int, line: Callable[[str], None]) -> None:
    if count > _SHOWN:
        line(f"      and {count - _SHOWN} more (--output json has them all)")
