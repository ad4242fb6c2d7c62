"""A process whose settings are the target's: this one when they resolve already, else a child with other variables.

The backend reads path and threshold once in a process, and Airflow its class at import, so nothing that was imported
can be given other settings. The child is this same agent, spoken to in the same frames; it imports Airflow while its
parent goes on.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable, Optional

import xcomctl
from xcomctl.agent import registry
from xcomctl.agent.context import RequestContext, Stopped
from xcomctl.agent.failures import as_request_error
from xcomctl.airflow_compat import xcom_class
from xcomctl.checks.interface import TimedOut, Unusable
from xcomctl.checks.runner import within
from xcomctl.model import frames, requests

#: Seconds that a child may take to import Airflow, on top of what a check may take.
IMPORT_S = 120.0
#: Seconds that a child has to end by itself, and what it has while it is at work: it goes on to its next safe point and
#: removes what it wrote. Less than what an agent may take itself, or nobody would be left to wait for it.
_GRACE_S = 2.0
_GRACE_AT_WORK_S = 15.0

_PROGRAM = (
    "import os,sys;sys.path[:]=[p for p in sys.path if p];sys.path.insert(0,sys.argv[1]);"
    "from xcomctl.airflow_compat import loading;sys.argv[2:]==['task'] and loading.in_task();"
    "from xcomctl.agent.main import main;os._exit(main())"
)


class _Stop(threading.Event):
    """Set by whoever sets it, and once the safe point of the request around this one says that it should end."""

    def __init__(self, safe_point: Callable[[], None]) -> None:
        super().__init__()
        self._safe_point = safe_point

    def is_set(self) -> bool:
        """Whether to stop."""
        if not super().is_set():
            try:
                self._safe_point()
            except Stopped:
                self.set()
        return super().is_set()


def here(
    name: str, params: Mapping[str, Any], timeout_s: float, safe_point: Callable[[], None] = lambda: None
) -> Mapping[str, Any]:
    """The answer of this very process. See :data:`xcomctl.checks.interface.UnderTarget`.

    ``safe_point`` is the one of the request for which this is asked: what runs here ends where that should end.
    """
    stop = _Stop(safe_point)

    def work() -> Mapping[str, Any]:
        context = RequestContext(0, params, lambda frame: None, stop)
        answer: Mapping[str, Any] = registry.handler(name)(context).to_json()
        return answer

    try:
        found: Mapping[str, Any] = within(timeout_s, work)
    except TimedOut:
        stop.set()  # whenever the thread comes back, it removes what it wrote and ends
        xcom_class.end_trial()
        raise
    except Exception as error:
        known = as_request_error(error)
        if known is None:
            raise
        raise Unusable(known.message, known.hint) from error
    return found


class Child:
    """An agent that this one started, with some variables set to something else. Use :meth:`close` in any case.

    ``safe_point`` is called now and then while it is waited for, and may raise. ``in_task`` keeps the child of a task
    from presenting itself as a server.
    """

    def __init__(self, overrides: Mapping[str, str], safe_point: Callable[[], None], *, in_task: bool = False) -> None:
        place, descriptors = _place()
        self._safe_point = safe_point
        self._decoder = frames.FrameDecoder()
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._number = 0
        self._at_work = False
        self._resolution: Optional[Mapping[str, Any]] = None
        self._failure: Optional[Unusable] = None
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, place, *(["task"] if in_task else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **overrides},
            pass_fds=descriptors,
            bufsize=0,
        )
        # Asked at once, so that the import of Airflow begins now.
        self._first = self._send(requests.RESOLVE, {})

    def request(self, name: str, params: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        """The child's answer. See :data:`xcomctl.checks.interface.UnderTarget`."""
        if self._failure is not None:
            raise self._failure
        if self._resolution is None:
            try:
                self._resolution = self._receive(self._first, timeout_s + IMPORT_S)
            except Unusable as error:
                self._failure = error  # it was answered: whoever asks next must not wait for that again
                raise
        if name == requests.RESOLVE:
            return self._resolution
        return self._receive(self._send(name, params), timeout_s)

    def close(self) -> None:
        """End it. One that is asked for something meanwhile may finish what it has to put away."""
        process = self._process
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        # One that was never asked for anything may be in the middle of its import, and has nothing to lose.
        grace = 0.0
        if self._failure is None and self._resolution is not None:
            grace = _GRACE_AT_WORK_S if self._at_work else _GRACE_S
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _send(self, name: str, params: Mapping[str, Any]) -> int:
        self._number += 1
        message = {"kind": frames.REQUEST, "id": self._number, "name": name, "params": dict(params)}
        assert self._process.stdin is not None
        try:
            view = memoryview(frames.encode(message))
            while view:
                view = view[self._process.stdin.write(view) or 0 :]
        except OSError:
            raise self._dead() from None
        return self._number

    def _receive(self, number: int, timeout_s: float) -> Mapping[str, Any]:
        deadline = time.monotonic() + timeout_s
        self._at_work = True
        while True:
            message = self._next(deadline)
            if message.get("id") != number or message["kind"] not in (frames.ERROR, frames.ANSWER):
                continue
            self._at_work = False
            if message["kind"] == frames.ERROR:
                raise Unusable(str(message.get("message")), str(message.get("hint", "")))
            answer: Mapping[str, Any] = message["answer"]
            return answer

    def _next(self, deadline: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while self._messages.empty():
            self._safe_point()
            left = deadline - time.monotonic()
            if left <= 0:
                self._process.kill()  # what it waits for will not come, and the next request would wait behind it
                self._failure = Unusable("the process with the target's settings was ended: it did not answer in time")
                raise TimedOut
            if select.select([descriptor], [], [], min(left, 0.5))[0]:
                data = os.read(descriptor, 1 << 16)
                if not data:
                    raise self._dead()
                for message in self._decoder.feed(data):
                    self._messages.put(message)
        return self._messages.get()

    def _dead(self) -> Unusable:
        status = self._process.wait()
        self._failure = Unusable(f"the process with the target's settings ended by itself (status {status})")
        return self._failure


def _place() -> tuple[str, tuple[int, ...]]:
    """Where this xcomctl is imported from, for ``sys.path``, and the descriptors that a child needs for it."""
    place = str(Path(xcomctl.__path__[0]).parent)
    through, _, number = place.rpartition("/")
    return place, (int(number),) if through == "/proc/self/fd" else ()
