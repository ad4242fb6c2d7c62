"""A measurement of sizes as text for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from xcomctl.model.size import SizeAnswer, SizeReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units
from xcomctl.report.page import STYLE, VERDICT_STYLE, Page
from xcomctl.report.size_story import (
    DISTRIBUTION,
    Section,
    about_mark,
    headline,
    next_steps,
    sections,
    short_size,
    verdict_line,
    verdict_of,
)
from xcomctl.report.text import holds_unicode

_WIDEST_HISTOGRAM = 100
_FULL, _SOME = "█", "▏"
_LEAST_BAR = 8


def render(report: SizeReport, stream: TextIO, *, width: int | None = None) -> None:
    """Write the measurement. ``width`` in columns overrides the stream's own. Raises what the stream raises."""
    page = Page(stream, width)
    page.heading(headline(report))
    for section in sections(report):
        if section.title:
            page.heading(section.title)
        for line in section.lines:
            page.paragraph(line)
        if section.id == DISTRIBUTION:
            for line in histogram(report.answer, min(page.width, _WIDEST_HISTOGRAM) - 2):
                page.verbatim(line if holds_unicode(stream) else line.replace(_FULL, "#").replace(_SOME, "|"))
        elif section.rows:
            _table(page, section)
        for note in section.notes:
            page.paragraph(note)
        for command in section.commands:
            page.verbatim(f"→ {command}", "bold")
    page.heading(verdict_line(report), VERDICT_STYLE.get(verdict_of(report) or Verdict.INCONCLUSIVE))
    for command in next_steps(report):
        page.verbatim(f"→ {command}", "bold")
    page.flush()


def _table(page: Page, section: Section) -> None:
    """The rows as a table; where the columns do not fit side by side, as several under one another."""
    styles = [STYLE[status] for status in section.statuses] or [
        "bold" if index == section.strong else "" for index in range(len(section.rows))
    ]
    columns = list(zip(section.heads or [""] * len(section.rows[0]), *section.rows, strict=True))
    # Numbers must not be broken; of the rest a word may be.
    widths = [
        2
        + (max(map(len, column[1:])) if index in section.right else min(12, max(map(len, " ".join(column).split(" ")))))
        for index, column in enumerate(columns)
    ]
    lead = 1 + section.name
    parts: list[list[int]] = [[]]
    for index in range(lead, len(columns)):
        if parts[-1] and 2 + sum(widths[:lead]) + sum(widths[each] for each in (*parts[-1], index)) > page.width:
            parts.append([])
        parts[-1].append(index)
    for number, part in enumerate(parts):
        shown = [*range(lead), *part]
        if number:
            page.line("")
        page.table(
            [
                tuple((row[index], style if not section.statuses or index == 0 else "") for index in shown)
                for row, style in zip(section.rows, styles, strict=True)
            ],
            heads=[section.heads[index] for index in shown] if section.heads else (),
            right=[place for place, index in enumerate(shown) if index in section.right],
        )


def histogram(answer: SizeAnswer, width: int) -> list[str]:
    """The distribution as lines of at most ``width`` columns: size, values, a bar and the share of them, share of bytes.

    A bar is made of ``█``; ``▏`` stands where there are values, and too few for one. Where there is little room a line is
    of the sizes from its own to the next one's. Empty where no value has a size.
    """
    if not answer.histogram:
        return []
    values, total = sum(each.values for each in answer.histogram), sum(each.bytes for each in answer.histogram)
    most = max(each.values for each in answer.histogram)
    rows = [
        (f"{short_size(each.low)} to {short_size(each.high)}", about_mark(answer) + units.number(each.values),
         units.share(each.values / (values or 1)), units.share(each.bytes / (total or 1)))
        for each in answer.histogram
    ]  # fmt: skip
    table: list[tuple[str, ...]] = [("size", "values", "of values", "of bytes"), *rows]
    room = _room(table, width)
    if room < _LEAST_BAR:
        table = [(size.partition(" to ")[0], *shares) for size, _, *shares in table]
        room = max(1, _room(table, width))
    bars = [round(room * each.values / (most or 1)) for each in answer.histogram]
    drawn = [
        "",
        *(_FULL * bar or (_SOME if each.values else "") for bar, each in zip(bars, answer.histogram, strict=True)),
    ]
    columns = [[cell.rjust(max(map(len, column))) for cell in column] for column in zip(*table, strict=True)]
    columns.insert(-2, [bar.ljust(room) for bar in drawn])
    return ["  ".join(cells) for cells in zip(*columns, strict=True)]


def _room(table: Sequence[tuple[str, ...]], width: int) -> int:
    return width - sum(max(map(len, column)) + 2 for column in zip(*table, strict=True))
