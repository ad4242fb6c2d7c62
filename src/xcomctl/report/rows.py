"""Rows of text as they come: columns as wide as the first rows need, and no memory of what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from xcomctl.report.text import ascii_only, holds_unicode, printable

#: Rows that are looked at before the first one is written.
_FIRST = 100
_WIDEST = 60


class Rows:
    """Writes rows below their heads. The last column is never padded; a text wider than its column shifts its row."""

    def __init__(self, stream: TextIO, heads: Sequence[str]) -> None:
        self._stream = stream
        self._heads = tuple(heads)
        self._waiting: list[tuple[str, ...]] = []
        self._widths: list[int] | None = None
        self._unicode = holds_unicode(stream)
        self.written = 0

    def add(self, *cells: str) -> None:
        """One row. Raises what the stream raises."""
        row = tuple(printable(cell) if self._unicode else ascii_only(printable(cell)) for cell in cells)
        if self._widths is not None:
            self._write(row)
            return
        self._waiting.append(row)
        if len(self._waiting) >= _FIRST:
            self.flush()

    def flush(self) -> None:
        """Write what is held back."""
        if self._widths is None and self._waiting:
            columns = zip(self._heads, *self._waiting, strict=True)
            self._widths = [min(max(len(cell) for cell in column), _WIDEST) for column in columns]
            self._write(self._heads, count=False)
        for row in self._waiting:
            self._write(row)
        self._waiting.clear()
        self._stream.flush()

    def _write(self, row: Sequence[str], *, count: bool = True) -> None:
        assert self._widths is not None
        *padded, last = row
        cells = [f"{cell:<{width}}" for cell, width in zip(padded, self._widths, strict=False)]
        self._stream.write("  ".join([*cells, last]).rstrip() + "\n")
        self.written += count
