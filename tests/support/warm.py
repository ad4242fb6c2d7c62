"""Contexts in which Airflow is loaded already, for the many commands whose test is not about how a context starts.

An executor's fork inherits a loaded Airflow, and so does an agent here: a process of the context's own Python, in the
context's own environment, imports what every agent imports, and forks a child for each (:mod:`.loaded_context`). It is
reached through a command prefix, as any container is, and the agent in it is the real one, streamed and spoken to as
always. What it does not do is start: bootstrap in a bare interpreter, order of imports, settings that break them. Those
tests take a context of their own, and each command has one that does.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import loaded_context
from xcomctl.deployment.reach.command import CommandReach

#: Variables that nothing reads before it is asked for something, so that each command may have its own.
_READ_WHEN_ASKED = ("AIRFLOW_CONN_", "XCOMCTL_", "XDG_")


class WarmContexts:
    """The loaded contexts of one Python, each for all environments that Airflow is loaded alike in. A context manager."""

    def __init__(self, python: Path) -> None:
        self._python = python
        # Short, as the path of a socket has to be.
        self._folder = tempfile.TemporaryDirectory(prefix="xcomctl-warm-")
        self._servers: dict[frozenset[tuple[str, str]], tuple[subprocess.Popen[bytes], str]] = {}
        self._lock = threading.Lock()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(Path(self._folder.name, "door.sock")))
        self._door.listen(64)
        threading.Thread(target=self._let_in, name="warm-contexts", daemon=True).start()
        # One prefix for all of them: a context's name is its prefix, and tells the same context from another.
        self._prefix = (str(python), "-S", "-E", str(Path(loaded_context.__file__)), "call")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them, and whatever still runs in them."""
        for server, _ in self._servers.values():
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        self._door.close()
        self._folder.cleanup()

    @property
    def prefix(self) -> str:
        """The command prefix, as ``--via`` takes it, for a process with :meth:`environment`."""
        return shlex.join(self._prefix)

    def carried(self, carrier: Path) -> tuple[str, dict[str, str]]:
        """A prefix whose context is loaded with what this ``.env`` file says when it is called, and the variable that it needs."""
        words = [*self._prefix[:-1], "carried", str(carrier)]
        return shlex.join(words), {loaded_context.DOOR: self._door.getsockname()}

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment, and how the prefix finds the context that was loaded in it; loads one unless it was."""
        key = frozenset(each for each in environment.items() if not each[0].startswith(_READ_WHEN_ASKED))
        with self._lock:
            if key not in self._servers:
                self._servers[key] = self._load(dict(key))
            server, place = self._servers[key]
        assert server.poll() is None, Path(place).with_suffix(".log").read_text(errors="replace")
        return {**environment, loaded_context.VARIABLE: place}

    def reach(self, environment: Mapping[str, str]) -> CommandReach:
        """The way to a context that was loaded in this environment."""
        return CommandReach(
            self._prefix, python=str(self._python), label="warm", env=self.environment(environment), through_shell=False
        )

    def _let_in(self) -> None:
        """Tell whoever asks with an environment which server has it loaded; until the door is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._door.accept()
                with connection, connection.makefile("rb") as asked, suppress(ConnectionError):
                    said = asked.readline()
                    if said:  # else whoever asked was killed
                        connection.sendall(self.environment(json.loads(said))[loaded_context.VARIABLE].encode())

    def _load(self, environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], str]:
        place = str(Path(self._folder.name, f"{len(self._servers)}.sock"))
        with socket.socket(socket.AF_UNIX) as listener, Path(place).with_suffix(".log").open("wb") as log:
            listener.bind(place)
            listener.listen(64)
            program = [str(self._python), loaded_context.__file__, "serve", str(listener.fileno())]
            server = subprocess.Popen(
                program, env=environment, cwd=self._folder.name, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return server, place
