"""A verification as text: the contexts, the run, the runbook's table with what was seen, the verdict, what to do."""

from __future__ import annotations

from typing import TextIO

from xcomctl.model.verdicts import Status, Verdict
from xcomctl.model.verification import VALIDATED, VerifyReport
from xcomctl.report import check_words
from xcomctl.report.page import VERDICT_STYLE, Page
from xcomctl.report.text import printable

_WIDEST = 90


def render_verify(report: VerifyReport, stream: TextIO, *, quiet: bool = False, width: int | None = None) -> None:
    """Write what a verification found. ``quiet`` shows problems only. Raises what the stream raises."""
    page = Page(stream, width)
    for context in report.contexts:
        if not quiet or any(check.status is not Status.OK for check in context.checks):
            facts = (
                f": Airflow {context.airflow}, common-io {context.common_io or 'not installed'}"
                if context.airflow
                else ""
            )
            phase = f"; resolves {context.resolution.phase}" if context.resolution is not None else ""
            page.heading(printable(f"{context.name}{facts}{phase}"))
            page.checks(context.checks, quiet=quiet)
    if report.fleet:
        page.heading("All contexts")
        page.checks(report.fleet, quiet=quiet)
    if report.run:
        page.heading(printable(f"Run {report.run['dag_id']} {report.run['run_id']}"))
        page.checks(report.run_checks, quiet=quiet)
        page.heading("Pass / fail")
        page.table(
            [
                ((what, ""), (_short(seen), "dim"), (verdict, "bold red" if verdict == "KILL-SWITCH" else ""))
                for what, seen, verdict in report.table
            ],
            heads=("observation", "seen", "verdict"),
        )
    what = "" if report.run else " (resolution alone: no run was looked at)"
    verdict = f"resolution {report.verdict}" if report.verdict == VALIDATED and not report.run else report.verdict
    style = VERDICT_STYLE.get(report.as_verdict, VERDICT_STYLE.get(Verdict.WARNINGS))
    page.heading(f"{verdict}{what} (exit {report.exit_code}): {check_words.tally(report.checks)}", style)
    for step in report.next_steps:
        for line in step.splitlines():
            page.verbatim(f"→ {printable(line)}", "bold")
    page.flush()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
