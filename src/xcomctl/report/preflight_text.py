"""A pre-flight as text: one context with every detail, several as one column each with the details of what is not OK."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from xcomctl.model.preflight import ContextReport, PreflightReport
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import check_words
from xcomctl.report.page import STYLE, VERDICT_STYLE, Page
from xcomctl.report.text import printable

_HEADLINES = {
    Verdict.OK: "Pre-flight passed",
    Verdict.WARNINGS: "Pre-flight passed, but with warnings",
    Verdict.FAILED: "Pre-flight failed",
    Verdict.INCONCLUSIVE: "Pre-flight inconclusive",
}
#: A context's name as the head of a column; longer ones are numbered, and listed above the columns.
_WIDEST_HEAD = 16


def render_preflight(report: PreflightReport, stream: TextIO, *, quiet: bool = False, width: int | None = None) -> None:
    """Write what a pre-flight found, and the verdict in one line.

    ``quiet`` shows problems only. ``width`` in columns overrides the stream's own. Raises what the stream raises.
    """
    page = Page(stream, width)
    if len(report.contexts) == 1 and not report.fleet:
        _one(page, report.contexts[0], quiet)
    else:
        _several(page, report, quiet)
    page.heading(
        f"{_HEADLINES[report.verdict]} (exit {report.verdict.exit_code}): {check_words.tally(report.checks)}",
        VERDICT_STYLE.get(report.verdict),
    )
    page.flush()


def about(context: ContextReport) -> str:
    """What a context is, in one line; its name alone if it did not say more."""
    answer = context.answer
    if answer is None:
        return context.name
    provider = answer.providers.get("common.io")
    parts = [f"Airflow {answer.airflow}", f"common-io {provider}" if provider else "no common-io"]
    parts += [f"Python {answer.python}", f"host {answer.hostname}"]
    text = f"{context.name}: {', '.join(parts)}; resolves {answer.phase}"
    if answer.overridden:
        text += f"; functional checks with {', '.join(answer.overridden)} overridden"
    return printable(text)


def _one(page: Page, context: ContextReport, quiet: bool) -> None:
    if not quiet:
        page.heading(about(context))
    page.checks(context.checks, quiet=quiet)


def _several(page: Page, report: PreflightReport, quiet: bool) -> None:
    heads = _heads([context.name for context in report.contexts])
    if not quiet:
        page.heading("Contexts")
        for head, context in zip(heads, report.contexts, strict=True):
            page.paragraph(f"{head}  {about(context)}" if head != context.name else about(context))
        _columns(page, report, heads)
    problems = [
        (f"{head}: ", check)
        for head, context in zip(heads, report.contexts, strict=True)
        for check in context.checks
        if check.status is not Status.OK
    ]
    problems += [("", check) for check in report.fleet if not (quiet and check.status is Status.OK)]
    if problems:
        page.heading("Details")
        for prefix, check in problems:
            page.check(check, prefix)


def _heads(names: Sequence[str]) -> list[str]:
    return [name if len(name) <= _WIDEST_HEAD else f"[{number}]" for number, name in enumerate(names, 1)]


def _columns(page: Page, report: PreflightReport, heads: Sequence[str]) -> None:
    found = [{check.id: check for check in context.checks} for context in report.contexts]
    in_order: dict[str, Check] = {}
    for checks in found:
        in_order.update((check_id, check) for check_id, check in checks.items() if check_id not in in_order)
    rows: list[tuple[tuple[str, str], ...]] = []
    for category, members in check_words.by_category(in_order.values()).items():
        rows.append(((category, "bold"), *(("", "") for _ in heads)))
        for member in members:
            cells = [(f"  {member.id}", "")]
            for checks in found:
                check = checks.get(member.id)
                cells.append((check_words.label(check.status), STYLE[check.status]) if check else ("-", "dim"))
            rows.append(tuple(cells))
    if rows:
        page.table(rows, heads=("", *heads))
