"""A probe as text: what was put through, every difference in a line, and one word for each corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from xcomctl.model.probe import GREEN, RED, ProbeReport, next_steps
from xcomctl.model.redaction import redact
from xcomctl.report.page import Page

_STYLE = {GREEN: "bold green", RED: "bold red"}


def render_probe(reports: Sequence[ProbeReport], stream: TextIO, *, width: int | None = None) -> None:
    """Write every context's probe. Raises what the stream raises."""
    page = Page(stream, width)
    for report in reports:
        _one(page, report, named=len(reports) > 1)
    page.flush()


def _one(page: Page, report: ProbeReport, *, named: bool) -> None:
    answer = report.answer
    if answer is None:
        page.heading(f"{report.context}: not measured")
        page.paragraph(report.silent)
    else:
        over = f", with {', '.join(answer.overridden)} overridden" if answer.overridden else ""
        page.heading(
            f"{report.context}: Airflow {answer.airflow}, common-io {answer.common_io or 'not installed'}; "
            f"{answer.target_phase}{over}"
        )
        for name, count in answer.counts.items():
            corpus, _, way = name.partition("/")
            page.paragraph(f"{count} values of {corpus.replace('_', ' ')}, {way}")
        for text in (answer.problem, *answer.notes, *answer.unmeasured):
            if text:
                page.paragraph(redact(text))
        if answer.only_backend:
            page.paragraph(f"only the backend hands these over, BaseXCom cannot: {', '.join(answer.only_backend)}")
        if answer.neither:
            page.paragraph(f"neither BaseXCom nor the backend hands these over: {', '.join(answer.neither)}")
        if answer.left_out:
            page.paragraph(f"left out, for want of a library: {', '.join(answer.left_out)}")
        if answer.left_behind:
            page.paragraph(f"could not be removed: {', '.join(answer.left_behind)}", style="bold red")
    if report.run is not None:
        run = report.run
        page.paragraph(f"through real tasks, in {run.run_id} (which stays): {sum(run.counts.values())} values")
        for text in (*run.notes, *run.unmeasured):
            page.paragraph(redact(text), indent=4)
    for each in report.all_differences:
        page.paragraph(redact(each.line))
    for step in next_steps(report.all_differences):
        page.verbatim(f"→ {step}")
    suffix = f" ({report.context})" if named else ""
    for name, colour in (("control-flow", report.control_flow), ("data", report.data)):
        page.line(f"{name}: {colour.upper()}{suffix}", _STYLE.get(colour, ""))
