"""Lines of one nanosecond, more than a page holds: no part of the time tells them apart, their streams do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from xcomctl.clients.loki_answers import LokiError, LokiUnreachable, Refused, Why
from xcomctl.clients.loki_page import Limits, Line
from xcomctl.model.loki_query import moment, narrowed, selector_of

#: Streams are looked up a little before and after: the index knows no nanoseconds.
_AROUND_NS = 1_000_000_000
#: How many ordinary pages one stream's nanosecond may fill before we give up, where Loki allows that much.
_MOST_PAGES = 16


class Page(Protocol):
    """Asks for one page of lines; the time is inclusive and exclusive. Raises :class:`Refused`."""

    def __call__(self, query: str, start_ns: int, end_ns: int, size: int, *, backward: bool) -> list[Line]:
        """The lines, in order."""


class Stacked:
    """Reads a single nanosecond in which there are at least as many lines as fit into a page."""

    def __init__(
        self,
        page: Page,
        series: Callable[[str, int, int], list[Mapping[str, str]]],
        limits: Limits,
        incomplete: list[str],
    ) -> None:
        self._page = page
        self._series = series
        self._limits = limits
        self._incomplete = incomplete

    def lines(self, query: str, at_ns: int, *, backward: bool) -> Iterator[Line]:
        """Every line of that nanosecond that can be had, in order of the streams' labels."""
        try:
            first, whole = self._whole(query, at_ns, self._limits.page, backward=backward)
        except Refused as refused:
            self._cut(at_ns, "", refused.said)
            return
        selector = selector_of(query)
        streams = [] if whole or selector is None else self._streams(selector, at_ns)
        if len(streams) < 2:
            yield from first if whole else self._larger(query, at_ns, first, "", backward=backward)
            return
        # What the streams have to give at least: what the whole of them gave.
        owed = Counter((tuple(sorted(line.labels.items())), line.text) for line in first)
        shown = {(tuple(sorted(line.labels.items())), line.text): line for line in first}
        del first
        names = {name for labels in streams for name in labels}
        for labels in streams:
            # A label that only others have is asked for as missing, or their lines would come twice.
            one = narrowed(query, {name: labels.get(name, "") for name in names})
            assert one is not None  # there is a selector
            for line in self._stream(one, at_ns, str(dict(labels)), backward=backward):
                key = (tuple(sorted(line.labels.items())), line.text)
                if owed.get(key):
                    owed[key] -= 1
                yield line
        missing = +owed
        if missing:
            self._cut(at_ns, "", "their streams are not all found by their labels")
            for key, count in sorted(missing.items()):
                for _ in range(count):
                    yield shown[key]

    def _streams(self, selector: str, at_ns: int) -> list[Mapping[str, str]]:
        try:
            return self._series(selector, max(at_ns - _AROUND_NS, 0), at_ns + _AROUND_NS)
        except LokiUnreachable:
            raise
        except LokiError:  # the whole of them is tried then
            return []

    def _stream(self, query: str, at_ns: int, who: str, *, backward: bool) -> Iterator[Line]:
        try:
            lines, whole = self._whole(query, at_ns, self._limits.page, backward=backward)
        except Refused as refused:
            self._cut(at_ns, who, refused.said)
            return
        yield from lines if whole else self._larger(query, at_ns, lines, who, backward=backward)

    def _whole(self, query: str, at_ns: int, size: int, *, backward: bool) -> tuple[list[Line], bool]:
        """The lines, and whether these are all."""
        lines = self._page(query, at_ns, at_ns + 1, size, backward=backward)
        return lines, len(lines) < size

    def _larger(self, query: str, at_ns: int, lines: list[Line], who: str, *, backward: bool) -> list[Line]:
        """The lines in one larger page, as large as it has to be and Loki allows; else ``lines``, or more of them."""
        size = self._limits.page
        most = self._limits.most or size * _MOST_PAGES
        while size < most:
            larger = min(size * 2, most)
            try:
                more, whole = self._whole(query, at_ns, larger, backward=backward)
            except Refused as refused:
                if refused.why is Why.ENTRIES and refused.bound and refused.bound < larger:
                    self._limits.most = most = refused.bound
                    continue
                self._cut(at_ns, who, refused.said)
                return lines
            if whole:
                return more
            size, lines = larger, more
        self._cut(at_ns, who, f"there are at least {size}, which is as many as Loki gives at once")
        return lines

    def _cut(self, at_ns: int, who: str, why: str) -> None:
        of = f" of the stream {who}" if who else ""
        self._incomplete.append(f"Not every line{of} with the time {moment(at_ns)} was read: {why}")
