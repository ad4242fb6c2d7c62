"""Rehearsals that are interrupted, killed or robbed of a server at random moments: no process, port or folder is left."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.rehearsal_child import RehearsalChild, no_trace_of
from tests.support.resumable import once
from xcomctl.model.verdicts import Verdict

BUDGET_S = 1500
KILLS = 15
SHORT = ("--threshold=20000", "--cell-sizes=2000,20000")
#: What is played, the step that ends it, and the seconds within which it is struck.
PLAYED = (("runbook", "left_behind", 75.0), ("soft", "soft", 150.0))

#: What happens, and how the command has to end. A server that dies while everything is being taken down, or after the
#: last observation, is not noticed, and need not be.
WAYS = {"SIGINT": 130, "SIGTERM": 130, "SIGHUP": 130, "SIGKILL": -9, "server": Verdict.INCONCLUSIVE.exit_code}


@pytest.mark.parametrize("number", range(KILLS))
def test_nothing_is_left(number: int, airflow_env: Path, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    def run() -> dict[str, Any]:
        draw = random.Random(number)
        way = sorted(WAYS)[number % len(WAYS)]
        scenario, last, within_s = PLAYED[number % len(PLAYED)]
        after_s = round(draw.uniform(2.0, within_s), 1)
        with RehearsalChild(airflow_env, tmp_path, *SHORT, f"--only={scenario}") as child:
            deadline = time.monotonic() + after_s
            while time.monotonic() < deadline and child.process.poll() is None:
                child.note_ports()
                time.sleep(0.1)
            over = f"] {last}: OK" in child.output()
            victim = _strike(child, way, draw)
            code = child.wait()
            if way == "SIGKILL" and code == -9:
                for folder in child.sandboxes():
                    stop = [sys.executable, "-m", "xcomctl", "rehearse", "--stop", str(folder)]
                    done = subprocess.run(stop, env=child.env, capture_output=True, text=True)
                    assert done.returncode == 0, done.stderr
            expected = {WAYS[way]} if victim else {0}
            assert code in expected | ({0} if over else set()), (way, victim, after_s, code, child.output())
            assert no_trace_of(child)
            assert "Traceback" not in child.output()
            if code != -9:
                assert child.report()["verdict"] == {0: "ok", 130: "interrupted", 5: "inconclusive"}[code]
            return {"scenario": scenario, "way": way, "victim": victim, "after_s": after_s, "exit": code}

    result = once("kills-rehearse", str(number), run)
    measure(f"kill_{number:02}", result)


def _strike(child: RehearsalChild, way: str, draw: random.Random) -> str | None:
    """Do it; whom it hit, ``None`` if there was nobody left."""
    if child.process.poll() is not None:
        return None
    if way != "server":
        child.process.send_signal(signal.Signals[way])
        return "xcomctl"
    servers = [process for process in child.processes() if process.ppid() == child.process.pid]
    if not servers:
        return None
    victim = draw.choice(sorted(servers, key=lambda process: process.pid))
    try:
        # Words without a path: figures are committed.
        name = " ".join(word for word in victim.cmdline()[:4] if "/" not in word) or victim.name()
        victim.kill()
    except psutil.NoSuchProcess:
        return None
    return name
