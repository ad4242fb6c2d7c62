"""A flip as text: what gates it, what changes in the carrier, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from xcomctl.model.verdicts import Check
from xcomctl.report.page import Page
from xcomctl.report.text import printable


def render_gates(title: str, gates: Sequence[Check], diff: str, stream: TextIO, *, width: int | None = None) -> None:
    """Write the step, its gates, and the diff. Raises what the stream raises."""
    page = Page(stream, width)
    page.heading(printable(title))
    ids = max((len(gate.id) for gate in gates), default=0)
    for gate in gates:
        page.check(gate, id_width=ids)
    if diff:
        page.heading("the carrier")
        for line in printable(diff, keep_newlines=True).split("\n"):
            page.verbatim(line)
    page.flush()


def render_end(headline: str, sentences: Sequence[str], commands: Sequence[str], stream: TextIO) -> None:
    """Write how it ended, and the commands to type next."""
    page = Page(stream, None)
    page.heading(headline)
    for sentence in sentences:
        page.paragraph(printable(sentence))
    for command in commands:
        page.verbatim(f"→ {printable(command)}", "bold")
    page.flush()
