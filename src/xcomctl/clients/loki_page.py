"""One answer of ``query_range`` as lines in order, what is left of a time range, and which pages Loki lets us ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xcomctl.clients.loki_answers import LokiError, Refused, Why
from xcomctl.model.loki_query import duration_ns

#: Loki's ``max_entries_limit_per_query`` unless somebody changed it.
PAGE_LINES = 5000
#: Loki's index and chunks know milliseconds: a shorter range costs the same.
SHORTEST_NS = 1_000_000
_PAGES_BEFORE_WIDER = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One log line. ``at_ns`` is its time since the epoch, ``labels`` are its stream's.

    ``metadata`` is the structured metadata of the line and what a parser in the query made of it, where Loki tells them
    apart from the labels (Loki 3), else they are among these.
    """

    at_ns: int
    text: str
    labels: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)


_NOTHING: Mapping[str, str] = {}


def page_of(answer: Mapping[str, Any], *, backward: bool) -> list[Line]:
    """The lines of an answer, by time and then by labels; lines of one stream and time stay as Loki ordered them.

    Raises :class:`LokiError` for a metric query's answer, and for one that is not as documented.
    """
    try:
        data = answer["data"]
        if data["resultType"] != "streams":
            raise LokiError(
                f"That is a metric query (its result is a {data['resultType']}): it gives numbers, not lines.",
                'give a log query, such as \'{namespace="airflow"} |= "error"\'',
            )
        keyed: list[tuple[int, tuple[tuple[str, str], ...], Line]] = []
        for stream in data["result"] or ():
            labels: dict[str, str] = stream["stream"]
            key = tuple(sorted(labels.items()))
            for value in stream["values"]:
                at_ns = int(value[0])
                more = value[2] if len(value) > 2 else None
                line = Line(at_ns, value[1], labels, _metadata(more) if more else _NOTHING)
                keyed.append((-at_ns if backward else at_ns, key, line))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise LokiError(f"Loki's answer is not as its API documents it ({type(error).__name__}: {error}).") from None
    keyed.sort(key=lambda each: each[:2])
    return [line for _, _, line in keyed]


def _metadata(more: Mapping[str, Any]) -> Mapping[str, str]:
    return {**(more.get("structuredMetadata") or {}), **(more.get("parsed") or {})}


@dataclass
class Span:
    """What is left of a time range, ``start_ns`` inclusive and ``end_ns`` exclusive, read from one end."""

    start_ns: int
    end_ns: int
    backward: bool

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.start_ns >= self.end_ns

    def window(self, length_ns: int | None) -> tuple[int, int]:
        """What to ask for next: no more than that long."""
        if length_ns is None:
            return self.start_ns, self.end_ns
        if self.backward:
            return max(self.start_ns, self.end_ns - length_ns), self.end_ns
        return self.start_ns, min(self.end_ns, self.start_ns + length_ns)

    def passed(self, start_ns: int, end_ns: int) -> None:
        """That window was read whole."""
        if self.backward:
            self.end_ns = start_ns
        else:
            self.start_ns = end_ns

    def reached(self, at_ns: int) -> None:
        """Everything was read but that nanosecond and what comes after it."""
        if self.backward:
            self.end_ns = at_ns + 1
        else:
            self.start_ns = at_ns


class Limits:
    """How large a page may be and how long its time range, as far as Loki told or made us find out."""

    def __init__(self) -> None:
        self.page = PAGE_LINES
        #: What it grows to again after an answer was too large.
        self._widest = PAGE_LINES
        self._full_pages = 0
        #: The most lines that a page may have, if Loki told.
        self.most: int | None = None
        #: The longest range that we ask for now, and the longest that is allowed; ``None``: any.
        self.length_ns: int | None = None
        self._longest_ns: int | None = None
        #: How far back Loki looks; what is older it leaves out without saying so.
        self.lookback_ns: int | None = None
        #: Whether Loki did not say how far that is, if there is such a limit at all.
        self.lookback_unknown = True

    def told(self, limits: Any) -> None:
        """Take what Loki publishes of its limits, as far as it can be understood; 0 means none."""
        if not isinstance(limits, Mapping):
            return
        most = limits.get("max_entries_limit_per_query")
        if isinstance(most, int) and most > 0:
            self.most = most
            self.page = self._widest = min(self.page, most)
        lookback_ns = duration_ns(str(limits.get("max_query_lookback")))
        self.lookback_unknown = lookback_ns is None
        self.lookback_ns = lookback_ns or None
        self._longest_ns = self.length_ns = duration_ns(str(limits.get("max_query_length"))) or None

    def lowered(self, refused: Refused, size: int, length_ns: int) -> bool:
        """Ask for less after a request of ``size`` lines over ``length_ns`` was refused; whether there is less to ask for."""
        if refused.why in (Why.ENTRIES, Why.TOO_LARGE):
            bound = refused.bound
            if refused.why is Why.ENTRIES and bound:
                self.most = bound
            lower = bound if bound and bound < size else size // 2
            self.page = max(lower, 1)
            self._full_pages = 0
            if refused.why is Why.ENTRIES:
                self._widest = self.page
            return lower >= 1
        if refused.why is Why.MATCHERS:
            return False
        bound = refused.bound
        lower = bound if bound and bound < length_ns else length_ns // 2
        if lower < SHORTEST_NS:
            return False
        self.length_ns = lower
        if refused.why is Why.TOO_LONG:
            self._longest_ns = lower
        return True

    def relaxed(self) -> None:
        """A window was read whole: the next may be longer and its pages larger, as what was too much in one hour need not
        be in another."""
        if self.length_ns is not None and self.length_ns != self._longest_ns:
            longer = self.length_ns * 2
            self.length_ns = longer if self._longest_ns is None else min(longer, self._longest_ns)
        self._widen()

    def filled(self) -> None:
        """A full page came: after a few, the next may be larger, as lines that were too long in one hour need not be so in
        another. Not after each, since a page that is refused costs a request."""
        self._full_pages += 1
        if self._full_pages >= _PAGES_BEFORE_WIDER:
            self._widen()

    def _widen(self) -> None:
        self._full_pages = 0
        self.page = min(self.page * 2, self._widest)
