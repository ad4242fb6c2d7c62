"""What is asked of Loki: in which time, of which streams; and what would prove that the question was one."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime

from xcomctl.errors import UserError
from xcomctl.model.loki_query import duration_ns, moment, selector_of
from xcomctl.model.verdicts import Verdict

#: Which of a container's streams, by the label that promtail, Alloy and Fluent Bit give them.
STDOUT, STDERR, ALL = "stdout", "stderr", "all"
STREAMS = (STDOUT, STDERR, ALL)
#: Of what has no such label, standard output is all there is.
_MATCHERS = {STDOUT: 'stream!="stderr"', STDERR: 'stream="stderr"'}
_STRING_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|#[^\n]*', re.DOTALL)
_HAS_STREAM = re.compile(r"(?:[{,]|^)\s*stream\s*[=!]")
#: What may stand before the selector of a log query: blanks, comments, parentheses.
_BEFORE = re.compile(r"(?:\s|#[^\n]*(?:\n|$)|\()*")

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-]\d\d):?(\d\d))?")
_EPOCH = re.compile(r"\d{9,10}|\d{19}")
SECOND_NS = 10**9


@dataclass(frozen=True)
class Window:
    """A time, in nanoseconds since the epoch: from ``start_ns`` on, before ``end_ns``."""

    start_ns: int
    end_ns: int

    @property
    def said(self) -> str:
        """In words."""
        return f"from {moment(self.start_ns)} to {moment(self.end_ns)}"


@dataclass(frozen=True)
class Asked:
    """A log query, its stream selector alone, and what the option ``--stream`` came to (empty: nothing)."""

    query: str
    selector: str
    remark: str = ""


def window(since_ns: int | None, from_ns: int | None, to_ns: int | None, default_ns: int) -> Window:
    """The time that the options mean; now is the end where none is given. Raises ``ValueError`` for an empty one."""
    end = time.time_ns() if to_ns is None else to_ns
    start = from_ns if from_ns is not None else end - (default_ns if since_ns is None else since_ns)
    if start >= end:
        raise ValueError(f"there is no time from {moment(start)} to {moment(end)}")
    return Window(start, end)


def asked(query: str, stream: str) -> Asked:
    """The query, of that stream alone. Raises :class:`UserError` for what is no log query."""
    before = _BEFORE.match(query)
    begin = before.end() if before is not None else 0
    selector = selector_of(query[begin:])
    if selector is None or not query[begin:].startswith("{"):
        raise UserError(
            f"this is no query for log lines, which begins with the streams that it is about: {query.strip() or 'nothing'}",
            """such as '{namespace="airflow"} |= "error"'; for metrics of logs there are logcli and Grafana""",
            Verdict.REFUSED,
        )
    if stream == ALL:
        return Asked(query, selector)
    # As long as it was, so that places are the same.
    bare = _STRING_OR_COMMENT.sub(lambda found: (" " if found[0][0] == "#" else "_") * len(found[0]), selector)
    if _HAS_STREAM.search(bare):
        return Asked(query, selector, "the query itself says which stream, so --stream adds nothing")
    # In front: what the selector ends with may be a comment, or a comma, which goes.
    inside, last = selector[1:-1], len(bare[1:-1].rstrip()) - 1
    if last >= 0 and inside[last] == ",":
        inside = inside[:last] + inside[last + 1 :]
    narrowed = f"{{{_MATCHERS[stream]}{', ' if last >= 0 else ''}{inside}}}"
    return Asked(query[:begin] + narrowed + query[begin + len(selector) :], narrowed)


def duration(text: str) -> int:
    """Nanoseconds of a duration as Go and Prometheus write it (``15m``, ``1h30m``, ``7d``). Raises ``ValueError``."""
    found = duration_ns(text)
    if found is None or not 0 < found < 2**62:
        raise ValueError(f"{text!r} is no duration such as 15m, 1h30m or 7d")
    return found


def instant(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 time, of seconds or of nanoseconds since then; ``now`` is now.

    A time without a zone is this machine's, as logcli takes it. Raises ``ValueError``.
    """
    if text == "now":
        return time.time_ns()
    if _EPOCH.fullmatch(text):
        return int(text) * (1 if len(text) == 19 else SECOND_NS)
    found = _RFC3339.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no time such as 2026-06-06T12:00:00Z")
    day, clock, fraction, utc, hours, minutes = found.groups()
    zone = "+00:00" if utc else f"{hours}:{minutes}" if hours else ""
    try:
        whole = datetime.fromisoformat(f"{day}T{clock}{zone}")
        seconds = int((whole if zone else whole.astimezone()).timestamp())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no time: {error}") from error
    return seconds * SECOND_NS + int((fraction or "").ljust(9, "0"))
