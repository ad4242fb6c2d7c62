"""A ``kubectl port-forward`` of our own: it is ready when it is handed out, is made anew when it breaks, and always ends.

kubectl runs under a shell that reads from a pipe that we hold. However we end, by ``kill -9`` too, the pipe does, and the
shell takes kubectl and what kubectl has started (a credential plugin) along. Neither hears the terminal's Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from xcomctl.deployment import kubectl as kube
from xcomctl.deployment.interrupts import uninterruptible
from xcomctl.deployment.kubectl import Forbidden, Kubectl, KubectlError, NotThere
from xcomctl.model.redaction import redact

#: Told what goes on, in sentences.
Say = Callable[[str], None]

#: What takes kubectl there, and how it begins to say that it was not taken.
_RIGHTS = (("create", "pods/portforward"), ("get", "pods/portforward"))
_UPGRADE = "error upgrading connection"
#: Seconds until kubectl listens: it waits a minute for a pod that runs, and may ask a credential plugin before.
_READY_S = 90.0
#: Seconds between two tries to make a broken one anew; a pod that is replaced takes about as long as all of them.
_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
#: Seconds for what was killed to be gone.
_END_S = 10.0
#: Lines of kubectl that are kept: what it says of each connection that fails comes before its last word.
_KEPT_LINES = 20

#: `exec` gives kubectl's pipes to kubectl alone: their end is its end. Signal 0 of `kill` is this process group.
_UNDER_A_SHELL = '"$@" </dev/null & exec >/dev/null 2>&1; read -r _; kill -s KILL 0'
#: ``Forwarding from 127.0.0.1:43211 -> 3100``
_LISTENS = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) -> ")


class PortForward:
    """A free port on loopback that leads to ``port`` of a Service. Use it as a context manager.

    Entering it and :meth:`renew` raise :class:`~xcomctl.deployment.kubectl.KubectlError`. ``made`` counts
    the kubectls that were started.
    """

    def __init__(self, kubectl: Kubectl, service: str, port: int, *, say: Say) -> None:
        self._kubectl, self._service, self._port = kubectl, service, port
        self._say = say
        self._running: _Running | None = None
        self.made = 0

    @property
    def name(self) -> str:
        """What it leads to, for sentences."""
        return f"service/{self._service} in {self._kubectl.namespace}"

    @property
    def url(self) -> str:
        """Where it listens now."""
        assert self._running is not None, "it was not entered"
        return f"http://127.0.0.1:{self._running.local_port}"

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End it. May be called more than once."""
        running, self._running = self._running, None
        if running is not None:
            with uninterruptible():
                running.end()

    def renew(self) -> bool:
        """Make it anew, since a connection through it broke: the pod may be another one by now. Always true.

        Raises :class:`KubectlError` where that failed for a minute, or where waiting does not help.
        """
        why = self._running.last_word() if self._running is not None else ""
        self.close()
        for number, pause_s in enumerate(_PAUSES_S, 1):
            time.sleep(pause_s)
            try:
                self._start()
            except (Forbidden, NotThere):
                raise
            except KubectlError as error:
                if number == len(_PAUSES_S):
                    raise
                self._say(f"the port-forward to {self.name} cannot be made anew yet: {error.message}")
            else:
                break
        self._say(f"the port-forward to {self.name} was made anew{f' ({why})' if why else ''}")
        return True

    def _start(self) -> None:
        self.made += 1
        words = ("port-forward", "--address=127.0.0.1", f"service/{self._service}", f":{self._port}")
        running = _Running(self._kubectl.argv(*words))
        try:
            running.wait_until_ready()
            if running.local_port is None:
                raise self._refusal(running)
        except BaseException:
            with uninterruptible():
                running.end()
            raise
        self._running = running

    def _refusal(self, running: _Running) -> KubectlError:
        if not running.has_ended:
            return KubectlError(
                f"kubectl does not forward a port to {self.name} within {_READY_S:.0f} s", self._by_hand()
            )
        error = kube.explained(running.lines(), self._kubectl)
        if any(_UPGRADE in line for line in running.lines()) and not isinstance(error, Forbidden):
            error = self._forbidden() or error  # an upgrade that is refused may come without a word of why
        if isinstance(error, Forbidden):
            return Forbidden(error.message, what_is_needed(self._kubectl.namespace), error.verb, error.resource)
        if error is not None:
            return error
        said = running.last_word()
        return KubectlError(f"kubectl forwards no port to {self.name}{f': {said}' if said else ''}", self._by_hand())

    def _forbidden(self) -> Forbidden | None:
        try:
            self._kubectl.require(*_RIGHTS)
        except Forbidden as error:
            return error
        except KubectlError:
            return None
        return None

    def _by_hand(self) -> str:
        return self._kubectl.shown("port-forward", f"service/{self._service}", str(self._port))


def what_is_needed(namespace: str) -> str:
    """The hint for somebody who may not: which rights it takes in the namespace of Loki, and the way without them."""
    return (
        f"what is needed, for whoever may grant it: xcomctl rbac --logs -n {shlex.quote(namespace)}; or give Loki's "
        "own address: --url"
    )


class _Running:
    """One kubectl, under its shell. ``local_port`` is known once it listens."""

    def __init__(self, command: list[str]) -> None:
        if (program := shutil.which(kube.PROGRAM)) is None:  # under the shell it would be a line of the shell's
            raise KubectlError(*kube.missing())
        try:
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", _UNDER_A_SHELL, "sh", program, *command[1:]],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                encoding="utf-8", errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise KubectlError(f"cannot start {command[0]}: {os.strerror(error.errno or 0)}") from error
        self.local_port: int | None = None
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._known = threading.Event()
        self._readers = [
            threading.Thread(target=reader, args=(stream,), name="xcomctl-port-forward", daemon=True)
            for reader, stream in ((self._read_output, self._shell.stdout), (self._read_errors, self._shell.stderr))
        ]
        for thread in self._readers:
            thread.start()

    @property
    def has_ended(self) -> bool:
        """Whether kubectl has: nobody holds its pipes any more."""
        return not self._readers[0].is_alive()

    def wait_until_ready(self) -> None:
        """Until it listens, has ended, or took too long."""
        self._known.wait(_READY_S)
        if self.local_port is None:
            self._readers[1].join(1.0)  # its last words may still be on their way

    def lines(self) -> list[str]:
        """What it said on standard error, lately."""
        return list(self._said)

    def last_word(self) -> str:
        """The last of it, without secrets."""
        lines = self.lines()
        return redact(lines[-1].removeprefix("error: ")) if lines else ""

    def end(self) -> None:
        """End it, its shell, and whatever they started."""
        with contextlib.suppress(OSError):
            os.killpg(self._shell.pid, signal.SIGKILL)  # the group outlives its shell while anybody is in it
        self._shell.wait()
        for thread in self._readers:
            thread.join(_END_S)
        for stream in (self._shell.stdin, self._shell.stdout, self._shell.stderr):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()

    def _read_output(self, stream: IO[str]) -> None:
        for line in stream:
            if self.local_port is None and (found := _LISTENS.match(line)):
                self.local_port = int(found[1])
                self._known.set()
        self._known.set()

    def _read_errors(self, stream: IO[str]) -> None:
        for line in stream:
            if line.strip():
                self._said.append(line.strip())
