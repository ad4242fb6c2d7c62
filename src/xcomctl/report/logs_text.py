"""What there is to say about lines of logs, beside the lines: the verdict of a gate, which labels there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from xcomctl.model.verdicts import Check, Verdict
from xcomctl.report import check_words
from xcomctl.report.page import VERDICT_STYLE, Page
from xcomctl.report.rows import Rows

_WORDS = {
    Verdict.OK: "nothing found",
    Verdict.FAILED: "found",
    Verdict.INCONCLUSIVE: "inconclusive: it proves nothing",
}
#: Values of a label that are shown beside its name.
_VALUES = 5


def render_gate(checks: Sequence[Check], verdict: Verdict, stream: TextIO, *, width: int | None = None) -> None:
    """Write the checks of ``--expect-none`` and their verdict. Raises what the stream raises."""
    page = Page(stream, width)
    for check in checks:
        page.check(check, id_width=max(len(each.id) for each in checks))
    page.heading(
        f"{_WORDS[verdict]} (exit {verdict.exit_code}): {check_words.tally(checks)}", VERDICT_STYLE.get(verdict)
    )
    page.flush()


def render_labels(values: Mapping[str, Sequence[str]], stream: TextIO) -> None:
    """Write each label with how many values it has, and the first of them. Raises what the stream raises."""
    rows = Rows(stream, ("LABEL", "VALUES", ""))
    for name in sorted(values):
        some = ", ".join(values[name][:_VALUES]) + (", …" if len(values[name]) > _VALUES else "")
        rows.add(name, str(len(values[name])), some)
    rows.flush()


def render_names(names: Iterable[str], stream: TextIO) -> None:
    """Write each name on a line of its own. Raises what the stream raises."""
    from xcomctl.report.text import printable

    for name in names:
        stream.write(printable(name) + "\n")
    stream.flush()
