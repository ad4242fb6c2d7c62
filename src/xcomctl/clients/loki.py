"""Lines out of Loki, none lost and none twice: by ``query_range`` in pages, whatever its limits are.

A page that is full may have cut the lines of its last nanosecond in two. These are kept back, and the next page starts at
them again (``start`` is inclusive), so that the lines of one nanosecond always come out of one answer. Sources: Loki's
HTTP API (https://grafana.com/docs/loki/latest/reference/loki-http-api/) and ``pkg/loghttp``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from xcomctl.clients.loki_address import Address, FixedAddress, Login
from xcomctl.clients.loki_answers import LokiError, LokiUnreachable, Refused, Why
from xcomctl.clients.loki_follow import Followed
from xcomctl.clients.loki_http import ATTEMPTS, LokiHttp
from xcomctl.clients.loki_page import SHORTEST_NS, Limits, Line, Span, page_of
from xcomctl.clients.loki_stacked import Stacked
from xcomctl.errors import UserError
from xcomctl.model.loki_query import moment, selector_of

__all__ = ["Address", "FixedAddress", "Line", "Login", "Loki", "LokiError", "LokiUnreachable"]

FORWARD = "forward"
BACKWARD = "backward"
_API = "/loki/api/v1"
#: Loki's own query time-out is one minute; what takes longer than this is asked for in halves.
TIMEOUT_S = 75.0
#: A lookback ends while we read, and clocks differ.
_SLACK_NS = 60 * 1_000_000_000
#: How often the limits are asked for, which we can do without.
_ATTEMPTS_LIMITS = 3
#: No lookback that somebody set is shorter than this.
_SHORT_NS = 24 * 3600 * 1_000_000_000
#: How late a line may come when lines are followed.
LATE_S = 30.0


class Loki:
    """A session with one Loki. Use it as a context manager, or call :meth:`close`.

    Nothing is sent before the first question. ``say`` takes sentences about waiting and asking again, ``incomplete``
    collects those about what may be missing: whoever shows lines has to look at it afterwards. A request is asked ``attempts`` times. Every method raises
    :class:`LokiError`, and whatever :meth:`Address.renew` raises.
    """

    def __init__(
        self,
        address: Address,
        login: Login,
        *,
        say: Callable[[str], None],
        timeout_s: float = TIMEOUT_S,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], int] = time.time_ns,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._http = LokiHttp(address, login, say=say, timeout_s=timeout_s, pause=pause, attempts=attempts)
        self._say = say
        self._pause = pause
        self._clock = clock
        self._limits = Limits()
        self._limits_asked = False
        self._lookback_told = False
        self._gave_up = False
        self._pages_read = 0
        #: Sentences about what may have been cut; empty: nothing.
        self.incomplete: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._http.requests

    @property
    def lookback_unknown(self) -> bool:
        """Whether Loki was asked how far it looks back and did not say: what is older it leaves out without a word."""
        return self._limits_asked and self._limits.lookback_unknown

    def lines(
        self, query: str, start_ns: int, end_ns: int, *, direction: str = FORWARD, limit: int | None = None
    ) -> Iterator[Line]:
        """The lines of a log query from ``start_ns`` (inclusive) to ``end_ns`` (exclusive), each once, in order of time.

        Those of one nanosecond come in order of their streams' labels. No more than one page is in memory. ``limit`` is
        how many are wanted, ``None`` for all. What could not be read is told in :attr:`incomplete` and ends the lines;
        that Loki cannot be reached at all, or refuses the query, is raised.
        """
        span = Span(start_ns, end_ns, backward=direction == BACKWARD)
        self._gave_up = False
        self._learn_limits(span)
        read = self._pages_read
        seen = first_ns = last_ns = 0
        try:
            for line in self._lines(query, span, limit or None):
                last_ns = line.at_ns
                first_ns = first_ns or last_ns
                seen += 1
                yield line
        except UserError as error:
            if self._pages_read == read:
                raise
            self._give_up(span, error.message.rstrip("."))
            if not isinstance(error, LokiUnreachable):
                raise
        # Of the newest ones, all that were wanted came, however far Loki looks back.
        if not (limit and seen >= limit and direction == BACKWARD):
            self._probe_lookback(query, start_ns, end_ns, min(first_ns, last_ns))

    def _lines(self, query: str, span: Span, wanted: int | None) -> Iterator[Line]:
        """Goes on until nothing of the span is left, or says why not."""
        slow = 0
        while not span.done:
            start_ns, end_ns = span.window(self._limits.length_ns)
            size = self._limits.page if wanted is None else min(self._limits.page, wanted)
            try:
                lines = self._page(query, start_ns, end_ns, size, backward=span.backward)
            except Refused as refused:
                slow += refused.why is Why.SLOW
                if refused.why is Why.TOO_OLD:
                    self._missing(start_ns, end_ns, "nothing was read", refused.said)
                    span.passed(start_ns, end_ns)
                elif slow >= self._http.attempts or not self._limits.lowered(refused, size, end_ns - start_ns):
                    self._give_up(span, refused.said)
                    return
                elif refused.why is Why.SLOW:
                    self._http.wait(slow, f"{refused.said} (half of the time is asked for next)")
                continue
            slow = 0
            if wanted is not None and len(lines) >= wanted:
                yield from lines[:wanted]
                return
            if len(lines) < size:
                span.passed(start_ns, end_ns)
                self._limits.relaxed()
            else:
                self._limits.filled()
                edge_ns = lines[-1].at_ns
                lines = [line for line in lines if line.at_ns != edge_ns]
                if lines:
                    span.reached(edge_ns)
                else:
                    for line in itertools.islice(self._stacked(query, edge_ns, span), wanted):
                        yield line
                        wanted = None if wanted is None else wanted - 1
                    if wanted == 0:
                        return
                    span.passed(edge_ns, edge_ns + 1)
            wanted = None if wanted is None else wanted - len(lines)
            yield from lines
            del lines  # before the next page comes

    def _stacked(self, query: str, at_ns: int, span: Span) -> Iterator[Line]:
        stacked = Stacked(self._page, self.series, self._limits, self.incomplete)
        return stacked.lines(query, at_ns, backward=span.backward)

    def _give_up(self, span: Span, why: str) -> None:
        self._gave_up = True
        self._missing(span.start_ns, span.end_ns, "not every line was read", why)

    def _missing(self, start_ns: int, end_ns: int, what: str, why: str) -> None:
        self.incomplete.append(f"From {moment(start_ns)} to {moment(end_ns)} {what}: {why}")

    def follow(self, query: str, start_ns: int, *, every_s: float = 2.0, late_s: float = LATE_S) -> Iterator[Line]:
        """The lines from ``start_ns`` on, and then those that come, each once; ends only when it has to give up.

        A line that reaches Loki more than ``late_s`` after another with a later time may be left out, without a word but
        the one to ``say`` at the start: see :class:`~xcomctl.clients.loki_follow.Followed`.
        """
        self._say(f"lines that reach Loki more than {late_s:g} s after ones with a later time may not be shown")
        followed = Followed(start_ns, late_ns=round(late_s * 1e9))
        while True:
            now_ns = self._clock()
            for line in self.lines(query, *followed.window(now_ns)):
                if followed.is_new(line):
                    yield line
            if self._gave_up:
                return
            followed.polled(now_ns)
            self._pause(every_s)

    def labels(self, start_ns: int, end_ns: int, selector: str = "") -> list[str]:
        """The names of labels in that time, sorted; of the selector's streams alone where Loki (3 and later) heeds it."""
        return sorted({*self._names("/labels", start_ns, end_ns, selector)})

    def label_values(self, name: str, start_ns: int, end_ns: int, selector: str = "") -> list[str]:
        """The values of a label in that time, sorted."""
        return sorted({*self._names(f"/label/{quote(name, safe='')}/values", start_ns, end_ns, selector)})

    def series(self, selector: str, start_ns: int, end_ns: int) -> list[Mapping[str, str]]:
        """The labels of the streams that a selector matches in that time, each once, in order of their labels."""
        found = {}
        for record in self._data("/series", start_ns, end_ns, [("match[]", selector)]):
            labels = {str(name): str(value) for name, value in record.items()}
            found[tuple(sorted(labels.items()))] = labels
        return [found[key] for key in sorted(found)]

    def _names(self, path: str, start_ns: int, end_ns: int, selector: str) -> Iterator[str]:
        return map(str, self._data(path, start_ns, end_ns, [("query", selector)] if selector else []))

    def _data(self, path: str, start_ns: int, end_ns: int, params: list[tuple[str, str]]) -> list[dict[str, str]]:
        """The data of all parts of a time range that may be too long for one question. Memory holds all of it."""
        data: list[dict[str, str]] = []
        span = Span(start_ns, end_ns, backward=False)
        self._learn_limits(span)
        while not span.done:
            start_ns, end_ns = span.window(self._limits.length_ns)
            try:
                answer = self._http.get(_API + path, [*params, ("start", str(start_ns)), ("end", str(end_ns))])
            except Refused as refused:
                if refused.why is not Why.TOO_OLD:
                    if not self._limits.lowered(refused, self._limits.page, end_ns - start_ns):
                        raise LokiError(f"Loki refused {path}: {refused.said}.") from None
                    continue
                answer = {}
            data += answer.get("data") or []  # an empty list is left out by some versions
            span.passed(start_ns, end_ns)
        return data

    def _page(self, query: str, start_ns: int, end_ns: int, size: int, *, backward: bool) -> list[Line]:
        params = [
            ("query", query), ("start", str(start_ns)), ("end", str(end_ns)), ("limit", str(size)),
            ("direction", BACKWARD if backward else FORWARD),
        ]  # fmt: skip
        # What lasts no longer than this is read as fast as it can be: the same is asked again then.
        divisible = end_ns - start_ns > SHORTEST_NS
        answer = self._http.get(f"{_API}/query_range", params, divisible=divisible)
        for warning in answer.get("warnings") or ():
            if "partial" in str(warning):
                self._missing(start_ns, end_ns, "Loki gave a part of the lines", str(warning))
        lines = page_of(answer, backward=backward)
        self._pages_read += 1
        return lines

    def _learn_limits(self, span: Span) -> None:
        """What Loki (3.4 and later) tells of the tenant's limits, where it may be asked: it saves refusals, and a time
        range that goes back too far is cut by Loki without a word."""
        if not self._limits_asked:
            self._limits_asked = True
            self._limits.told(self._published().get("limits"))
        lookback_ns = self._limits.lookback_ns
        if lookback_ns is None or self._lookback_told:
            return
        first_ns = self._clock() - lookback_ns
        if span.start_ns < first_ns - _SLACK_NS:
            self._lookback_told = True
            end_ns = min(first_ns, span.end_ns)
            self._missing(span.start_ns, end_ns, "nothing was read", "Loki looks back no further (max_query_lookback)")

    def _published(self) -> Mapping[str, Any]:
        """What Loki publishes; empty where it does not (404), not to us (401, 403), or not after being asked some times."""
        try:
            answer = self._http.get(f"{_API}/drilldown-limits", (), attempts=_ATTEMPTS_LIMITS)
        except LokiUnreachable:
            if not self._http.met:
                raise
        except (Refused, LokiError):
            pass
        else:
            return answer if isinstance(answer, Mapping) else {}
        return {}

    def _probe_lookback(self, query: str, start_ns: int, end_ns: int, oldest_ns: int) -> None:
        """Where Loki does not say how far it looks back: whether it saw the oldest part of a long time range at all.

        It did if the streams have a line in the oldest tenth (``oldest_ns`` is that of the oldest line that was read). Ranges
        of up to a day are left alone: such a lookback is rare, and an hour without a line is not.
        """
        now_ns = self._clock()
        end_ns = min(end_ns, now_ns)
        tenth_ns = start_ns + (end_ns - start_ns) // 10
        if self._gave_up or not self.lookback_unknown or end_ns - start_ns <= _SHORT_NS or 0 < oldest_ns < tenth_ns:
            return
        selector = selector_of(query)
        if selector is None:
            return
        try:
            if next(self._lines(selector, Span(start_ns, tenth_ns, backward=False), 1), None) is not None:
                return
            why = f"{selector} has no line there, and Loki does not tell how far it looks back (max_query_lookback)"
        except UserError as error:
            why = error.message.rstrip(".")
        self._missing(start_ns, tenth_ns, "lines may have been left out", why)
