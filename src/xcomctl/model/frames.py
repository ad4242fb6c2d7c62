"""The frame codec: JSON payloads on a byte stream that may also carry anybody's log lines.

A frame is a header of 20 bytes (marker, length and CRC of the payload, CRC of those) and a payload of JSON in UTF-8.
Whatever stands between frames is noise: it is handed to a callback line by line and otherwise ignored. The header's
own CRC makes a marker that appears in noise by accident harmless; a payload that does not match its CRC means that
the stream itself was cut or interleaved, which is an error.

Frames to the agent: ``request``, ``cancel``. Frames to the desk: ``hello`` once; for every request any number of
``progress`` and ``item`` and then one ``answer`` or ``error``; ``bye`` last.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Callable, Optional

HELLO = "hello"
PROGRESS = "progress"
ITEM = "item"
ANSWER = "answer"
ERROR = "error"
BYE = "bye"
REQUEST = "request"
CANCEL = "cancel"

#: Not valid UTF-8, so no well-behaved log line holds it.
MARKER = b"\xffxcomctl"
_HEADER = struct.Struct(">8sIII")
HEADER_SIZE = _HEADER.size
#: A frame's payload may not be larger: what does not fit belongs in a stream of items.
MAX_PAYLOAD = 1 << 30
#: How much of a noise line without an end is kept before it is handed on as it is.
MAX_NOISE_LINE = 64 * 1024


class FrameError(Exception):
    """The stream of frames is broken, or a payload cannot be framed."""


def encode(payload: Mapping[str, Any]) -> bytes:
    """One frame. Raises :class:`FrameError` for a payload that is not JSON or too large."""
    try:
        text = json.dumps(payload, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"not a JSON payload: {error}") from error
    return encode_text(text)


def encode_text(text: str) -> bytes:
    """One frame around JSON text that the caller has built (ASCII, as ``json.dumps`` writes by default)."""
    body = text.encode("ascii")
    if len(body) > MAX_PAYLOAD:
        raise FrameError(f"a payload of {len(body)} bytes does not fit in a frame")
    length_and_crc = struct.pack(">II", len(body), zlib.crc32(body))
    return _HEADER.pack(MARKER, len(body), zlib.crc32(body), zlib.crc32(length_and_crc)) + body


class FrameDecoder:
    """Takes bytes as they come, gives payloads; noise goes to ``on_noise`` as lines without their end."""

    def __init__(self, on_noise: Optional[Callable[[str], None]] = None) -> None:
        self._buffer = bytearray()
        self._noise = bytearray()
        self._on_noise = on_noise

    @property
    def amid_frame(self) -> bool:
        """Whether the bytes so far end inside a frame; at the end of the stream that means it was cut off."""
        return self._buffer.startswith(MARKER)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The payloads that are complete with these bytes. Raises :class:`FrameError` on a damaged payload."""
        self._buffer += data
        payloads: list[dict[str, Any]] = []
        while True:
            start = self._buffer.find(MARKER)
            if start < 0:
                self._take_noise(len(self._buffer) - self._marker_prefix_at_end())
                break
            self._take_noise(start)
            if len(self._buffer) < HEADER_SIZE:
                break
            _, length, crc, header_crc = _HEADER.unpack_from(self._buffer)
            if zlib.crc32(self._buffer[8:16]) != header_crc or length > MAX_PAYLOAD:
                self._take_noise(1)
                continue
            if len(self._buffer) < HEADER_SIZE + length:
                break
            body = bytes(self._buffer[HEADER_SIZE : HEADER_SIZE + length])
            del self._buffer[: HEADER_SIZE + length]
            self._flush_noise()
            if zlib.crc32(body) != crc:
                raise FrameError("a frame was damaged on its way: something else writes to the same stream")
            try:
                payload = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise FrameError(f"a frame does not hold JSON that can be read here: {error}") from error
            if not isinstance(payload, dict) or not isinstance(payload.get("kind"), str):
                raise FrameError("a frame holds no message")
            payloads.append(payload)
        return payloads

    def close(self) -> None:
        """Hand on what is left as noise: the stream has ended."""
        self._take_noise(len(self._buffer))
        self._flush_noise()

    def _marker_prefix_at_end(self) -> int:
        """How many bytes at the end may be the beginning of a marker."""
        for size in range(min(len(MARKER) - 1, len(self._buffer)), 0, -1):
            if self._buffer.endswith(MARKER[:size]):
                return size
        return 0

    def _take_noise(self, count: int) -> None:
        if count <= 0:
            return
        self._noise += self._buffer[:count]
        del self._buffer[:count]
        *lines, rest = self._noise.split(b"\n")
        for line in lines:
            self._report(line)
        self._noise = bytearray(rest)
        if len(self._noise) > MAX_NOISE_LINE:
            self._flush_noise()

    def _flush_noise(self) -> None:
        if self._noise:
            self._report(self._noise)
            self._noise = bytearray()

    def _report(self, line: bytearray) -> None:
        if self._on_noise is not None:
            self._on_noise(line.decode("utf-8", "replace").rstrip("\r"))
