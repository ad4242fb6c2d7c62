"""What of LogQL has to be understood at the desk: where the stream selector is, and how durations and places are written.

Everything else of a query is Loki's business. Sources: Loki's lexer (strings in ``"…"`` or between backticks, comments
from ``#`` to the end of the line) and ``prometheus/common/model`` for durations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Optional

#: What a brace means nothing in, and a brace.
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|#[^\n]*|[{}]', re.DOTALL)
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60 * 1_000_000_000,
    "h": 3600 * 1_000_000_000,
    "d": 86_400 * 1_000_000_000,
    "w": 7 * 86_400 * 1_000_000_000,
    "y": 365 * 86_400 * 1_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h|d|w|y)")
_PLACE = re.compile(r"at line (\d+), col (\d+)")


def selector_of(query: str) -> Optional[str]:
    """The stream selector of a log query, with its braces: ``None`` where there is none."""
    span = _selector_span(query)
    return None if span is None else query[span[0] : span[1]]


def narrowed(query: str, labels: Mapping[str, str]) -> Optional[str]:
    """The query of those streams alone whose labels are these; an empty value asks for streams without the label.

    ``None`` where there is no stream selector to narrow.
    """
    span = _selector_span(query)
    if span is None:
        return None
    inside, end = query[span[0] + 1 : span[1] - 1], span[1] - 1
    matchers = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in sorted(labels.items()))
    if not matchers:
        return query
    comma = ", " if inside.strip() else ""
    return query[:end] + comma + matchers + query[end:]


def _selector_span(query: str) -> Optional[tuple[int, int]]:
    start = None
    for token in _TOKEN.finditer(query):
        if token[0] == "{" and start is None:
            start = token.start()
        elif token[0] == "}" and start is not None:
            return start, token.end()
    return None


def duration_ns(text: str) -> Optional[int]:
    """A duration as Go or Prometheus writes it (``721h0m0s``, ``30d1h``) in nanoseconds; ``None`` if it is none."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    return sum(round(float(number) * _UNITS_NS[unit]) for number, unit in parts)


def marked(query: str, message: str) -> str:
    """The line of the query that a message of Loki's is about, and a caret below the place; empty if it tells none.

    Loki counts lines and columns from 1, columns in characters; some messages have line 0 and mean the first.
    """
    place = _PLACE.search(message)
    lines = query.split("\n")
    if place is None or (place[1], place[2]) == ("0", "0"):
        return ""
    row, column = max(int(place[1]), 1), max(int(place[2]), 1)
    if row > len(lines) or column > len(lines[row - 1]) + 1:
        return ""
    line = lines[row - 1]
    # A tab stays one, so that the caret is below its place whatever the terminal makes of it.
    blank = "".join("\t" if character == "\t" else " " for character in line[: column - 1])
    return f"{line}\n{blank}^"


def moment(at_ns: int) -> str:
    """A time in nanoseconds since the epoch, as RFC 3339 in UTC with no more digits than it has."""
    seconds, fraction = divmod(at_ns, 1_000_000_000)
    try:
        text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{at_ns} ns"
    return text + (f".{fraction:09d}".rstrip("0") if fraction else "") + "Z"
