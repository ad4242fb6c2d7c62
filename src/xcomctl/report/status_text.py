"""The screen as text."""

from __future__ import annotations

from typing import TextIO

from xcomctl.model.status import SIGNALS, StatusReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import check_words, units
from xcomctl.report.page import VERDICT_STYLE, Page
from xcomctl.report.text import printable

_WORDS = {
    Verdict.OK: "ok",
    Verdict.WARNINGS: "ok, but with warnings",
    Verdict.FAILED: "act now",
    Verdict.INCONCLUSIVE: "inconclusive: something could not be measured",
}


def render_status(report: StatusReport, stream: TextIO, *, width: int | None = None) -> None:
    """Write one screen. Raises what the stream raises."""
    page = Page(stream, width)
    name = f"{report.deployment}, " if report.deployment else ""
    page.heading(printable(f"{name}{units.moment(report.at)}"))
    ids = max((len(check.id) for check in report.checks), default=0)
    for category, members in check_words.by_category(report.checks).items():
        page.paragraph(category, style="bold")
        for check in members:
            page.check(check, id_width=ids, hints=False)
            if check.category == SIGNALS and "command" in check.data:
                # A signal's command is there to be typed, however it stands.
                page.verbatim(f"{'':8}→ {printable(str(check.data['command']))}")
    page.heading(
        f"{_WORDS[report.verdict]} (exit {report.verdict.exit_code}): {check_words.tally(report.checks)}",
        VERDICT_STYLE.get(report.verdict),
    )
    if report.next_step:
        page.paragraph(printable(report.because))
        page.verbatim(f"→ {printable(report.next_step)}", "bold")
    else:
        page.paragraph("nothing to do")
    page.flush()
