"""Lines of logs as they come, one form a class: text, the lines alone, JSON lines, one JSON object.

None of them holds a secret that can be told for one; what was taken out is marked in JSON.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO

from xcomctl.model.loki_query import moment
from xcomctl.model.redaction import redact_mapping
from xcomctl.report.log_redaction import Labels, redacted
from xcomctl.report.text import ascii_only, holds_unicode, is_terminal, printable

#: Colours that a program gave its own words; elsewhere escape sequences are shown as what they are.
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TIME, _LABELS, _PLAIN = "\x1b[34m", "\x1b[36m", "\x1b[0m"
#: Labels that name a container among others; where they are, no other is shown unless it is asked for.
_POD, _CONTAINER = "pod", "container"


class Line(Protocol):
    """One line: its time in nanoseconds since the epoch, its text, the labels of its stream and what else came with it."""

    @property
    def at_ns(self) -> int:
        """Its time."""

    @property
    def text(self) -> str:
        """What was logged."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Of its stream."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """Of its own."""


class Lines(Protocol):
    """Takes the lines of a query; ``end`` takes what there is to say of all of them."""

    def add(self, line: Line) -> None:
        """One line. Raises what the stream raises."""

    def end(self, record: Mapping[str, Any]) -> None:
        """After the last one."""


class TextLines:
    """``TIME POD/CONTAINER line``. ``labels``: exactly these instead of those that tell; ``without``: none of these.

    In colour on a terminal. What comes from elsewhere cannot drive it.
    """

    def __init__(
        self, stream: TextIO, *, labels: Collection[str] | None, without: Collection[str], flush: bool
    ) -> None:
        self._stream, self._labels, self._without, self._flush = stream, labels, frozenset(without), flush
        self._unicode = holds_unicode(stream)
        self._colour = is_terminal(stream) and "NO_COLOR" not in os.environ
        self._second, self._second_text = -1, ""
        self._named: dict[int, tuple[Mapping[str, str], str]] = {}

    def add(self, line: Line) -> None:
        """One line of the stream, and more where the text has some."""
        text = printable(_COLOURS.sub("", redacted(line.text)).rstrip("\r\n"), keep_newlines=True)
        time, name = self._time(line.at_ns), self._name(line.labels)
        if not self._unicode:
            text, name = ascii_only(text), ascii_only(name)
        if self._colour:
            time, name = f"{_TIME}{time}{_PLAIN}", f"{_LABELS}{name}{_PLAIN}" if name else ""
        self._stream.write(f"{time} {name} {text}\n" if name else f"{time} {text}\n")
        if self._flush:
            self._stream.flush()

    def end(self, record: Mapping[str, Any]) -> None:
        """Nothing follows: what is said of them is said elsewhere."""
        self._stream.flush()

    def _time(self, at_ns: int) -> str:
        """UTC, to the millisecond. Lines of one second follow one another."""
        second, rest = divmod(at_ns, 10**9)
        if second != self._second:
            try:
                text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            except (OverflowError, ValueError, OSError):
                return moment(at_ns)
            self._second, self._second_text = second, text
        return f"{self._second_text}.{rest // 10**6:03d}Z"

    def _name(self, labels: Mapping[str, str]) -> str:
        # Lines of one page share the labels of their stream; what is remembered holds on to its labels.
        known = self._named.get(id(labels))
        if known is not None and known[0] is labels:
            return known[1]
        name = printable(redacted(self._named_by(redact_mapping(labels))))
        if len(self._named) > 1000:
            self._named.clear()
        self._named[id(labels)] = (labels, name)
        return name

    def _named_by(self, labels: Mapping[str, str]) -> str:
        if self._labels is None and _POD in labels and _POD not in self._without:
            container = labels.get(_CONTAINER) if _CONTAINER not in self._without else None
            return f"{labels[_POD]}/{container}" if container else labels[_POD]
        shown = [
            name
            for name in sorted(labels)
            if (self._labels is None or name in self._labels) and name not in self._without
        ]
        return f"{{{', '.join(f'{name}={json.dumps(labels[name], ensure_ascii=False)}' for name in shown)}}}" if shown else ""  # fmt: skip


class RawLines:
    """The lines alone, as they were logged; on a terminal without what could drive it."""

    def __init__(self, stream: TextIO, *, flush: bool) -> None:
        self._stream, self._flush = stream, flush
        self._terminal = is_terminal(stream)

    def add(self, line: Line) -> None:
        """One line."""
        text = redacted(line.text)
        self._stream.write((printable(text, keep_newlines=True) if self._terminal else text) + "\n")
        if self._flush:
            self._stream.flush()

    def end(self, record: Mapping[str, Any]) -> None:
        """Nothing follows."""
        self._stream.flush()


class JsonLogLines:
    """``{"timestamp", "labels", "line"}`` a line, as logcli has it."""

    def __init__(self, stream: TextIO, *, flush: bool) -> None:
        self._stream, self._flush, self._known = stream, flush, Labels()

    def add(self, line: Line) -> None:
        """One record."""
        self._stream.write(json.dumps(record_of(line, self._known)) + "\n")
        if self._flush:
            self._stream.flush()

    def end(self, record: Mapping[str, Any]) -> None:
        """Nothing follows, so that each line is a line of a log."""
        self._stream.flush()


class JsonReport:
    """One object: ``schema``, the lines in an array, then everything else. Nothing is written before the first of them."""

    def __init__(self, stream: TextIO, schema: str) -> None:
        self._stream = stream
        self._head = f'{{"schema": {json.dumps(schema)}, "lines": ['
        self._first, self._known = True, Labels()

    def add(self, line: Line) -> None:
        """One element."""
        before = f"{self._head}\n  " if self._first else ",\n  "
        self._stream.write(before + json.dumps(record_of(line, self._known)))
        self._first = False

    def end(self, record: Mapping[str, Any]) -> None:
        """What follows the array."""
        rest = json.dumps(redact_mapping(record), indent=2)
        self._stream.write((self._head if self._first else "\n") + "],\n" + rest[1:].lstrip("\n") + "\n")
        self._stream.flush()


def record_of(line: Line, known: Labels) -> dict[str, Any]:
    """A line as JSON values. ``redacted``: the line, a label or its metadata held what looks like a secret, or is called so."""
    text, labels, metadata = redacted(line.text), known.redacted(line.labels), redact_mapping(line.metadata)
    record: dict[str, Any] = {"timestamp": moment(line.at_ns), "labels": labels, "line": text}
    if metadata:
        record["metadata"] = metadata
    if text != line.text or labels != line.labels or metadata != line.metadata:
        record["redacted"] = True
    return record
