"""A real ``xcomctl rehearse`` as a child process, watched through what it prints, and the proof that it left nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psutil

from xcomctl.rehearsal.sandbox import objectstore
from xcomctl.rehearsal.sandbox.deployment import stop_sandbox


class RehearsalChild:
    """Runs below ``folder``: its temporary files, its report, its journal. Ended, with its sandbox, on exit."""

    def __init__(self, airflow: Path, folder: Path, *options: str) -> None:
        self.folder = folder
        # Not below pytest's own folder, which is closed to the user that PostgreSQL runs as when we are root.
        self.temporary = Path(tempfile.mkdtemp(prefix="xcomctl-test-"))
        self.temporary.chmod(0o711)
        self.report_folder = folder / "report"
        self.env = {**os.environ, "TMPDIR": str(self.temporary), "XDG_STATE_HOME": str(folder / "state")}
        self._log = folder / "output"
        argv = [sys.executable, "-m", "xcomctl", "rehearse", "--env", str(airflow), "--out", str(self.report_folder)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*argv, *options],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for folder in self.sandboxes():
            stop_sandbox(folder)
        shutil.rmtree(self.temporary)

    def output(self) -> str:
        """What it printed until now."""
        return self._log.read_text(errors="replace")

    def sandboxes(self) -> list[Path]:
        """The folders of its sandboxes that exist now."""
        return [state.parent for state in self.temporary.glob("xcomctl-sandbox-*/sandbox.json")]

    def processes(self) -> list[psutil.Process]:
        """Every process that works below its temporary folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if Path(process.cwd()).is_relative_to(self.temporary):
                    found.append(process)
        return found

    def wait_for_line(self, text: str, timeout_s: float = 120) -> None:
        """Wait until it printed this text."""
        deadline = time.monotonic() + timeout_s
        while text not in self.output():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, f"never printed {text!r}:\n{self.output()}"
            time.sleep(0.02)
        self.note_ports()

    def note_ports(self) -> None:
        """Remember the ports of its sandbox, so that it can be told later whether they are closed."""
        for folder in self.sandboxes():
            with contextlib.suppress(OSError, ValueError):
                self.ports |= json.loads((folder / "sandbox.json").read_text())["ports"]

    def wait(self, timeout_s: float = 90) -> int:
        """Wait until it ended; its exit code."""
        return self.process.wait(timeout_s)

    def report(self) -> dict[str, Any]:
        """Its report.json."""
        record: dict[str, Any] = json.loads((self.report_folder / "report.json").read_text())
        return record


def no_trace_of(child: RehearsalChild) -> bool:
    """Whether no process, no port and no folder of its sandbox is left."""
    left = [process for process in child.processes() if process.status() != psutil.STATUS_ZOMBIE]
    assert not left, [process.cmdline() for process in left]
    assert list(child.temporary.iterdir()) == []
    listening = []
    for name, port in child.ports.items():
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                listening.append(name)
    assert not listening
    assert not objectstore.sockets(child.ports)
    return True
