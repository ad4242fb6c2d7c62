"""The agent's main loop: frames in on standard input, frames out on what was standard output.

Airflow 3 writes log lines to standard output, and so may anything that it imports. Therefore the agent keeps a
duplicate of that descriptor for its frames and lets descriptor 1 point at standard error from then on. Standard input
is handled alike: whatever Airflow starts must not read our requests.

A thread reads requests. The end of its input means that the desk has gone: requests stop at their next safe point,
and what does not reach one in time is ended.
"""

from __future__ import annotations

import io
import os
import platform
import queue
import signal
import sys
import threading
from typing import Any, Optional

import xcomctl
from xcomctl.agent import registry
from xcomctl.agent.context import RequestContext, RequestError, Stopped
from xcomctl.agent.failures import error_frame
from xcomctl.model import frames, requests

#: How long a request may take to reach a safe point once the desk has gone.
STOP_GRACE_S = 20.0
#: How often a busy agent says that it is alive.
HEARTBEAT_S = 5.0
#: The exit status of an agent that had to end itself amid a request after the desk had gone.
EXIT_ABANDONED = 75


class Channel:
    """The descriptor that carries frames to the desk. Writes whole frames, from any thread."""

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._stop = stop

    def write(self, frame: bytes) -> None:
        """Send one frame. Raises :class:`Stopped` when nobody reads any more."""
        view = memoryview(frame)
        with self._lock:
            try:
                while view:
                    view = view[os.write(self._descriptor, view) :]
            except OSError:
                self._stop.set()
                raise Stopped from None


class Inbox:
    """Reads frames from the desk in a thread of its own and hands requests to the main thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._queue: queue.Queue[Optional[dict[str, Any]]] = queue.Queue()
        self._lock = threading.Lock()
        self._cancelled: set[int] = set()
        self._current: Optional[int] = None
        #: Set while the request in progress should end; set for good when the desk has gone.
        self.stop = threading.Event()
        self.gone = threading.Event()
        self.idle = threading.Event()
        self.idle.set()

    def start(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._run, name="xcomctl-inbox", daemon=True).start()

    def next(self) -> Optional[dict[str, Any]]:
        """The next request that still interests the desk, ``None`` at the end."""
        with self._lock:
            self._current = None
            self.idle.set()
        while True:
            message = self._queue.get()
            if message is None or self.gone.is_set():
                return None
            with self._lock:
                if message["id"] in self._cancelled:
                    self._cancelled.discard(message["id"])
                    continue
                self._current = message["id"]
                self.idle.clear()
                if not self.gone.is_set():
                    self.stop.clear()
                return message

    def _run(self) -> None:
        decoder = frames.FrameDecoder()
        try:
            while True:
                data = os.read(self._descriptor, 65536)
                if not data:
                    break
                for message in decoder.feed(data):
                    self._take(message)
        except (OSError, frames.FrameError) as error:
            print(f"xcomctl agent: the requests cannot be read: {error}", file=sys.stderr, flush=True)
        self.end()

    def end(self) -> None:
        """Nothing more is asked: what is in progress ends at its next safe point, or with the process."""
        with self._lock:
            self.gone.set()
            self.stop.set()
        self._queue.put(None)
        if not self.idle.wait(STOP_GRACE_S):
            os._exit(EXIT_ABANDONED)

    def _take(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        if not isinstance(number, int):
            return
        if message["kind"] == frames.REQUEST:
            self._queue.put(message)
        elif message["kind"] == frames.CANCEL:
            with self._lock:
                if number == self._current:
                    self.stop.set()
                elif self._current is None or number > self._current:
                    self._cancelled.add(number)


def main() -> int:
    """Speak frames until the desk closes our standard input. The process's exit status."""
    sys.stdout.flush()
    outgoing = os.dup(1)
    incoming = os.dup(0)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what is printed is log lines now

    inbox = Inbox(incoming)
    channel = Channel(outgoing, inbox.stop)
    try:
        channel.write(
            frames.encode(
                {
                    "kind": frames.HELLO,
                    "protocol": requests.PROTOCOL,
                    "xcomctl": xcomctl.__version__,
                    "python": platform.python_version(),
                    "executable": sys.executable,
                    "pid": os.getpid(),
                    "hostname": platform.node(),
                }
            )
        )
        inbox.start()
        # In a thread: the handler may have interrupted whoever holds the inbox's lock.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=inbox.end, daemon=True).start())
        threading.Thread(target=_heartbeat, args=(inbox, channel), name="xcomctl-heartbeat", daemon=True).start()
        while True:
            message = inbox.next()
            if message is None:
                break
            _serve(message, channel, inbox)
        channel.write(frames.encode({"kind": frames.BYE}))
    except Stopped:
        pass
    return 0


def _serve(message: dict[str, Any], channel: Channel, inbox: Inbox) -> None:
    number = message["id"]
    try:
        params = message.get("params") or {}
        if not isinstance(params, dict):
            raise RequestError("the parameters of a request must be an object")
        context = RequestContext(number, params, channel.write, inbox.stop)
        answer = registry.handler(str(message.get("name")))(context)
        context.flush()
        channel.write(frames.encode({"kind": frames.ANSWER, "id": number, "answer": answer.to_json()}))
    except Stopped:
        if not inbox.gone.is_set():
            channel.write(error_frame(number, RequestError("the request was cancelled", reason=requests.STOPPED)))
    except Exception as error:
        channel.write(error_frame(number, error))
    except SystemExit as error:  # Airflow's configuration and database code may call sys.exit
        channel.write(error_frame(number, RuntimeError(f"Airflow ended the request with sys.exit({error.code!r})")))


def _heartbeat(inbox: Inbox, channel: Channel) -> None:
    """While a request is in progress, say so: a long query is silent otherwise."""
    beat = frames.encode({"kind": frames.PROGRESS, "alive": True})
    while not inbox.gone.wait(HEARTBEAT_S):
        if not inbox.idle.is_set():
            try:
                channel.write(beat)
            except Stopped:
                return
