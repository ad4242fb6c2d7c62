"""A probe as text: what was put through, every difference in a line, and one word for each corpus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from xcomctl.model.probe import GREEN, RED, YELLOW, ProbeAnswer, ProbeDifference, ProbeReport, next_steps
from xcomctl.model.redaction import redact
from xcomctl.report.page import Page

_STYLE = {GREEN: "bold green", RED: "bold red", YELLOW: "bold yellow"}
#: Lines of one reason; a threshold that is no number is the reason for every value.
_LINES = 12
_WORST = (RED, YELLOW, "unknown", GREEN)


def render_probe(reports: Sequence[ProbeReport], stream: TextIO, *, width: int | None = None) -> None:
    """Write every context's probe, and last one line for each corpus. Raises what the stream raises."""
    page = Page(stream, width)
    several = len(reports) > 1
    for report in reports:
        _one(page, report)
        if several:
            _last(page, report.colours, f" ({report.context})")
    if several:
        page.heading("All contexts")
    every: dict[str, set[str]] = {}
    for report in reports:
        for name, colour in report.colours:
            every.setdefault(name, set()).add(colour)
    _last(page, [(name, next(each for each in _WORST if each in seen)) for name, seen in every.items()])
    page.flush()


def _last(page: Page, colours: Iterable[tuple[str, str]], suffix: str = "") -> None:
    for name, colour in colours:
        page.line(f"{name}: {colour.upper()}{suffix}", _STYLE.get(colour, ""))


def _one(page: Page, report: ProbeReport) -> None:
    if report.answer is not None:
        _answer(page, report.context, report.answer)
    elif report.silent:
        page.heading(f"{report.context}: not measured")
        page.paragraph(report.silent)
    if report.run is not None:
        run = report.run
        if report.answer is None and not report.silent:
            page.heading(f"{report.context}: no context was asked")
        where = f"in {run.run_id} (what was pushed there stays)" if run.run_id else "no run"
        page.paragraph(f"through real tasks, {where}: {sum(run.counts.values())} values")
        for text in (*run.notes, *(f"not measured: {why}" for why in run.unmeasured)):
            page.paragraph(redact(text), indent=4)
    _differences(page, report.all_differences)
    for step in next_steps(report.all_differences):
        page.verbatim(f"→ {step}")


def _answer(page: Page, name: str, answer: ProbeAnswer) -> None:
    over = f", with {', '.join(answer.overridden)} overridden" if answer.overridden else ""
    common_io = answer.common_io or "not installed"
    page.heading(f"{name}: Airflow {answer.airflow}, common-io {common_io}; {answer.target_phase}{over}")
    for counted, count in answer.counts.items():
        corpus, _, way = counted.partition("/")
        page.paragraph(f"{count} values of {corpus.replace('_', ' ')}, {way}")
    said = [answer.problem, *answer.notes, *(f"not measured: {why}" for why in answer.unmeasured)]
    if answer.only_backend:
        said.append(f"only the backend hands these over, BaseXCom cannot: {', '.join(answer.only_backend)}")
    if answer.neither:
        said.append(f"neither BaseXCom nor the backend hands these over: {', '.join(answer.neither)}")
    if answer.left_out:
        said.append(f"left out, the library is not installed: {', '.join(answer.left_out)}")
    for text in said:
        if text:
            page.paragraph(redact(text))
    if answer.left_behind:
        page.paragraph(redact(f"could not be removed: {', '.join(answer.left_behind)}"), style="bold red")


def _differences(page: Page, differences: Iterable[ProbeDifference]) -> None:
    reasons: dict[tuple[str, ...], list[ProbeDifference]] = {}
    for each in differences:
        reasons.setdefault((each.corpus, each.way, each.step, each.defect or "", each.because), []).append(each)
    for found in reasons.values():
        for each in found[:_LINES]:
            page.paragraph(redact(each.line))
        if len(found) > _LINES:
            why = found[0].because or "no known reason"
            page.paragraph(f"… and {len(found) - _LINES} more ({why}); -o json names them all")
