"""A plan as text: where the contexts are, each step with what stands in its way, and the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from xcomctl.model.plan import LATER, READY, REFUSED, PlannedStep, PlanReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units
from xcomctl.report.page import VERDICT_STYLE, Page
from xcomctl.report.text import printable

_STATE = {READY: "can be taken now", REFUSED: "REFUSED now", LATER: "later"}
_BYTES = frozenset({"bytes", "bytes_above_threshold"})
_WORDS = {
    Verdict.OK: "the next step can be taken",
    Verdict.REFUSED: "the next step is refused",
    Verdict.INCONCLUSIVE: "inconclusive: something that the next step depends on could not be seen",
}


def render_plan(report: PlanReport, stream: TextIO, *, width: int | None = None) -> None:
    """Write the plan. Raises what the stream raises."""
    page = Page(stream, width)
    named = f"{report.deployment}: " if report.deployment else ""
    page.heading(printable(f"{named}{report.start or 'not one phase'} → {report.target}"))
    page.paragraph(printable(report.because))
    for sentence in _observed(report.observed):
        page.paragraph(printable(sentence))
    for warning in report.warnings:
        page.paragraph(printable(f"warning: {warning}"))
    for number, step in enumerate(report.steps, 1):
        _step(page, number, step)
    if not report.steps:
        page.heading("nothing to do" if report.start else "no plan", VERDICT_STYLE.get(report.verdict))
    else:
        page.heading(f"{_WORDS[report.verdict]} (exit {report.verdict.exit_code})", VERDICT_STYLE.get(report.verdict))
        for command in report.next_steps:
            page.verbatim(f"→ {printable(command)}", "bold")
    page.flush()


def _step(page: Page, number: int, step: PlannedStep) -> None:
    page.heading(f"{number}. {step.start} → {step.target}: {_STATE.get(step.state, 'cannot be told')}")
    page.paragraph(step.title)
    width = max((len(gate.id) for gate in step.gates), default=0)
    for gate in step.gates:
        page.check(gate, id_width=width)
    for name, value in step.estimates.items():
        if isinstance(value, bool):
            continue
        shown = units.size(value) if name in _BYTES else units.number(value)
        about = "" if step.estimates.get("exact", True) else "at most "
        page.paragraph(f"{name.replace('_', ' ')}: {about}{shown}")
    for note in step.notes:
        page.paragraph(printable(f"note: {note}"))
    for command in step.commands:
        page.verbatim(f"  {printable(command)}")


def _observed(observed: Mapping[str, Any]) -> list[str]:
    said = [f"{name}: {seen['phase']}, since {seen['reason']}" for name, seen in observed["contexts"].items()]
    totals = observed["references"]
    if totals is None:
        said.append(f"references: not known, {observed['references_unknown']}")
        return said
    size = f", {units.size(totals['reference_bytes'])}" if not totals["store_error"] and not totals["unasked"] else ""
    said.append(
        f"references: {units.count(totals['references'], 'reference')}{size}, {totals['unfinished']:,} of them in runs that "
        f"are not over, {totals['dangling']:,} dangling, {units.count(totals['aliases'], 'alias', 'aliases')}, "
        f"{totals['foreign']:,} under another base path"
    )
    if totals["store_error"]:
        said.append(f"the store did not answer: {totals['store_error']}")
    running = observed.get("running")
    if running:
        since = [each["started"] for each in running if each["started"]]
        said.append(
            f"running: {units.count(len(running), 'task instance')}"
            + (f", the oldest since {units.moment(min(since))}" if since else "")
        )
    return said
