"""A kill-switch as text: what it sees, what it recommends and why, the steps, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TextIO

from xcomctl.model.killswitch import Way
from xcomctl.model.killswitch_report import DONE, FAILED, KillswitchReport, Played, Recommendation, Sees
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units
from xcomctl.report.text import printable

#: Runs, and notes of a step, that are shown.
_SHOWN = 10
_MARKS = {DONE: "OK", FAILED: "FAIL"}


def sees_lines(sees: Sees) -> Iterator[str]:
    """What is seen."""
    for name, phases in sees.phases.items():
        running = f", and runs as {', '.join(phases[1:])}" if len(phases) > 1 else ""
        yield f"sees  {name}: {phases[0]}{running}"
    for name, error in sees.unimportable.items():
        yield f"      {name}: the backend does not import: {error}"
    if sees.phases and not sees.unimportable:
        yield "      the backend imports"
    for name, message in sees.silent.items():
        yield f"      {name} did not answer: {message}"
    for name, message in sees.store_down.items():
        yield f"      {name}: the store {message}"
    if sees.store_up:
        yield f"      the store answers in {', '.join(sees.store_up)}"
    if not sees.store_up and not sees.store_down:
        yield "      the store was not asked"
    for rollout in sees.rollouts:
        yield f"      {rollout}"
    if sees.logs is not None:
        yield f"      {sees.logs}"
    if sees.carrier is not None:
        yield f"      the carrier says {sees.carrier}"
    if sees.runs_at_risk is None:
        yield "      runs at risk: not known"
    else:
        runs = units.count(sees.runs_at_risk, "unfinished run")
        yield f"      runs at risk: {runs}, {units.count(sees.references_at_risk, 'reference')}"
        for run in sees.at_risk[:_SHOWN]:
            yield f"        {run.dag_id} {run.run_id}: {units.count(run.references, 'reference')}"


def plan_lines(recommendation: Recommendation, way: Way, titles: Sequence[str], resumes: str | None) -> Iterator[str]:
    """Which way is recommended and why, and the steps that are about to be played.

    Midway nothing is recommended, nor is the way on to ``inline``: that one is asked for.
    """
    if resumes is None and way is not Way.EXIT:
        yield _recommends(recommendation)
    again = "" if resumes is None else f", begun at {units.moment(resumes)} and gone on with"
    yield f"{way.value} kill-switch to {way.target.value}{again}:"
    for number, title in enumerate(titles, 1):
        yield f"  {number} {title}"


def render_result(report: KillswitchReport, stream: TextIO) -> None:
    """Write how the steps ended, and what to type next."""

    def line(text: str) -> None:
        stream.write(f"{printable(text)}\n")

    for played in filter(None, (report.before, report)):
        for text in _result(played):
            line(text)
    for step_to_type in report.next_steps:
        line(f"→ {step_to_type}")


def _result(report: KillswitchReport) -> Iterator[str]:
    if report.way is None:
        yield _recommends(report.recommendation)
    for step in () if report.dry_run else report.steps:
        yield from _step(step)
    if report.way is not None:
        yield f"{report.way.value} kill-switch to {report.way.target.value}: {_ended(report)}"


def _recommends(found: Recommendation) -> str:
    return f"recommends {found.way or 'neither'}: {found.because}"


def _ended(report: KillswitchReport) -> str:
    if report.dry_run:
        return "nothing was changed"
    if report.abandoned:
        return "abandoned"
    if report.flips_again:
        return "done, and the next deploy flips again: the values in your repository still say what was rolled back"
    if report.ended and report.verdict is not Verdict.OK:
        return "done, and not every run that was cleared is green"
    return "done" if report.verdict is Verdict.OK else "not done yet; calling again goes on where it stopped"


def _step(step: Played) -> Iterator[str]:
    yield f"{_MARKS.get(step.status, 'TO DO'):<5} {step.title}{f': {step.detail}' if step.detail else ''}"
    for note in step.notes[:_SHOWN]:
        yield f"      {note}"
    if len(step.notes) > _SHOWN:
        yield f"      and {len(step.notes) - _SHOWN} more (--output json has them all)"
    if step.status == FAILED and step.hint:
        yield f"      {step.hint}"
