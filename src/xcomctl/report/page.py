"""A page of text for a terminal or a pipe: lines are collected through rich and written in one go.

On a terminal texts wrap at its width (120 at most). Elsewhere nothing wraps, so that one line is one thing to grep,
unless ``width`` says otherwise. Where the stream's encoding is not a UTF, the text is ASCII.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import check_words
from xcomctl.report.text import ascii_only, columns, holds_unicode, is_terminal, printable

if TYPE_CHECKING:
    from rich.text import Text

STYLE = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red", Status.SKIP: "cyan"}
VERDICT_STYLE = {Verdict.OK: "bold green", Verdict.WARNINGS: "bold yellow", Verdict.FAILED: "bold red"}
_WIDEST = 120
_UNWRAPPED = 4000
_ID_WIDTH = 26


class Page:
    """Collects lines for a stream; ``width`` in columns overrides the stream's own."""

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
        """A line of its own, with a blank one before it unless it is the first."""
        if self._blank:
            self._buffer.write("\n")
        self._print(self._text(text, style or "bold"))

    def paragraph(self, text: str, *, indent: int = 2, style: str = "") -> None:
        """Text that wraps, indented by that many columns."""
        from rich.padding import Padding

        self._print(Padding(self._text(text, style), (0, 0, 0, indent)))

    def verbatim(self, text: str, style: str = "") -> None:
        """One line to copy: never wrapped, whatever the width."""
        self._blank = True
        self._console.print(self._text(f"  {text}", style), soft_wrap=True)

    def line(self, text: str, style: str = "") -> None:
        """One line at the left margin, for programs that look for it."""
        self._blank = True
        self._console.print(self._text(text, style), soft_wrap=True)

    def table(
        self, rows: Sequence[Sequence[tuple[str, str]]], heads: Sequence[str] = (), right: Sequence[int] = ()
    ) -> None:
        """Rows of (text, style) cells; ``right`` are the columns that are aligned there."""
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

    def checks(self, checks: Sequence[Check], *, quiet: bool = False, hints: bool = True) -> None:
        """The checks grouped by category; ``quiet`` leaves out what is OK, without ``hints`` nothing is under them."""
        shown = [check for check in checks if not (quiet and check.status is Status.OK)]
        ids = max((len(check.id) for check in shown), default=0)
        for category, members in check_words.by_category(shown).items():
            self._print(self._text(f"  {category}", "bold"))
            for check in members:
                self.check(check, id_width=min(ids, _ID_WIDTH), hints=hints)

    def check(self, check: Check, prefix: str = "", id_width: int = _ID_WIDTH, *, hints: bool = True) -> None:
        """One check: status, id, what it says (after ``prefix``), and under it the hint of one that is not OK."""
        from rich.table import Table

        lead = 4 + 6 + id_width + 2
        words = prefix + check_words.told(check)
        said = self._text(words, "")
        mark = self._text(f"    {check_words.label(check.status):<4}  ", STYLE[check.status])
        name = self._text(check.id, "")
        if len(check.id) > id_width or self.width - lead < 24:
            # No room beside the id: the detail goes below it.
            self._print(mark + name)
            lead = 10
            self.paragraph(words, indent=lead)
        else:
            grid = Table.grid()
            grid.add_column(width=lead)
            grid.add_column(overflow="fold")
            name.pad_right(id_width - len(check.id))
            grid.add_row(mark + name, said)
            self._print(grid)
        if hints and check.hint and check.status is not Status.OK:
            self._blank = True
            for line in check.hint.splitlines():
                self._console.print(self._text(f"{'':10}→ {line}", "bold"), soft_wrap=True)

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
