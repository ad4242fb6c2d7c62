"""A command as a real child: its output line by line, how long it took, and how much memory it and its agent had."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import psutil

from tests.support.commands import ROOT, Typed

_EVERY_S = 0.1


@dataclass(frozen=True)
class Watched:
    """How it ended: ``lines`` it printed, of which the last ones are ``kept``; peaks of resident memory in bytes.

    ``agent_cpu_s`` is what its agent computed: other than ``seconds``, it is much the same on a busy machine.
    """

    code: int
    lines: int
    kept: str
    seconds: float
    desk: int
    agent: int
    agent_cpu_s: float

    @property
    def record(self) -> Any:
        """What was kept, as JSON."""
        return json.loads(self.kept)


def watched(command: Typed, keep: int = 1) -> Watched:
    """Run it to its end, and keep so many of its last lines."""
    started = time.monotonic()
    process = subprocess.Popen(
        list(command.argv), env=dict(command.environment), cwd=ROOT,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    peaks = {"desk": 0, "agent": 0}
    cpu_s = 0.0
    over = threading.Event()

    def watch() -> None:
        nonlocal cpu_s
        desk = psutil.Process(process.pid)
        while not over.wait(_EVERY_S):
            try:
                peaks["desk"] = max(peaks["desk"], desk.memory_info().rss)
                for child in desk.children():
                    peaks["agent"] = max(peaks["agent"], child.memory_info().rss)
                    spent = child.cpu_times()
                    cpu_s = max(cpu_s, spent.user + spent.system)
            except psutil.Error:  # it comes and goes
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    kept, lines = deque[str](maxlen=keep), 0
    assert process.stdout is not None
    try:
        for line in process.stdout:
            kept.append(line)
            lines += 1
    finally:
        code = process.wait()
        over.set()
        watcher.join()
    return Watched(code, lines, "".join(kept), time.monotonic() - started, **peaks, agent_cpu_s=cpu_s)
