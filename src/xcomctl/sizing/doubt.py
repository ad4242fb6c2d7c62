"""What the database's figures are worth: how far they are off on a sample, and what is near a threshold."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.metadata import texts
from xcomctl.metadata.sizes import Asked, Draw
from xcomctl.metadata.tables import Tables
from xcomctl.model.phases import Line
from xcomctl.model.size import Accuracy
from xcomctl.sizing import exact
from xcomctl.sizing.intervals import GROUPS
from xcomctl.sizing.sizes import Sizes

#: Values that are fetched to see how far the database's figures are off: any, and large ones; the largest, in bytes.
_LOOKED_AT, _LARGE_LOOKED_AT, _LONGEST = 1_000, 200, 4_000_000
#: Where large values begin, in bytes.
LARGE_FROM = 8_000
#: Values near thresholds that are fetched and measured; more are counted as uncertain.
MEASURED_AT_MOST = 20_000

Tell = Callable[[str], None]
#: The least and the most bytes that the backend would compare.
Span = tuple[int, int]


@dataclass
class Near:
    """What measuring the values near a threshold changes: in values and bytes that reach it, ``uncertain`` ones beside."""

    values: int = 0
    bytes: int = 0
    uncertain: int = 0
    measured: int = 0


@dataclass(frozen=True)
class Doubt:
    """Fetches values over an open connection. ``asked`` are those that were counted, of a table of about ``rows``."""

    connection: Any
    tables: Tables
    asked: Asked
    rows: int
    tell: Tell

    def accuracy(self, sizes: Sizes, share: float) -> Accuracy:
        """Fetch some values and measure them. ``sizes`` are what was counted in that share of the table.

        On 2.x every size is exact, and what can be seen is whether the bytes are JSON.
        """
        self.tell("how far the database's figures are off")
        among = sizes.values / share
        spans = self._some(_LOOKED_AT, among, 0)
        large = sizes.above(LARGE_FROM).values / share
        if among > _LOOKED_AT and large:
            spans += self._some(_LARGE_LOOKED_AT, large, LARGE_FROM)
        known = [(size, span) for size, span in spans if span is not None]
        total = sum(size for size, _ in known)
        return Accuracy(
            sampled=len(known),
            exact=sum(span == (size, size) for size, span in known),
            smallest=min((span[0] / size for size, span in known), default=1.0),
            largest=max((span[1] / size for size, span in known), default=1.0),
            total=sum(sum(span) / 2 for _, span in known) / total if total else 1.0,
            unread=len(spans) - len(known),
            bounds=bounds(self.tables.line, self.connection.dialect.name),
        )

    def _some(self, most: int, among: float, least: int) -> list[tuple[int, Optional[Span]]]:
        """What the database and what we say of about so many of the values of that size and more, of which there are about
        ``among``."""
        draw = None
        if among > most:
            draw = Draw(min(1.0, max(most / among, most / max(self.rows, 1))), GROUPS)
        asked = dataclasses.replace(self.asked, draw=draw, place_from=least)
        some = texts.some(self.connection, self.tables, asked, most, _LONGEST)
        return [(each.size, self._span(each)) for each in some if each.size]

    def _span(self, each: texts.Text) -> Optional[Span]:
        if each.text is None:
            return None
        if isinstance(each.text, str):
            return exact.span(each.text, jsonb=self.connection.dialect.name == "postgresql")
        try:
            json.loads(each.text.decode())
        except (ValueError, RecursionError):
            return None
        return each.size, each.size

    def near(self, thresholds: Iterable[int]) -> dict[int, Near]:
        """3.x: fetch the values near these thresholds, and measure them; what that changes for each."""
        wanted = sorted({each for each in thresholds if each > 0})
        if self.tables.line is Line.AF2 or not wanted:
            return {}
        self.tell(f"values near {', '.join(f'{each:,}' for each in wanted)} bytes")
        changes = {each: Near() for each in wanted}
        doubtful = texts.near(self.connection, self.tables, self.asked, wanted, MEASURED_AT_MOST)
        for count, each in enumerate(doubtful, 1):
            if count % 500 == 0:
                self.tell(f"values near thresholds: {count:,} measured")
            span = self._span(each)
            for threshold, change in changes.items():
                _judge(change, threshold, each.size, span)
        return changes


def _judge(change: Near, threshold: int, size: int, span: Optional[Span]) -> None:
    """What one value that was fetched for some threshold is to this one."""
    if span is None:
        if math.floor(threshold / texts.MOST_GROWTH) <= size:
            change.uncertain += 1
            if size >= threshold:
                change.values, change.bytes = change.values - 1, change.bytes - size
        return
    change.measured += 1
    low, high = span
    if size >= threshold:
        change.values, change.bytes = change.values - 1, change.bytes - size
    if low >= threshold:
        change.values, change.bytes = change.values + 1, change.bytes + low
    elif high >= threshold:
        change.uncertain += 1


def bounds(line: Line, dialect: str) -> tuple[str, ...]:
    """How far the size that the database gives of a value may be off, in sentences: none on 2.x."""
    if line is Line.AF2:
        return ()
    wrapper = "a tuple or numpy.float64 within a value: its wrapper of some 70 bytes is counted and never written"
    if dialect == "sqlite":
        return (wrapper,)
    return (
        "text that is not ASCII: up to 3 times as many bytes (Cyrillic 3, CJK 2, emoji 3), as json.dumps escapes it",
        wrapper,
        "floats of 1e16 and more, and below 0.0001: written out in digits by the database, with an exponent by json.dumps",
    )
