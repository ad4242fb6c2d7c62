"""The near end of the protocol: one agent, in one context, for as long as the session lives.

The session starts the far side through a reach, hands it the zip, waits for its hello and then asks one request after
another. It reads and writes without threads: frames, log lines and what is still to be written are served by one
selector, so a consumer that is slow slows the agent down instead of filling memory.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from xcomctl.deployment import bundle
from xcomctl.deployment.agent_errors import (
    AgentDied,
    AgentError,
    AgentTimeout,
    NoPython,
    PythonTooOld,
    ReachFailed,
    error_of,
)
from xcomctl.deployment.reach.interface import Reach
from xcomctl.model import frames, requests
from xcomctl.model.redaction import redact

#: How many of the far side's last log lines an error carries.
LAST_LINES = 20
#: How long an agent may take to end by itself once its input is closed, and again once it was told to terminate.
CLOSE_GRACE_S = 5.0
#: The same for an agent that is told to end amid its work: it may have to remove what it wrote into a store first.
ABANDON_GRACE_S = 12.0
#: How long it takes at most until :meth:`AgentSession.abandon` is noticed.
_NOTICE_S = 0.5
_CHUNK = 1 << 18

Log = Callable[[str], None]
OnProgress = Callable[[Mapping[str, Any]], None]


class ItemStream(Iterator[dict[str, Any]]):
    """The items of one request as they come; afterwards :attr:`answer` holds the answer.

    Closing it early cancels the request at the far side; so does asking the session for anything else.
    """

    def __init__(
        self, session: AgentSession, number: int, timeout: float | None, on_progress: OnProgress | None
    ) -> None:
        self._session = session
        self._number = number
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._on_progress = on_progress
        self._pending: deque[dict[str, Any]] = deque()
        self._done = False
        #: The request's answer, once the items are exhausted.
        self.answer: dict[str, Any] | None = None

    def __next__(self) -> dict[str, Any]:
        """The next item. Raises :class:`AgentError` if the request fails amid its items."""
        while not self._pending:
            if self._done:
                raise StopIteration
            self._advance()
        return self._pending.popleft()

    def result(self) -> dict[str, Any]:
        """The answer; items that are still to come are dropped."""
        while not self._done:
            self._advance()
            self._pending.clear()
        if self.answer is None:
            raise AgentError("the request was closed before its answer came")
        return self.answer

    def close(self) -> None:
        """Cancel the request if it is still in progress."""
        if not self._done:
            self._done = True
            self._session._cancel(self._number)

    def _advance(self) -> None:
        try:
            message = self._session._next_message(self._number, self._deadline)
        except BaseException:
            self._done = True
            raise
        kind = message["kind"]
        if kind == frames.ITEM:
            self._pending.extend(message["items"])
        elif kind == frames.PROGRESS:
            if self._on_progress is not None:
                self._on_progress(message)
        elif kind == frames.ANSWER:
            self._done = True
            self.answer = message["answer"]
            self._session._finished(self)
        elif kind == frames.ERROR:
            self._done = True
            self._session._finished(self)
            raise error_of(message)


class AgentSession:
    """An agent inside a context. Use it as a context manager, or call :meth:`close`.

    ``log`` receives the far side's log lines, redacted. ``start_timeout`` bounds the way from the start to the hello,
    ``silence_timeout`` how long a busy agent may say nothing at all (it says every few seconds that it is alive).
    """

    def __init__(
        self,
        reach: Reach,
        *,
        log: Log | None = None,
        start_timeout: float = 60.0,
        silence_timeout: float = 90.0,
    ) -> None:
        self.reach = reach
        #: The agent's hello: ``python``, ``executable``, ``pid``, ``hostname``.
        self.hello: Mapping[str, Any] = {}
        self._log = log
        self._start_timeout = start_timeout
        self._silence_timeout = silence_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._selector = selectors.DefaultSelector()
        self._decoder = frames.FrameDecoder(self._heard)
        self._messages: deque[dict[str, Any]] = deque()
        self._outgoing = bytearray()
        self._lines: deque[str] = deque(maxlen=LAST_LINES)
        self._stderr_rest = b""
        self._complaint: str | None = None
        self._stdout_open = False
        self._last_heard = 0.0
        self._number = 0
        self._stream: ItemStream | None = None
        self._closed = False
        self._abandoned = False

    def __enter__(self) -> Self:
        """Start the agent."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the agent; amid an exception it may take its time to clean up."""
        self.close(grace=CLOSE_GRACE_S if kind is None else ABANDON_GRACE_S)

    @property
    def pid(self) -> int | None:
        """The process on this machine that leads into the context."""
        return self._process.pid if self._process is not None else None

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last log lines of the far side, redacted."""
        return tuple(self._lines)

    def start(self) -> None:
        """Start the far side and wait for its hello. Raises :class:`AgentError` in one of its named forms."""
        if self._process is not None or self._closed:
            raise AgentError("this session was started before")
        try:
            self._launch()
            self._await_hello()
        except BaseException:
            self.close(grace=0.5)
            raise

    def request(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        *,
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Ask, and wait for the answer; items, if the request has some, are dropped."""
        return self.stream(name, params, on_progress, timeout=timeout).result()

    def stream(
        self,
        name: str,
        params: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        *,
        timeout: float | None = None,
    ) -> ItemStream:
        """Ask, and iterate over the items; then :attr:`ItemStream.answer` is the answer."""
        if self._process is None or self._closed:
            raise AgentError("the session with the agent is closed")
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._number += 1
        self._outgoing += frames.encode(
            {"kind": frames.REQUEST, "id": self._number, "name": name, "params": dict(params or {})}
        )
        self._last_heard = time.monotonic()
        self._stream = ItemStream(self, self._number, timeout, on_progress)
        self._pump(0)
        return self._stream

    def abandon(self) -> None:
        """Have whoever waits for an answer, in another thread, stop waiting: that raises :class:`AgentError` there."""
        self._abandoned = True

    def close(self, grace: float = CLOSE_GRACE_S) -> None:
        """End the agent: close its input, then terminate, then kill what is left of its session."""
        if self._closed:
            return
        self._closed = True
        process = self._process
        try:
            if process is not None:
                with contextlib.suppress(OSError):
                    assert process.stdin is not None
                    self._unregister(process.stdin)
                    process.stdin.close()
                self._drain_until_end(process, grace)
                if process.poll() is None:
                    self._signal(process, signal.SIGTERM)
                    self._drain_until_end(process, CLOSE_GRACE_S)
        finally:
            if process is not None:
                # Also after a regular end: nothing that it started outlives it. The group is ours alone.
                self._signal(process, signal.SIGKILL)
                process.wait()
                for stream in (process.stdout, process.stderr):
                    if stream is not None:
                        self._unregister(stream)
                        stream.close()
                self._flush_lines()
            self._selector.close()

    # -- the far side's life

    def _launch(self) -> None:
        argv = self.reach.argv(["-c", bundle.BOOTSTRAP])
        environment = self.reach.environment
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if environment is None else dict(environment),
                cwd=self.reach.working_directory,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            message, hint = self.reach.describe_missing()
            kind = NoPython if len(argv) == 3 else ReachFailed
            raise kind(f"{message}: {error.strerror}", hint) from error
        self._process = process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        for stream in (process.stdin, process.stdout, process.stderr):
            os.set_blocking(stream.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, self._read_stdout)
        self._selector.register(process.stderr, selectors.EVENT_READ, self._read_stderr)
        self._stdout_open = True
        self._outgoing += bundle.framed()

    def _await_hello(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        while not self._messages:
            if self._abandoned:
                raise AgentError(f"{self.reach.name}: the work there was given up")
            if not self._stdout_open:
                self._raise_dead_before_hello()
            if time.monotonic() >= deadline:
                raise AgentTimeout(
                    f"{self.reach.name}: no agent said hello within {self._start_timeout:g} s",
                    "does the prefix pass standard input on (docker compose exec -T, kubectl exec -i)?",
                    log=self.last_lines,
                )
            self._pump(min(_NOTICE_S, deadline - time.monotonic()))
        hello = self._messages.popleft()
        if hello["kind"] != frames.HELLO or hello.get("protocol") != requests.PROTOCOL:
            raise AgentError(f"{self.reach.name}: what answers there does not speak this xcomctl's protocol")
        self.hello = hello

    def _raise_dead_before_hello(self) -> None:
        status = self._exit_status()
        if self._complaint is not None:
            if "is needed" in self._complaint:
                raise PythonTooOld(
                    f"{self.reach.name}: {self._complaint}", "name a newer interpreter of this context, if it has one"
                )
            raise AgentDied(f"{self.reach.name}: {self._complaint}", status=status, log=self.last_lines)
        raise self._dead("ended before its agent said hello", status)

    def _dead(self, what: str, status: int | None) -> AgentError:
        lines = self.last_lines
        explained = None if status is None else self.reach.explain_end(status, lines, began=bool(self.hello))
        if explained is not None:
            return explained
        said = f"; its last line: {lines[-1]}" if lines else ""
        hint = ""
        if status in (-signal.SIGKILL, 128 + signal.SIGKILL):
            hint = "it was killed, as happens when a container runs out of memory"
        return AgentDied(
            f"{self.reach.name}: the far side {what} ({_status_text(status)}){said}",
            hint,
            status=status,
            log=lines,
        )

    def _exit_status(self) -> int | None:
        """The status of a far side whose output has ended; its process may take a moment longer."""
        assert self._process is not None
        self._drain_until_end(self._process, 2.0)
        self._flush_lines()
        return self._process.poll()

    def _drain_until_end(self, process: subprocess.Popen[bytes], grace: float) -> None:
        deadline = time.monotonic() + grace
        while process.poll() is None and time.monotonic() < deadline:
            self._pump(min(0.05, max(0.0, deadline - time.monotonic())), discard=True)
            if not self._selector.get_map():
                time.sleep(0.01)
        self._pump(0, discard=True)

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """To the whole session that we started: its leader's pid is the group's."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)

    # -- messages

    def _next_message(self, number: int, deadline: float | None) -> dict[str, Any]:
        """The next message that belongs to this request; what is left over from a cancelled one is dropped."""
        while True:
            while self._messages:
                message = self._messages.popleft()
                if message.get("id") == number:
                    return message
            if self._closed:
                raise AgentError("the session with the agent is closed")
            if self._abandoned:
                raise AgentError(f"{self.reach.name}: the work there was given up")
            if not self._stdout_open:
                raise self._dead("ended amid the work", self._exit_status())
            now = time.monotonic()
            if deadline is not None and now >= deadline:
                raise self._late("did not answer in the time given")
            silent_until = self._last_heard + self._silence_timeout
            if now >= silent_until:
                raise self._late(f"has said nothing for {self._silence_timeout:g} s")
            self._pump(min(_NOTICE_S, min(silent_until, deadline or silent_until) - now))

    def _late(self, what: str) -> AgentTimeout:
        lines = self.last_lines
        self.close(grace=1.0)
        return AgentTimeout(f"{self.reach.name}: the agent {what} and was ended", log=lines)

    def _cancel(self, number: int) -> None:
        if not self._closed and self._stdout_open:
            self._outgoing += frames.encode({"kind": frames.CANCEL, "id": number})
            self._pump(0)

    def _finished(self, stream: ItemStream) -> None:
        if self._stream is stream:
            self._stream = None

    # -- bytes

    def _pump(self, timeout: float, discard: bool = False) -> None:
        """Serve what is ready: write what waits to be written, read what has come."""
        assert self._process is not None
        stdin = self._process.stdin
        assert stdin is not None
        if not stdin.closed:
            if self._outgoing and stdin not in self._selector.get_map():
                self._selector.register(stdin, selectors.EVENT_WRITE, self._write_stdin)
            elif not self._outgoing:
                self._unregister(stdin)
        if not self._selector.get_map():
            return
        for key, _ in self._selector.select(max(0.0, timeout)):
            key.data()
        if discard:
            self._messages.clear()

    def _write_stdin(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            written = os.write(self._process.stdin.fileno(), memoryview(self._outgoing)[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # the far side closed its input: its output will tell why
            self._outgoing.clear()
            self._unregister(self._process.stdin)
            return
        del self._outgoing[:written]

    def _read_stdout(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        data = _read(self._process.stdout.fileno())
        if data is None:
            return
        self._last_heard = time.monotonic()
        if data:
            try:
                self._messages.extend(self._decoder.feed(data))
            except frames.FrameError as error:
                self._stdout_open = False
                self._unregister(self._process.stdout)
                raise AgentError(f"{self.reach.name}: {error}") from error
        else:
            self._stdout_open = False
            self._unregister(self._process.stdout)
            self._decoder.close()

    def _read_stderr(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        data = _read(self._process.stderr.fileno())
        if data is None:
            return
        self._last_heard = time.monotonic()
        if not data:
            self._unregister(self._process.stderr)
        *lines, self._stderr_rest = (self._stderr_rest + data).split(b"\n")
        for line in lines:
            self._heard(line.decode("utf-8", "replace").rstrip("\r"))
        if len(self._stderr_rest) > frames.MAX_NOISE_LINE:
            self._flush_lines()

    def _flush_lines(self) -> None:
        if self._stderr_rest:
            line, self._stderr_rest = self._stderr_rest, b""
            self._heard(line.decode("utf-8", "replace"))

    def _heard(self, line: str) -> None:
        if not line.strip():
            return
        clean = redact(line)
        if not self.hello and bundle.COMPLAINT in clean:
            self._complaint = clean.split(bundle.COMPLAINT, 1)[1]
        self._lines.append(clean)
        if self._log is not None:
            self._log(clean)

    def _unregister(self, stream: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(stream)


def _read(descriptor: int) -> bytes | None:
    """What can be read now: empty at the end, ``None`` when nothing is there yet."""
    try:
        return os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _status_text(status: int | None) -> str:
    if status is None:
        return "its process still lives"
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-status).name}"
    return f"exit status {status}"
