"""What became of a decision record, as text: each section's input, what was kept, what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from xcomctl.model.verdicts import Check, Verdict
from xcomctl.report.page import VERDICT_STYLE, Page
from xcomctl.report.text import printable

_WORDS = {
    Verdict.OK: "everything was there and fresh",
    Verdict.FAILED: "an input failed, or the threshold cannot be used",
    Verdict.INCONCLUSIVE: "inconclusive: something is missing, stale or not decided",
}


def render(
    what: str,
    checks: Sequence[Check],
    notes: Sequence[str],
    verdict: Verdict,
    next_steps: Sequence[str],
    stream: TextIO,
    *,
    width: int | None = None,
) -> None:
    """Write it: ``what`` became of the file, the checks, ``notes``, the verdict, the next steps. Raises what the stream raises."""
    page = Page(stream, width)
    page.heading(what)
    ids = max((len(check.id) for check in checks), default=0)
    for check in checks:
        page.check(check, id_width=ids, hints=False)
    for note in notes:
        page.paragraph(note)
    page.heading(f"{_WORDS.get(verdict, verdict.value)} (exit {verdict.exit_code})", VERDICT_STYLE.get(verdict))
    for step in next_steps:
        page.verbatim(f"→ {printable(step)}", "bold")
    page.flush()
