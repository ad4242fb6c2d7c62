"""Servers of a sandbox: watched, ended with all that they started, also when somebody else has to end them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.rehearsal.sandbox.errors import SandboxError, ServerDied
from xcomctl.rehearsal.sandbox.processes import Family, Server, end_recorded, stop_all

# A server that starts a worker in a session of its own, as Airflow's task runners are, and says so.
WITH_WORKER = """
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(worker.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    family.stop()


def server(family: Family, code: str, name: str = "the server") -> Server:
    env = {"PATH": os.defpath, SANDBOX_VARIABLE: str(family.folder)}
    return Server(name, [sys.executable, "-c", code], env, family.folder / f"{name}.log", family.folder)


def wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def worker_of(running: Server) -> psutil.Process:
    wait_for(lambda: running.log.read_text().strip(), "the server never said its worker's pid")
    return psutil.Process(int(running.log.read_text()))


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_stop_ends_what_the_server_started_too(family: Family) -> None:
    running = family.start(server(family, WITH_WORKER))
    worker = worker_of(running)
    family.stop()
    assert running.process is None
    assert gone(worker)


def test_stop_ends_orphans_of_a_server_that_died(family: Family) -> None:
    running = family.start(server(family, WITH_WORKER))
    worker = worker_of(running)
    os.kill(running.pid, signal.SIGKILL)
    wait_for(lambda: running.process is not None and running.process.poll() is not None, "SIGKILL did nothing")
    assert not gone(worker)
    family.stop()
    assert gone(worker)


def test_a_server_that_ignores_sigterm_is_killed(family: Family) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(600)"
    running = family.start(server(family, code))
    wait_for(lambda: running.log.read_text(), "the server never started")
    process = psutil.Process(running.pid)
    stop_all([running], grace_s=0.2)
    assert gone(process)


def test_a_dead_server_is_named_with_the_end_of_its_log(family: Family) -> None:
    family.start(server(family, "import sys; print('disk is full'); sys.exit(3)", "PostgreSQL"))
    with pytest.raises(ServerDied, match=r"PostgreSQL ended unexpectedly \(exit status 3\)") as caught:
        family.wait_until(lambda: False, "PostgreSQL", timeout_s=10, poll_s=0.02)
    assert caught.value.log[-1] == "disk is full"


def test_waiting_in_vain_says_for_what_and_how_long(family: Family) -> None:
    family.start(server(family, "import time; time.sleep(600)"))
    with pytest.raises(SandboxError, match="Waited 0 s for the heartbeat, in vain"):
        family.wait_until(lambda: False, "the heartbeat", timeout_s=0.1, poll_s=0.02)


def test_a_program_that_is_not_there_is_one_sentence(family: Family) -> None:
    with pytest.raises(SandboxError, match="the server could not be started"):
        family.start(Server("the server", ["/nonexistent"], {}, family.folder / "log", family.folder))


def test_what_a_killed_owner_left_is_ended_by_its_record(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = [p for p in sys.argv[2].split(':')]\n"
        "from pathlib import Path\n"
        "from tests.unit.rehearsal.test_processes import Family, server, WITH_WORKER\n"
        "family = Family(Path(sys.argv[1])); running = family.start(server(family, WITH_WORKER))\n"
        "print(running.pid, flush=True); import time; time.sleep(600)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), ":".join(sys.path)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    left = psutil.Process(int(owner.stdout.readline()))
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert not gone(left)
    assert end_recorded(tmp_path) >= 1
    assert gone(left)


def test_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        record = f'[{{"name": "x", "pid": {bystander.pid}, "started": 1.0}}]'
        (tmp_path / "processes.json").write_text(record)
        assert end_recorded(tmp_path) == 0
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
