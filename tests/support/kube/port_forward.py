"""``kubectl port-forward``. There are no network namespaces here: a port of a pod is that port of this machine."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMsgType, web

from tests.support.kube import answers, kinds
from tests.support.kube.spdy import Connection, Stream
from tests.support.kube.store import ObjectStore

_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
_CHUNK = 16_384


class PortForward:
    """The handler."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._open: list[web.Request] = []
        #: The pods to which a port was forwarded, each time that it was.
        self.led_to: list[str] = []

    def cut(self) -> int:
        """Every connection breaks, as when the API server is replaced; how many there were."""
        for request in self._open:
            if request.transport is not None:
                request.transport.abort()
        return len(self._open)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve it; before the routes of objects."""
        router.add_get("/api/{version}/namespaces/{namespace}/pods/{name}/portforward", self._forward)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        place = request.match_info
        if self._store.get(kinds.POD, place["namespace"], place["name"]) is None:
            return answers.not_found(kinds.POD, place["name"])
        socket = web.WebSocketResponse(protocols=(_PROTOCOL,), max_msg_size=0)
        await socket.prepare(request)
        self._open.append(request)
        self.led_to.append(place["name"])
        try:
            await self._serve(socket)
        finally:
            self._open.remove(request)
        return socket

    async def _serve(self, socket: web.WebSocketResponse) -> None:
        waiting: dict[str, Stream] = {}
        pipes: list[asyncio.Task[None]] = []

        def opened(stream: Stream) -> None:
            """Each connection is two streams with one request id: its data, and what went wrong."""
            other = waiting.pop(stream.headers["requestid"], None)
            if other is None:
                waiting[stream.headers["requestid"]] = stream
            else:
                data, error = (stream, other) if stream.headers["streamtype"] == "data" else (other, stream)
                pipes.append(asyncio.ensure_future(_pipe(connection, data, error)))

        connection = Connection(socket.send_bytes, opened)
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                await connection.feed(message.data)
        for pipe in pipes:
            pipe.cancel()
        await asyncio.gather(*pipes, return_exceptions=True)


async def _pipe(connection: Connection, data: Stream, error: Stream) -> None:
    port = int(data.headers["port"])
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as failure:
        await connection.write(error, f"failed to connect to localhost:{port} inside the pod: {failure}".encode())
        await connection.write(error, b"", last=True)
        await connection.write(data, b"", last=True)
        return
    upwards = asyncio.ensure_future(_up(data, writer))
    try:
        while received := await reader.read(_CHUNK):
            await connection.write(data, received)
        await connection.write(data, b"", last=True)
        await connection.write(error, b"", last=True)
    finally:
        upwards.cancel()
        writer.close()


async def _up(data: Stream, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while (sent := await data.received.get()) is not None:
            writer.write(sent)
            await writer.drain()
        writer.write_eof()
