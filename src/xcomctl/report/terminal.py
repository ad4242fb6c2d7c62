"""Checks and rehearsals as text: coloured on a terminal, the same words without colour anywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.model.verdicts import Check
from xcomctl.report import check_words, units
from xcomctl.report import rehearsal_story as story
from xcomctl.report.page import STYLE, VERDICT_STYLE, Page
from xcomctl.report.text import printable

_ORPHANS_SHOWN = 5


def render_checks(checks: Iterable[Check], stream: TextIO, *, quiet: bool = False, width: int | None = None) -> None:
    """Write the checks grouped by category: status, id, detail, and under it the hint; then the count per status.

    ``quiet`` leaves out what is OK. ``width`` in columns overrides the stream's own. Raises what the stream raises.
    """
    page = Page(stream, width)
    shown = list(checks)
    page.checks(shown, quiet=quiet)
    page.paragraph(check_words.tally(shown), style="dim")
    page.flush()


def render_rehearsal(report: RehearsalReport, stream: TextIO, *, width: int | None = None) -> None:
    """Write what a rehearsal found: steps, observations, ways back, what is left, the verdict, what to do next.

    ``width`` in columns overrides the stream's own. Raises what the stream raises.
    """
    page = Page(stream, width)
    if report.steps:
        page.heading("Steps")
        page.table(
            [
                (
                    (check_words.label(step.status), STYLE[step.status]),
                    (units.seconds(step.end_s - step.start_s), "dim"),
                    (step.title + (f"\n{printable(step.detail)}" if step.detail else ""), ""),
                )
                for step in report.steps
            ],
            right=(1,),
        )
    if report.checks:
        page.heading("Observations")
        page.checks(report.checks)
        page.paragraph(check_words.tally(report.checks), style="dim")
    told = story.break_story(report)
    if told is not None:
        page.heading(told.headline)
        if told.received is not None:
            page.verbatim(told.received, "bold red")
        for sentence in told.sentences:
            page.paragraph(sentence)
    if report.strategies:
        page.heading("Ways back")
        page.table(
            [tuple((cell, "") for cell in story.strategy_row(result)) for result in report.strategies],
            heads=story.STRATEGY_COLUMNS,
            right=(1, 2, 3, 4, 5),
        )
    if report.planned:
        page.heading("Scenarios")
        page.table(
            [tuple((cell, "") for cell in row) for row in story.scenario_rows(report)],
            heads=story.SCENARIO_COLUMNS,
            right=(1, 2),
        )
    if report.orphans or report.stranded is not None:
        page.heading("Left behind")
        page.paragraph(story.orphans_line(report))
        for orphan in report.orphans[:_ORPHANS_SHOWN]:
            page.verbatim(f"{units.size(story.orphan_size(orphan)):>8}  {story.orphan_path(orphan)}", "dim")
        if len(report.orphans) > _ORPHANS_SHOWN:
            page.verbatim(f"{'…':>8}  and {units.number(len(report.orphans) - _ORPHANS_SHOWN)} more", "dim")
        page.paragraph(story.stranded_line(report))
    _render_verdict(page, report)
    page.flush()


def _render_verdict(page: Page, report: RehearsalReport) -> None:
    page.heading(f"{story.headline(report)} (exit {report.verdict.exit_code})", VERDICT_STYLE.get(report.verdict))
    page.paragraph(story.verdict_line(report))
    if report.failure is not None:
        for line in report.failure.log:
            page.verbatim(f"| {printable(line)}", "dim")
        if report.failure.hint:
            page.paragraph(f"→ {report.failure.hint}", style="bold")
    elapsed = story.took(report)
    facts = [f"took {units.seconds(elapsed)}"] if elapsed is not None else []
    if report.restarts_s:
        facts.append("restarts " + ", ".join(units.seconds(restart) for restart in report.restarts_s))
    if report.peak_memory_bytes is not None:
        facts.append(f"peak memory {units.memory(report.peak_memory_bytes)}")
    if facts:
        page.paragraph(" · ".join(facts), style="dim")
    if report.next_steps:
        page.heading("Next")
        for command in report.next_steps:
            page.verbatim(command)
