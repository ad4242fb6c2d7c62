"""Checks and rehearsals as text: coloured on a terminal, the same words without colour anywhere else.

On a terminal texts wrap at its width (120 at most). Elsewhere nothing wraps, so that one line is one thing to grep,
unless ``width`` says otherwise. Where the stream's encoding is not a UTF, the text is ASCII.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import rehearsal_story as story
from xcomctl.report import units
from xcomctl.report.text import ascii_only, columns, holds_unicode, is_terminal, printable

if TYPE_CHECKING:
    from rich.text import Text

_STYLE = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "cyan"}
_VERDICT_STYLE = {Verdict.OK: "bold green", Verdict.WARNINGS: "bold yellow", Verdict.FAILED: "bold red"}
_WIDEST = 120
_UNWRAPPED = 4000
_ORPHANS_SHOWN = 5
_ID_WIDTH = 26


def render_checks(checks: Iterable[Check], stream: TextIO, *, quiet: bool = False, width: int | None = None) -> None:
    """Write the checks grouped by category: status, id, detail, and under it the hint; then the count per status.

    ``quiet`` leaves out what is OK. ``width`` in columns overrides the stream's own. Raises what the stream raises.
    """
    page = _Page(stream, width)
    page.checks(list(checks), quiet=quiet)
    page.flush()


def render_rehearsal(report: RehearsalReport, stream: TextIO, *, width: int | None = None) -> None:
    """Write what a rehearsal found: steps, observations, ways back, what is left, the verdict, what to do next.

    ``width`` in columns overrides the stream's own. Raises what the stream raises.
    """
    page = _Page(stream, width)
    if report.steps:
        page.heading("Steps")
        page.table(
            [
                (
                    (story.label(step.status), _STYLE[step.status]),
                    (units.seconds(step.end_s - step.start_s), "dim"),
                    (step.title + (f"\n{printable(step.detail)}" if step.detail else ""), ""),
                )
                for step in report.steps
            ],
            right=(1,),
        )
    if report.checks:
        page.heading("Observations")
        page.checks(report.checks)
    told = story.break_story(report)
    if told is not None:
        page.heading(told.headline)
        if told.received is not None:
            page.verbatim(told.received, "bold red")
        for sentence in told.sentences:
            page.paragraph(sentence)
    if report.strategies:
        page.heading("Ways back")
        page.table(
            [tuple((cell, "") for cell in story.strategy_row(result)) for result in report.strategies],
            heads=story.STRATEGY_COLUMNS,
            right=(1, 2, 3, 4, 5),
        )
    if report.orphans or report.stranded is not None:
        page.heading("Left behind")
        page.paragraph(story.orphans_line(report))
        for orphan in report.orphans[:_ORPHANS_SHOWN]:
            page.verbatim(f"{units.size(story.orphan_size(orphan)):>8}  {story.orphan_path(orphan)}", "dim")
        if len(report.orphans) > _ORPHANS_SHOWN:
            page.verbatim(f"{'…':>8}  and {units.number(len(report.orphans) - _ORPHANS_SHOWN)} more", "dim")
        page.paragraph(story.stranded_line(report))
    _render_verdict(page, report)
    page.flush()


def _render_verdict(page: _Page, report: RehearsalReport) -> None:
    page.heading(f"{story.headline(report)} (exit {report.verdict.exit_code})", _VERDICT_STYLE.get(report.verdict))
    page.paragraph(story.verdict_line(report))
    if report.failure is not None:
        for line in report.failure.log:
            page.verbatim(f"| {printable(line)}", "dim")
        if report.failure.hint:
            page.paragraph(f"→ {report.failure.hint}", style="bold")
    elapsed = story.took(report)
    facts = [f"took {units.seconds(elapsed)}"] if elapsed is not None else []
    if report.restarts_s:
        facts.append("restarts " + ", ".join(units.seconds(restart) for restart in report.restarts_s))
    if report.peak_memory_bytes is not None:
        facts.append(f"peak memory {units.memory(report.peak_memory_bytes)}")
    if facts:
        page.paragraph(" · ".join(facts), style="dim")
    if report.next_steps:
        page.heading("Next")
        for command in report.next_steps:
            page.verbatim(command)


class _Page:
    """Collects lines through rich and writes them in one go."""

    def __init__(self, stream: TextIO, width: int | None) -> None:
        from rich.console import Console

        self._stream = stream
        self._colour = is_terminal(stream)
        self._unicode = holds_unicode(stream)
        if width is None:
            width = min(columns(stream), _WIDEST) if self._colour else _UNWRAPPED
        self.width = width
        self._buffer = io.StringIO()
        self._console = Console(
            file=self._buffer, width=width, force_terminal=self._colour, color_system="auto" if self._colour else None,
            highlight=False, markup=False, emoji=False, legacy_windows=False,
        )  # fmt: skip
        self._blank = False

    def heading(self, text: str, style: str | None = None) -> None:
        if self._blank:
            self._buffer.write("\n")
        self._print(self._text(text, style or "bold"))

    def paragraph(self, text: str, *, indent: int = 2, style: str = "") -> None:
        from rich.padding import Padding

        self._print(Padding(self._text(text, style), (0, 0, 0, indent)))

    def verbatim(self, text: str, style: str = "") -> None:
        """One line to copy: never wrapped, whatever the width."""
        self._blank = True
        self._console.print(self._text(f"  {text}", style), soft_wrap=True)

    def table(
        self, rows: Sequence[Sequence[tuple[str, str]]], heads: Sequence[str] = (), right: Sequence[int] = ()
    ) -> None:
        from rich.padding import Padding
        from rich.table import Table

        grid = Table.grid(padding=(0, 2, 0, 0))
        for index in range(len(rows[0])):
            justify = "right" if index in right else "left"
            longest = max((len(word) for row in rows for word in row[index][0].split()), default=1)
            grid.add_column(justify=justify, overflow="fold", min_width=min(longest, 12), no_wrap=False)  # type: ignore[arg-type]
        if heads:
            grid.add_row(
                *(self._text(head.replace(" ", "\n") if index else head, "dim") for index, head in enumerate(heads))
            )
        for row in rows:
            grid.add_row(*(self._text(cell, style, keep=True) for cell, style in row))
        self._print(Padding(grid, (0, 0, 0, 2)))

    def checks(self, checks: Sequence[Check], *, quiet: bool = False) -> None:
        shown = [check for check in checks if not (quiet and check.status is Status.OK)]
        for category, members in story.by_category(shown).items():
            self._print(self._text(f"  {category}", "bold"))
            ids = max(len(check.id) for check in members)
            for check in members:
                self._check(check, min(ids, _ID_WIDTH))
        self.paragraph(story.tally(checks), style="dim")

    def _check(self, check: Check, id_width: int) -> None:
        from rich.table import Table

        lead = 4 + 6 + id_width + 2
        said = self._text(story.told(check), "")
        mark = self._text(f"    {story.label(check.status):<4}  ", _STYLE[check.status])
        name = self._text(check.id, "")
        if len(check.id) > id_width or self.width - lead < 24:
            # No room beside the id: the detail goes below it.
            self._print(mark + name)
            lead = 10
            self.paragraph(story.told(check), indent=lead)
        else:
            grid = Table.grid()
            grid.add_column(width=lead)
            grid.add_column(overflow="fold")
            name.pad_right(id_width - len(check.id))
            grid.add_row(mark + name, said)
            self._print(grid)
        if check.hint and check.status is not Status.OK:
            self._blank = True
            self._console.print(self._text(f"{'':10}→ {check.hint}", "bold"), soft_wrap=True)

    def flush(self) -> None:
        """Write what was collected; no trailing blanks."""
        self._stream.write("".join(f"{line.rstrip()}\n" for line in self._buffer.getvalue().splitlines()))
        self._stream.flush()

    def _print(self, renderable: object) -> None:
        self._blank = True
        self._console.print(renderable)

    def _text(self, text: str, style: str, *, keep: bool = False) -> Text:
        from rich.text import Text

        text = printable(text, keep_newlines=keep or "\n" in text)
        return Text(text if self._unicode else ascii_only(text), style=style, overflow="fold")
