"""Servers of the sandbox: started in a session of their own, watched, and ended by their own pid.

What was started is written to ``processes.json`` before anything else happens, so that a sandbox whose owner was
killed can still be ended by :func:`end_recorded`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.rehearsal.sandbox.errors import SandboxError, ServerDied

_RECORD = "processes.json"


def run_as(user: str | None) -> dict[str, Any]:
    """The arguments of ``subprocess`` that make a child run as this user, in no group but its own."""
    if user is None:
        return {}
    import pwd

    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def tail(path: Path, lines: int = 20) -> tuple[str, ...]:
    """The last lines of a log file; empty when there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - 64_000))
            return tuple(log.read().decode("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return ()


@dataclass
class Server:
    """One long-running process of the sandbox and its log file."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    cwd: Path
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Raises :class:`SandboxError` when the program cannot be run."""
        try:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    list(self.argv),
                    env=dict(self.env),
                    cwd=self.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C at the terminal reaches us alone; we end it in order
                    **run_as(self.user),
                )
        except OSError as error:
            raise SandboxError(f"{self.name} could not be started: {error}.") from error

    @property
    def pid(self) -> int:
        """Its process id. Raises :class:`SandboxError` when it was never started."""
        if self.process is None:
            raise SandboxError(f"{self.name} was not started.")
        return self.process.pid

    def require_alive(self) -> None:
        """Raise :class:`ServerDied` with the end of its log if it is gone."""
        if self.process is not None and self.process.poll() is not None:
            code = self.process.returncode
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            raise ServerDied(f"{self.name} ended unexpectedly ({how}).", log=tail(self.log))


def stop_all(servers: Sequence[Server], grace_s: float = 20.0) -> None:
    """End these servers and all that they started: each its stop signal at once, SIGKILL after ``grace_s`` seconds."""
    running = [(server, server.process) for server in servers if server.process is not None]
    families = _family([process.pid for _, process in running])
    for server, process in running:
        process.send_signal(server.stop_signal)  # polls first: a process that is gone is not signalled
    deadline = time.monotonic() + grace_s
    for _, process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    _kill(families)
    for server, process in running:
        process.wait()
        server.process = None


@dataclass
class Family:
    """All servers of one sandbox, in the order in which they were started."""

    folder: Path
    servers: list[Server] = field(default_factory=list)

    def start(self, server: Server) -> Server:
        """Start a server and record it."""
        self.servers = [known for known in self.servers if known.process is not None]
        self.servers.append(server)
        server.start()
        self._record()
        return server

    def require_alive(self) -> None:
        """Raise :class:`ServerDied` for the first server that is gone."""
        for server in self.servers:
            server.require_alive()

    def wait_until(
        self,
        ready: Callable[[], bool],
        what: str,
        *,
        timeout_s: float,
        waiting: Callable[[str], None] = lambda what: None,
        poll_s: float = 0.25,
        hint: Callable[[], str] = str,
    ) -> None:
        """Wait until ``ready()``, as long as every server lives.

        Raises :class:`ServerDied`, or :class:`SandboxError` after ``timeout_s`` seconds, with what ``hint()`` knows.
        """
        waiting(what)
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.require_alive()
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"Waited {timeout_s:.0f} s for {what}, in vain.", hint(), log=self.newest_log_lines()
                )
            time.sleep(poll_s)

    def newest_log_lines(self, lines: int = 20) -> tuple[str, ...]:
        """The end of the log that was written to last."""
        logs = sorted({server.log for server in self.servers if server.log.exists()}, key=lambda p: p.stat().st_mtime)
        return tail(logs[-1], lines) if logs else ()

    def stop(self, grace_s: float = 4.0) -> None:
        """End everything, and whatever still carries this sandbox's marker. Nothing here is worth a long grace."""
        stop_all(self.servers, grace_s)
        self.servers.clear()
        _kill(_marked(self.folder))

    def memory_bytes(self) -> int:
        """Proportional set size of all processes of the sandbox now, in bytes (``/proc/PID/smaps_rollup``)."""
        total = 0
        # Taken once: another thread may be stopping them meanwhile.
        running = [process for process in [server.process for server in self.servers] if process is not None]
        for process in _family([process.pid for process in running]):
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1]) * 1024
        return total

    def _record(self) -> None:
        entries = []
        for server in self.servers:
            if server.process is not None:
                with contextlib.suppress(psutil.NoSuchProcess):
                    started = psutil.Process(server.process.pid).create_time()
                    entries.append({"name": server.name, "pid": server.process.pid, "started": started})
        path = self.folder / _RECORD
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(entries))
        temporary.replace(path)


def recorded(folder: Path) -> list[psutil.Process]:
    """The servers of a sandbox that still run, whoever started them.

    A pid counts only with the start time that was recorded for it, so a reused pid is left alone.
    """
    try:
        entries = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):
        entries = []
    servers = []
    for entry in entries:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(entry["pid"])
            if abs(process.create_time() - entry["started"]) < 0.5:
                servers.append(process)
    return servers


def end_recorded(folder: Path) -> int:
    """End the processes of a sandbox that somebody else started; how many servers there were."""
    servers = recorded(folder)
    families = _family([server.pid for server in servers])
    for server in servers:
        with contextlib.suppress(psutil.NoSuchProcess):
            server.terminate()
    psutil.wait_procs(servers, timeout=4)
    _kill(families)
    _kill(_marked(folder))
    return len(servers)


def _family(pids: Iterable[int]) -> list[psutil.Process]:
    """The processes and all their descendants, parents first."""
    members: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            members += [process, *process.children(recursive=True)]
    return members


def _marked(folder: Path) -> list[psutil.Process]:
    """Processes whose environment names this sandbox: tasks and workers whose parent died before them.

    A process that renames itself (gunicorn, Airflow's task runners) overwrites its environment; it still works in
    the sandbox's folder, without a terminal, which tells it from the shell of a person who looks around there.
    """
    found = []
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            with contextlib.suppress(psutil.Error, OSError):
                inside = process.terminal() is None and Path(process.cwd()).is_relative_to(folder)
                if inside or process.environ().get(SANDBOX_VARIABLE) == str(folder):
                    found.append(process)
    return found


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
