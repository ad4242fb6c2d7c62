"""The protocol against a real child process: a bare Python without Airflow, with everything that goes wrong on the way.

The far side is the real agent. Since its requests need Airflow, the zip is given a few more for these tests.
"""

from __future__ import annotations

import io
import os
import shlex
import signal
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.pythons import installed, version_of
from xcomctl.deployment import bundle
from xcomctl.deployment.agent_errors import (
    AgentDied,
    AgentError,
    AgentTimeout,
    AirflowTooOld,
    NoAirflow,
    NoPython,
    PythonTooOld,
    ReachFailed,
    RequestFailed,
)
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.command import CommandReach
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model import requests

PYTHONS = installed()


NEW = [python for python in PYTHONS if version_of(python) >= (3, 9)] or [Path(sys.executable)]
OLD = [python for python in PYTHONS if version_of(python) < (3, 9)]

#: Requests that need no Airflow: name → the text of its module.
EXTRA = {
    "echo": """
from dataclasses import dataclass
from typing import Any
from xcomctl.model.requests import Record

@dataclass(frozen=True)
class Echo(Record):
    said: Any

def run(context):
    return Echo(context.raw("said"))
""",
    "flood": """
import os, sys
from xcomctl.agent.requests.echo import Echo

def run(context):
    count, size = context.number("count", 1), context.number("size", 1)
    noise = context.number("noise_to", -1)
    for number in range(count):
        context.emit(Echo([number, "x" * size]))
        if number % 100 == 0:
            context.progress("flooding", done=number, total=count)
            print("a line on standard output")
            if noise >= 0:
                os.write(noise, b"2026-01-01 [info] noise amid frames\\n")
    return Echo(count)
""",
    "endless": """
import subprocess, time
from xcomctl.agent.requests.echo import Echo

def run(context):
    child = subprocess.Popen(["sleep", "300"])
    context.progress(str(child.pid))
    while True:
        if not context.flag("deaf"):
            context.check()
        time.sleep(0.01)
""",
    "die": """
import os, sys

def run(context):
    context.progress("soon")
    print("cannot go on: password=hunter2", file=sys.stderr, flush=True)
    os._exit(41)
""",
    "crash": """
def run(context):
    password = "hunter2"
    raise RuntimeError("no connection to postgresql://airflow:hunter2@db/airflow")
""",
    "leave": """
import sys

def run(context):
    sys.exit(3)
""",
    "damage": """
import os
from xcomctl.agent.requests.echo import Echo
from xcomctl.model import frames

def run(context):
    frame = bytearray(frames.encode({"kind": "item", "id": 1, "items": [1]}))
    frame[-1] ^= 1
    context._write(bytes(frame))
    return Echo(1)
""",
}


@pytest.fixture
def extended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zip with the requests above in it."""
    packed = zipfile.ZipFile(io.BytesIO(bundle.pack()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in packed.namelist():
            text = packed.read(name).decode()
            if name == "xcomctl/agent/registry.py":
                text += f"\nMODULES.update({ {each: f'xcomctl.agent.requests.{each}' for each in EXTRA}!r})\n"
            archive.writestr(name, text)
        for name, text in EXTRA.items():
            archive.writestr(f"xcomctl/agent/requests/{name}.py", text)
    data = buffer.getvalue()
    monkeypatch.setattr(bundle, "framed", lambda: len(data).to_bytes(8, "big") + data)


@pytest.fixture
def local(tmp_path: Path) -> Callable[..., LocalReach]:
    """A reach to a bare Python whose ``sitecustomize`` is the text given."""

    def make(sitecustomize: str = "", python: Path = NEW[-1], cwd: Path | None = None, **env: str) -> LocalReach:
        if sitecustomize:
            folder = tmp_path / "site"
            folder.mkdir(exist_ok=True)
            (folder / "sitecustomize.py").write_text(sitecustomize)
            env["PYTHONPATH"] = str(folder)
        return LocalReach(python, {"PATH": os.environ["PATH"], **env}, cwd=cwd)

    return make


Local = Callable[..., LocalReach]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(pid: int, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not is_alive(pid):
            return True
        time.sleep(0.02)
    return False


# --- hello


@pytest.mark.parametrize("python", NEW, ids=str)
def test_a_bare_python_says_hello_and_that_it_has_no_airflow(python: Path, local: Local) -> None:
    with AgentSession(local(python=python)) as agent:
        assert agent.hello["protocol"] == requests.PROTOCOL
        assert tuple(map(int, agent.hello["python"].split(".")[:2])) >= (3, 9)
        assert agent.hello["pid"] == agent.pid
        with pytest.raises(NoAirflow, match=r"there is no Airflow in .*python"):
            agent.request(requests.IDENTIFY)
        with pytest.raises(NoAirflow):
            agent.request(requests.REFERENCES, {"base_path": "s3://bucket/xcom"})
    assert agent.pid is not None
    assert not is_alive(agent.pid)


def test_an_old_airflow_gets_one_sentence(local: Local, tmp_path: Path) -> None:
    info = tmp_path / "packages" / "apache_airflow-2.8.4.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: apache-airflow\nVersion: 2.8.4\n")
    with (
        AgentSession(local(PYTHONPATH=str(info.parent))) as agent,
        pytest.raises(AirflowTooOld, match=r"Airflow 2\.8\.4 is too old"),
    ):
        agent.request(requests.IDENTIFY)


@pytest.mark.parametrize("python", OLD, ids=str)
def test_an_old_python_gets_one_sentence(python: Path, local: Local) -> None:
    version = ".".join(map(str, version_of(python)))
    with pytest.raises(PythonTooOld, match=rf"Python 3\.9 or newer is needed, this is {version} at ") as caught:
        AgentSession(local(python=python)).start()
    assert "Traceback" not in str(caught.value)


def test_no_python() -> None:
    with pytest.raises(NoPython, match="no Python to run at /nowhere/python"):
        AgentSession(LocalReach(Path("/nowhere/python"))).start()
    with pytest.raises(NoPython, match="no 'python-of-old' in this context"):
        AgentSession(CommandReach(("env",), python="python-of-old")).start()
    with pytest.raises(ReachFailed, match="'docker-of-old' cannot be started"):
        AgentSession(CommandReach(("docker-of-old", "exec", "-i", "x"))).start()


def test_a_far_side_that_ends_before_its_hello(tmp_path: Path) -> None:
    script = tmp_path / "broken"
    script.write_text("#!/bin/sh\necho 'Error: No such container: token=abcdef123456' >&2\nexit 5\n")
    script.chmod(0o755)
    with pytest.raises(AgentDied, match="exit status 5") as caught:
        AgentSession(CommandReach((str(script),))).start()
    assert caught.value.status == 5
    assert caught.value.log == ("Error: No such container: token=***",)


def test_a_far_side_that_never_says_hello(tmp_path: Path) -> None:
    script = tmp_path / "silent"
    script.write_text("#!/bin/sh\nsleep 300\n")
    script.chmod(0o755)
    session = AgentSession(CommandReach((str(script),)), start_timeout=0.3)
    with pytest.raises(AgentTimeout, match=r"no agent said hello within 0\.3 s"):
        session.start()
    assert session.pid is not None
    assert not is_alive(session.pid)


def test_the_zip_is_taken_from_memory_and_the_working_directory_is_left_alone(local: Local, tmp_path: Path) -> None:
    folder = tmp_path / "cwd"
    folder.mkdir()
    for name in ("zipfile.py", "json.py", "xcomctl.py"):
        (folder / name).write_text("raise SystemExit('shadowed by the working directory')")
    folder.chmod(0o555)
    with AgentSession(local(cwd=folder, TMPDIR="/nowhere", PYTHONDONTWRITEBYTECODE="")) as agent:
        assert agent.hello["protocol"] == requests.PROTOCOL
    assert sorted(path.name for path in folder.iterdir()) == ["json.py", "xcomctl.py", "zipfile.py"]


def test_without_files_in_memory_a_temporary_one_will_do(local: Local, tmp_path: Path, extended: None) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    reach = local("import os\nif hasattr(os, 'memfd_create'): del os.memfd_create\n", TMPDIR=str(temporary))
    with AgentSession(reach) as agent:
        assert agent.request("echo", {"said": 1}) == {"said": 1}
        assert list(temporary.iterdir()) == [], "it has no name, so that a kill leaves nothing behind"


def test_without_proc_the_temporary_file_is_deleted_at_the_end(local: Local, tmp_path: Path, extended: None) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    no_proc = "import os\nisdir = os.path.isdir\nos.path.isdir = lambda path: path != '/proc/self/fd' and isdir(path)\n"
    with AgentSession(local(no_proc, TMPDIR=str(temporary))) as agent:
        assert agent.request("echo", {"said": 1}) == {"said": 1}
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_a_prefix_with_a_shell_behind_it(tmp_path: Path, extended: None) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nshift\nexec sh -c "$*"\n')
    ssh.chmod(0o755)
    reach = CommandReach.parse(f"{shlex.quote(str(ssh))} host", python=str(NEW[-1]))
    with AgentSession(reach) as agent:
        assert agent.request("echo", {"said": "quoted ' \" $HOME `x`"}) == {"said": "quoted ' \" $HOME `x`"}


# --- noise and size


def test_noise_before_and_amid_frames(local: Local, extended: None) -> None:
    lines: list[str] = []
    noisy = (
        "import os, sys\nsys.stdout.write('motd on standard output\\n' * 3000)\nsys.stdout.flush()\nos.dup2(1, 77)\n"
    )
    with AgentSession(local(noisy), log=lines.append) as agent:
        stream = agent.stream("flood", {"count": 1000, "size": 100, "noise_to": 77})
        assert [item["said"][0] for item in stream] == list(range(1000))
        assert stream.answer == {"said": 1000}
    assert lines.count("motd on standard output") == 3000
    assert lines.count("2026-01-01 [info] noise amid frames") == 10
    assert lines.count("a line on standard output") == 10


def test_megabytes(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent:
        said = "é" * 3_000_000
        assert agent.request("echo", {"said": said}) == {"said": said}
        seen: list[Mapping[str, object]] = []
        stream = agent.stream("flood", {"count": 20_000, "size": 1000}, seen.append)
        assert sum(len(item["said"][1]) for item in stream) == 20_000_000
        assert seen[1]["done"] == 100
        assert seen[1]["total"] == 20_000


def test_a_damaged_frame_is_an_error_and_not_a_wait(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent, pytest.raises(AgentError, match="damaged on its way"):
        agent.request("damage")


# --- failures


def test_failures_of_requests(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent:
        with pytest.raises(RequestFailed, match="knows no request 'nope'") as unknown:
            agent.request("nope")
        assert unknown.value.reason == requests.UNKNOWN_REQUEST
        assert unknown.value.remote_traceback is None
        with pytest.raises(RequestFailed, match="'count' must be a whole number") as user:
            agent.request("flood", {"count": "many"})
        assert user.value.reason == requests.USER_ERROR
        assert user.value.remote_traceback is None
        with pytest.raises(RequestFailed, match="RuntimeError: no connection to postgresql") as crash:
            agent.request("crash")
        assert crash.value.reason == requests.UNEXPECTED
        assert crash.value.remote_traceback is not None
        assert "raise RuntimeError" in crash.value.remote_traceback
        assert "hunter2" not in crash.value.remote_traceback + str(crash.value)
        with pytest.raises(RequestFailed, match=r"sys\.exit\(3\)"):
            agent.request("leave")
        assert agent.request("echo", {"said": "still here"}) == {"said": "still here"}


def test_a_far_side_that_dies_amid_the_work(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent:
        with pytest.raises(AgentDied, match="exit status 41") as caught:
            agent.request("die")
        assert caught.value.log[-1] == "cannot go on: password=***"
        with pytest.raises(AgentDied):
            agent.request("echo")


def test_a_far_side_that_is_killed_amid_a_stream(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent:
        stream = agent.stream("flood", {"count": 1_000_000, "size": 1000})
        next(stream)
        assert agent.pid is not None
        os.kill(agent.pid, signal.SIGKILL)
        with pytest.raises(AgentDied, match="SIGKILL") as caught:
            list(stream)
        assert caught.value.status == -signal.SIGKILL
        assert "out of memory" in caught.value.hint


def test_a_request_may_take_too_long(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent:
        with pytest.raises(AgentTimeout, match="in the time given"):
            agent.request("endless", timeout=0.3)
        assert agent.pid is not None
        assert not is_alive(agent.pid)
        with pytest.raises(AgentError, match="closed"):
            agent.request("echo")


# --- stopping


def test_a_stream_that_is_left_early_is_cancelled(local: Local, extended: None) -> None:
    with AgentSession(local()) as agent:
        for _ in range(3):
            stream = agent.stream("flood", {"count": 10_000_000, "size": 1000})
            next(stream)
            assert agent.request("echo", {"said": "next"}) == {"said": "next"}
        stream = agent.stream("flood", {"count": 10_000_000})
        next(stream)
        stream.close()
        assert list(stream) == [] or stream.answer is None
        assert agent.request("echo", {"said": 2}) == {"said": 2}


def test_the_end_of_its_input_stops_the_agent_at_the_next_safe_point(local: Local, extended: None) -> None:
    agent = AgentSession(local())
    agent.start()
    pids: list[int] = []
    stream = agent.stream("endless", None, lambda progress: pids.append(int(progress["message"])))
    while not pids:
        stream._advance()
    process = agent._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=5) == 0
    agent.close()
    assert ends(pids[0]), "what the agent started lives on"


@pytest.mark.parametrize("deaf", [False, True])
def test_closing_amid_a_request_leaves_no_process(deaf: bool, local: Local, extended: None) -> None:
    agent = AgentSession(local())
    agent.start()
    pids: list[int] = []
    stream = agent.stream("endless", {"deaf": deaf}, lambda progress: pids.append(int(progress["message"])))
    while not pids:
        stream._advance()
    agent.close(grace=0.5)
    assert agent.pid is not None
    assert not is_alive(agent.pid)
    assert ends(pids[0])
    agent.close()


def test_an_interrupted_desk_leaves_no_process(local: Local, extended: None) -> None:
    pids: list[int] = []

    def interrupt(progress: Mapping[str, object]) -> None:
        pids.append(int(str(progress["message"])))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), AgentSession(local()) as agent:
        agent.request("endless", None, interrupt)
    assert agent.pid is not None
    assert not is_alive(agent.pid)
    assert ends(pids[0])
