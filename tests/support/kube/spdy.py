"""The server's half of SPDY/3.1, as far as ``kubectl port-forward`` speaks it inside a WebSocket.

Source: the SPDY draft 3.1, sections 2.2 (frames) and 2.6.10 (headers, compressed with a dictionary of their own).
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.support.kube.spdy_dictionary import DICTIONARY

_CONTROL = 0x80000000
_VERSION = 0x8003
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING = 1, 2, 3, 6
_FIN = 1


@dataclass
class Stream:
    """One stream that the client opened. ``received`` has its data, and ``None`` at its end."""

    number: int
    headers: dict[str, str]
    received: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)


class Connection:
    """Takes bytes in, calls ``opened`` for each new stream, and gives bytes to ``send``."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], opened: Callable[[Stream], None]) -> None:
        self._send, self._opened = send, opened
        self._rest = b""
        self._streams: dict[int, Stream] = {}
        # One context of compression per direction, for the whole connection.
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    async def feed(self, data: bytes) -> None:
        """Bytes from the client; frames may be cut anywhere."""
        self._rest += data
        while len(self._rest) >= 8:
            word, rest = struct.unpack(">II", self._rest[:8])
            flags, length = rest >> 24, rest & 0xFFFFFF
            if len(self._rest) < 8 + length:
                return
            body, self._rest = self._rest[8 : 8 + length], self._rest[8 + length :]
            if word & _CONTROL:
                await self._control(word & 0xFFFF, flags, body)
            elif (stream := self._streams.get(word)) is not None:
                self._take(stream, body, flags)

    async def write(self, stream: Stream, data: bytes, *, last: bool = False) -> None:
        """Data to the client; ``last`` ends our half of the stream."""
        await self._send(struct.pack(">II", stream.number, (_FIN if last else 0) << 24 | len(data)) + data)

    async def _control(self, kind: int, flags: int, body: bytes) -> None:
        if kind == _SYN_STREAM:
            (number,) = struct.unpack(">I", body[:4])
            stream = self._streams[number] = Stream(number, self._headers(body[10:]))
            no_headers = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._send(_frame(_SYN_REPLY, struct.pack(">I", number) + no_headers))
            self._take(stream, b"", flags)
            self._opened(stream)
        elif kind == _RST_STREAM:
            if (reset := self._streams.pop(struct.unpack(">I", body[:4])[0], None)) is not None:
                reset.received.put_nowait(None)
        elif kind == _PING:
            await self._send(_frame(_PING, body))

    def _headers(self, compressed: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(compressed)
        position = 4

        def text() -> str:
            nonlocal position
            (length,) = struct.unpack(">I", raw[position : position + 4])
            position += 4 + length
            return raw[position - length : position].decode()

        return {text().lower(): text() for _ in range(struct.unpack(">I", raw[:4])[0])}

    @staticmethod
    def _take(stream: Stream, data: bytes, flags: int) -> None:
        if data:
            stream.received.put_nowait(data)
        if flags & _FIN:
            stream.received.put_nowait(None)


def _frame(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", _VERSION, kind, len(body)) + body
