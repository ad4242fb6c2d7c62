"""JSON as it comes: one object whose array is written element by element, or a line for each record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TextIO

from xcomctl.model.redaction import redact_mapping


class JsonLines:
    """One record a line; the last line is the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def add(self, record: Mapping[str, Any]) -> None:
        """One record, without its secrets."""
        self._stream.write(json.dumps(redact_mapping(record)) + "\n")

    def end(self, record: Mapping[str, Any]) -> None:
        """The last line."""
        self.add(record)
        self._stream.flush()


class JsonObject:
    """One object: ``schema``, an array under ``name``, then everything else.

    Nothing is written before the first element or the end: a command that cannot begin leaves no half of an object.
    """

    def __init__(self, stream: TextIO, schema: str, name: str) -> None:
        self._stream = stream
        self._head = f'{{"schema": {json.dumps(schema)}, "{name}": ['
        self._first = True

    def add(self, record: Mapping[str, Any]) -> None:
        """One element, without its secrets."""
        self._stream.write((f"{self._head}\n  " if self._first else ",\n  ") + json.dumps(redact_mapping(record)))
        self._first = False

    def end(self, record: Mapping[str, Any]) -> None:
        """What follows the array."""
        rest = json.dumps(redact_mapping(record), indent=2)
        self._stream.write((self._head if self._first else "\n") + "],\n" + rest[1:].lstrip("\n") + "\n")
        self._stream.flush()
