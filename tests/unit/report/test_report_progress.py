from __future__ import annotations

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from xcomctl.report.progress import LiveProgress, PlainProgress, progress_for

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("display", [PlainProgress, LiveProgress])
def test_no_secret_in_what_is_waited_for_or_noted(display: type) -> None:
    out = io.StringIO()
    with display(out) as progress, progress.step("api", "The API") as step:
        step.waiting("the API at https://me:hunter2@airflow.example.com")
        step.note("answered by postgresql://me:hunter2@db.example.com/airflow")
        if display is LiveProgress:
            time.sleep(0.3)  # until it was drawn
    assert "hunter2" not in out.getvalue()
    assert "db.example.com" in out.getvalue()


def test_plain_lines() -> None:
    out, clock = io.StringIO(), Clock()
    progress = PlainProgress(out, clock, tick_s=0)
    with progress.step("restart", "Restart Airflow") as step:
        clock.now += 42
        step.waiting("scheduler heartbeat")
        for _ in range(25):
            clock.now += 1
            step.waiting("scheduler heartbeat")
            progress.tick()
        step.note("3 processes\x1b[31m")
        step.waiting("")
        clock.now += 60
        progress.tick()
    with pytest.raises(RuntimeError), progress.step("run", "A run"):
        clock.now += 1
        raise RuntimeError("it broke\nbadly")
    with pytest.raises(KeyboardInterrupt), progress.step("heal", "Heal"):
        raise KeyboardInterrupt
    progress.close()
    progress.close()
    assert out.getvalue().splitlines() == [
        "[   0 s] restart: Restart Airflow",
        "[  42 s] restart: waiting for scheduler heartbeat …",
        "[  52 s] restart: waiting for scheduler heartbeat … 10 s",
        "[  62 s] restart: waiting for scheduler heartbeat … 20 s",
        "[  67 s] restart: 3 processes\\x1b[31m",
        "[ 127 s] restart: OK in 2 min 07 s",
        "[ 127 s] run: A run",
        "[ 128 s] run: FAIL after 1.0 s: it broke",
        "[ 128 s] heal: Heal",
        "[ 128 s] heal: interrupted after 0 s",
    ]


def test_a_wait_that_changes_at_every_poll_does_not_flood() -> None:
    out, clock = io.StringIO(), Clock()
    progress = PlainProgress(out, clock, tick_s=0)
    with progress.step("run", "A run") as step:
        for index in range(100):
            step.waiting(f"{index} of 100 tasks")
            progress.tick()
            clock.now += 0.1
    assert 4 <= out.getvalue().count("waiting for") <= 6


def test_long_waits_are_said_without_anybody_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xcomctl.report.progress.REMIND_AFTER_S", 0.05)
    out = io.StringIO()
    with PlainProgress(out, tick_s=0.01).step("run", "A run") as step:
        step.waiting("waiting for the run …")
        until = time.monotonic() + 5
        while out.getvalue().count("waiting for the run …") < 3 and time.monotonic() < until:
            time.sleep(0.01)
    assert out.getvalue().count("run: waiting for the run …") >= 3
    assert not [thread for thread in threading.enumerate() if thread.name == "xcomctl-progress" and not _ends(thread)]


def _ends(thread: threading.Thread) -> bool:
    thread.join(5)
    return not thread.is_alive()


def test_ascii_and_closed_streams() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with progress_for(out).step("a", "naïve") as step:
        step.waiting("x")
    assert raw.getvalue().decode("ascii").splitlines()[:2] == ["[   0 s] a: na\\xefve", "[   0 s] a: waiting for x ..."]
    gone = io.StringIO()
    gone.close()
    with PlainProgress(gone).step("a", "b") as step:
        step.waiting("x")


def test_the_stream_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_for(io.StringIO()), PlainProgress)
    near, far = pty.openpty()
    with os.fdopen(far, "w") as terminal:
        assert isinstance(progress_for(terminal), LiveProgress)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(progress_for(terminal), PlainProgress)
    os.close(near)


class Terminal:
    """A program on a real pseudo-terminal."""

    def __init__(self, tmp_path: Path, code: str, **environment: str) -> None:
        script = tmp_path / "program.py"
        script.write_text(f"import sys, time, threading\nfrom xcomctl.report.progress import progress_for\n{code}")
        self.near, far = pty.openpty()
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm-256color",
               "COLUMNS": "80", "PYTHONUTF8": "1", **environment}  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=far,
            stdout=subprocess.PIPE,
            stderr=far,
            env=env,
            start_new_session=True,
        )
        os.close(far)
        self.seen = ""

    def until(self, text: str, timeout: float = 20.0) -> None:
        end = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} not in {self.seen!r}"
            if not self._read():
                raise AssertionError(f"ended without {text!r}: {self.seen!r}")

    def finish(self) -> int:
        until = time.monotonic() + 60
        while self._read():
            if time.monotonic() > until:
                self.process.kill()
                pytest.fail(f"the program does not end; it wrote {self.seen[-500:]!r}")
        os.close(self.near)
        assert self.process.stdout is not None
        self.stdout = self.process.stdout.read().decode()
        self.process.stdout.close()
        return self.process.wait(20)

    def _read(self) -> bool:
        if not select.select([self.near], [], [], 0.2)[0]:
            return self.process.poll() is None
        try:
            chunk = os.read(self.near, 65536)
        except OSError:
            return False
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)


STEPS = """
progress = progress_for()
with progress.step("sandbox", "Start the sandbox") as step:
    step.waiting("PostgreSQL")
    time.sleep(0.4)
    step.note("port 5432")
    print("data")
    with progress.step("inner", "An inner step"):
        time.sleep(0.2)
try:
    with progress.step("restart", "Restart Airflow") as step:
        raise RuntimeError("no heartbeat")
except RuntimeError:
    pass
progress.close()
"""


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_live_display(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, STEPS)
    assert terminal.finish() == 0
    assert terminal.stdout == "data\n"
    text = plain(terminal.seen)
    assert "waiting for PostgreSQL …" in text
    assert re.search(r" OK  +\d\.\d s  Start the sandbox\n +port 5432", text)
    assert re.search(r" FAIL +\d\.\d s  Restart Airflow\n +no heartbeat", text)
    assert terminal.seen.count(HIDE) == terminal.seen.count(SHOW) > 0
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
    assert "\x1b[32m" in terminal.seen
    # Redrawn in place, never by clearing the screen.
    assert "\x1b[2J" not in terminal.seen


def test_live_display_without_colour(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, STEPS, NO_COLOR="1")
    assert terminal.finish() == 0
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?3[0-7]m", terminal.seen)


@pytest.mark.parametrize("closes", [True, False])
def test_ctrl_c_gives_the_cursor_back(tmp_path: Path, closes: bool) -> None:
    code = """
progress = progress_for()
try:
    with progress.step("run", "A run in flight") as step:
        step.waiting("the consumer")
        time.sleep(60)
finally:
    if CLOSES:
        progress.close()
""".replace("CLOSES", str(closes))
    terminal = Terminal(tmp_path, code)
    terminal.until("waiting for the consumer")
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.finish() in (1, 130, -signal.SIGINT)
    assert HIDE in terminal.seen
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
    assert "interrupted while waiting for the consumer" in plain(terminal.seen)


def test_a_step_left_open_gives_the_cursor_back_at_exit(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "progress_for().step('a', 'b').__enter__(); time.sleep(0.3); sys.exit(3)")
    assert terminal.finish() == 3
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)


def test_threads_and_the_display_do_not_lock_each_other(tmp_path: Path) -> None:
    code = """
progress = progress_for()
def work(name):
    for index in range(60):
        with progress.step(f"{name}{index}", "A step") as step:
            for poll in range(5):
                step.waiting(f"poll {poll}")
            step.note("x")
threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
progress.close()
print("done")
"""
    terminal = Terminal(tmp_path, code)
    assert terminal.finish() == 0
    assert terminal.stdout == "done\n"
    assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
