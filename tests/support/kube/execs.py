"""``kubectl exec`` and ``kubectl logs``: streams over a WebSocket (``v5.channel.k8s.io``; SPDY is not spoken), and text."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from tests.support.kube import answers, kinds
from tests.support.kube.kinds import Object
from tests.support.kube.kubelet import Kubelet, Unknown
from tests.support.kube.store import ObjectStore

STDIN, STDOUT, STDERR, ERROR = 0, 1, 2, 3
#: A frame that begins with this closes the channel that it names: the client's half of it.
_CLOSE = 255
_PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_CHUNK = 32_768


@dataclass
class Cut:
    """The connection of the next exec breaks after this many bytes in both directions. ``met``: it has. ``passed``: so far."""

    after: int
    met: bool = False
    passed: int = 0


class Execs:
    """The handlers of pods' subresources. ``cuts`` are what is to go wrong, in this order."""

    def __init__(self, store: ObjectStore, kubelet: Kubelet) -> None:
        self._store, self._kubelet = store, kubelet
        self.cuts: list[Cut] = []
        #: The commands that were run, with their pod and container.
        self.ran: list[tuple[str, str, tuple[str, ...]]] = []

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve them; before the routes of objects."""
        base = "/api/{version}/namespaces/{namespace}/pods/{name}"
        router.add_get(f"{base}/exec", self._exec)
        router.add_post(f"{base}/exec", self._exec)
        router.add_get(f"{base}/log", self._log)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        pod = self._pod(request)
        if pod is None:
            return answers.not_found(kinds.POD, request.match_info["name"])
        name = request.query.get("container") or pod["spec"]["containers"][0]["name"]
        try:
            container = self._kubelet.running(pod, name)
        except Unknown as error:
            return answers.failure(400, "BadRequest", str(error))
        if request.headers.get("Upgrade", "").lower() != "websocket":
            # Where kubectl was refused over WebSocket it asks again in SPDY, and shows what is said here.
            return answers.failure(400, "BadRequest", "this server speaks WebSocket only, not SPDY")
        words = request.query.getall("command")
        self.ran.append((pod["metadata"]["name"], name, tuple(words)))
        pipe = asyncio.subprocess.PIPE
        stdin = pipe if request.query.get("stdin") in ("true", "1") else asyncio.subprocess.DEVNULL
        process: asyncio.subprocess.Process | None
        try:
            process = await self._kubelet.exec(pod, container, words, stdin=stdin, stdout=pipe, stderr=pipe)
        except OSError as error:
            process = None
            missing = isinstance(error, FileNotFoundError)
            why = "executable file not found in $PATH" if missing else str(error.strerror).lower()
        else:
            why = ""
        socket = web.WebSocketResponse(protocols=_PROTOCOLS, max_msg_size=0)
        await socket.prepare(request)
        if process is None:
            await _finish(socket, _not_started(words[0], why))
        else:
            await _Streams(socket, process, self._cutter(request)).run()
        return socket

    def _cutter(self, request: web.Request) -> Callable[[int], None]:
        """Counts bytes, and breaks the connection where that is wanted."""
        cut = self.cuts.pop(0) if self.cuts else None

        def count(size: int) -> None:
            if cut is None:
                return
            cut.passed += size
            if not cut.met and cut.passed >= cut.after:
                cut.met = True
                if request.transport is not None:
                    request.transport.abort()

        return count

    async def _log(self, request: web.Request) -> web.StreamResponse:
        pod = self._pod(request)
        if pod is None:
            return answers.not_found(kinds.POD, request.match_info["name"])
        names = [each["name"] for each in pod["spec"]["containers"]]
        name = request.query.get("container") or names[0]
        if name not in names:
            return answers.failure(
                400, "BadRequest", f"container {name} is not valid for pod {pod['metadata']['name']}"
            )
        path = self._kubelet.log_of(pod, name)
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        if tail := int(request.query.get("tailLines") or 0):
            lines = lines[-tail:]
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"".join(lines))
        if request.query.get("follow") in ("true", "1"):
            with contextlib.suppress(ConnectionError):
                await self._follow(pod, name, response)
        return response

    async def _follow(self, pod: Object, name: str, response: web.StreamResponse) -> None:
        with self._kubelet.log_of(pod, name).open("rb") as log:
            log.seek(0, 2)
            while True:
                running = self._runs(pod, name)
                if data := log.read():
                    await response.write(data)
                elif not running:
                    return
                await asyncio.sleep(0.05)

    def _runs(self, pod: Object, name: str) -> bool:
        current = self._store.get(kinds.POD, pod["metadata"]["namespace"], pod["metadata"]["name"]) or {}
        states = current.get("status", {}).get("containerStatuses", [])
        return any(each["name"] == name and "running" in each["state"] for each in states)

    def _pod(self, request: web.Request) -> Object | None:
        return self._store.get(kinds.POD, request.match_info["namespace"], request.match_info["name"])


class _Streams:
    """One command's streams, until it has ended."""

    def __init__(
        self, socket: web.WebSocketResponse, process: asyncio.subprocess.Process, count: Callable[[int], None]
    ) -> None:
        self._socket, self._process, self._count = socket, process, count

    async def run(self) -> None:
        process = self._process
        assert process.stdout is not None and process.stderr is not None
        listening = asyncio.ensure_future(self._listen())
        try:
            await asyncio.gather(self._send(process.stdout, STDOUT), self._send(process.stderr, STDERR))
            code = await process.wait()
        finally:
            listening.cancel()
        # A command that a signal ended has the exit code that a shell would give it.
        await _finish(self._socket, _failed(code if code > 0 else 128 - code) if code else {"metadata": {}, "status": "Success"})  # fmt: skip

    async def _send(self, stream: asyncio.StreamReader, channel: int) -> None:
        """To the client; where that has gone, what the command says is read and dropped, as a container runtime does."""
        while data := await stream.read(_CHUNK):
            self._count(len(data))
            with contextlib.suppress(ConnectionError):
                await self._socket.send_bytes(bytes([channel]) + data)

    async def _listen(self) -> None:
        """From the client, until it has gone: then the command's input ends, and the command lives on."""
        stdin = self._process.stdin
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.BINARY or stdin is None:
                    continue
                channel, data = message.data[0], message.data[1:]
                self._count(len(data))
                if channel == STDIN:
                    with contextlib.suppress(ConnectionError):
                        stdin.write(data)
                        await stdin.drain()
                elif channel == _CLOSE and data[:1] == bytes([STDIN]):
                    stdin.close()
        finally:
            if stdin is not None:
                stdin.close()


def _failed(code: int) -> Object:
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _not_started(program: str, why: str) -> Object:
    """In containerd's words."""
    said = (
        "Internal error occurred: error executing command in container: failed to exec in container: OCI runtime exec "
        f'failed: exec failed: unable to start container process: exec: "{program}": {why}: unknown'
    )
    return {"metadata": {}, "status": "Failure", "reason": "InternalError", "message": said, "code": 500}


async def _finish(socket: web.WebSocketResponse, status: Object) -> None:
    with contextlib.suppress(ConnectionError):
        await socket.send_bytes(bytes([ERROR]) + json.dumps(status).encode())
        await socket.close()
