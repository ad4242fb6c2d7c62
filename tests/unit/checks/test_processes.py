from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import markupsafe._speedups
import pytest

from xcomctl.checks import processes
from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, ResolvedSetting


@pytest.mark.parametrize(
    ("argv", "component"),
    [
        (["/venv/bin/python", "-m", "airflow", "scheduler", "--skip-serve-logs"], "scheduler"),
        (["/venv/bin/python", "/venv/bin/airflow", "dag-processor"], "dag-processor"),
        (["airflow", "triggerer"], "triggerer"),
        (["/home/airflow/.local/bin/airflow", "celery", "worker", "-q", "default"], "celery worker"),
        (["python", "/usr/bin/airflow", "standalone"], "standalone"),
        (["airflow scheduler -- DagFileProcessorManager"], "scheduler"),
        (["airflow api_server -- host:0.0.0.0 port:8080"], "api-server"),
        (["airflow worker -- LocalExecutor: <idle>"], "worker"),
        (["airflow executor -- LocalExecutor"], "executor"),
        (["gunicorn: master [airflow-webserver]"], "webserver"),
        (["[ready] gunicorn: worker [airflow-webserver]"], "webserver"),
        (["[celeryd: celery@host:MainProcess] -active- (worker)"], "celery worker"),
    ],
)
def test_components(argv, component):
    assert processes.component_of(argv) == component


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [""],
        ["bash", "-c", "echo scheduler"],
        ["python", "-m", "airflow", "db", "migrate"],
        ["python", "-m", "airflow", "config", "get-value", "core", "xcom_backend"],
        ["airflow", "tasks", "run", "scheduler"],
        ["python", "-m", "myairflow", "scheduler"],
        ["postgres: airflow airflow 127.0.0.1(53200) idle"],
        ["vim", "/etc/airflow scheduler.txt"],
        ["gunicorn: master [other]"],
    ],
)
def test_what_is_no_component(argv):
    assert processes.component_of(argv) is None


OURS = "/opt/a venv/lib/python3.12/site-packages"


class Proc:
    """A folder as /proc is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stat").write_text("cpu 1 2 3\nbtime 1000\nprocesses 5\n")
        self.add(os.getpid(), 0, ["python", "-c", "agent"], {}, packages=OURS)
        (folder / "self").symlink_to(str(os.getpid()))

    def add(self, pid, parent, argv, environment, *, namespace="mnt:[1]", ticks=0, packages=None):
        folder = self.folder / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "ns" / "mnt").symlink_to(namespace)
        (folder / "cmdline").write_text("\0".join(argv) + "\0")
        fields = ["S", str(parent), *["0"] * 17, str(ticks * os.sysconf("SC_CLK_TCK")), "0"]
        (folder / "stat").write_text(f"{pid} (a name) with ) in it) {' '.join(fields)}")
        if packages is not None:
            (folder / "maps").write_text(
                "7f00-7f01 r-xp 00000000 103:02 41  /usr/lib/libc.so.6\n7f02-7f03 rw-p 00000000 00:00 0 \n"
                f"7f04-7f05 r--p 00001000 103:02 42   {packages}/pydantic_core/_pydantic_core.so\n"
            )
        if isinstance(environment, bytes):
            (folder / "environ").write_bytes(environment)
        elif environment is not None:
            (folder / "environ").write_text("".join(f"{name}={value}\0" for name, value in environment.items()))


SCHEDULER = ["python", "-m", "airflow", "scheduler"]
HOME = {"AIRFLOW_HOME": "/opt/airflow"}


@pytest.fixture
def proc(tmp_path):
    return Proc(tmp_path)


def pids(proc):
    return [process.pid for process in processes.running("/opt/airflow", proc.folder)]


def test_only_the_four_settings_leave_an_environment(proc):
    proc.add(5_000_000, 1, SCHEDULER, {**HOME, PATH.env: "s3://c@b/x=y", "AIRFLOW__CORE__FERNET_KEY": "k"}, ticks=7)
    (found,) = processes.running("/opt/airflow", proc.folder)
    assert found.settings == {PATH.env: "s3://c@b/x=y"}
    assert (found.component, found.started) == ("scheduler", 1007.0)
    assert found.describe() == "scheduler (pid 5000000, started 1970-01-01T00:16:47Z)"


def test_another_airflow_another_container_and_the_dead_are_left_out(proc):
    proc.add(5_000_000, 1, SCHEDULER, {"AIRFLOW_HOME": "/opt/other"})
    proc.add(5_000_001, 1, SCHEDULER, HOME, namespace="mnt:[2]")
    (proc.folder / "5000002").mkdir()
    assert pids(proc) == []


def test_the_home_that_airflow_takes_when_none_is_set(proc):
    proc.add(5_000_000, 1, SCHEDULER, {"HOME": "/opt"})
    assert pids(proc) == [5_000_000]


def test_what_we_descend_from_is_left_out(proc):
    proc.add(5_000_000, 1, SCHEDULER, HOME)
    (proc.folder / str(os.getpid()) / "stat").write_text(f"{os.getpid()} (python) S 5000000 {'0 ' * 20}")
    assert pids(proc) == []


def test_a_fork_is_its_parent_and_what_was_started_otherwise_is_not(proc):
    proc.add(5_000_000, 1, ["airflow", "standalone"], HOME)
    proc.add(5_000_001, 5_000_000, ["airflow worker -- LocalExecutor: <idle>"], b"\0" * 50)
    proc.add(5_000_002, 5_000_000, SCHEDULER, HOME)
    proc.add(5_000_003, 5_000_000, ["airflow", "triggerer"], {**HOME, THRESHOLD.env: "5"})
    assert pids(proc) == [5_000_000, 5_000_003]


@pytest.mark.parametrize("environment", [None, b"", b"\0" * 90, b"\0\0AIRFLOW_HOME=/opt/airflow\0", b"a title\0A=1\0"])
def test_an_environment_that_cannot_be_known(proc, environment):
    proc.add(5_000_000, 1, SCHEDULER, environment, packages=OURS)
    (found,) = processes.running("/opt/airflow", proc.folder)
    assert found.settings is None
    assert list(processes.texts(found, {})) == []


@pytest.mark.parametrize("packages", [None, "/opt/other venv/lib/python3.12/site-packages"])
def test_who_cannot_be_known_counts_with_the_same_installation_alone(proc, packages):
    """``None`` is what another user's process tells."""
    proc.add(5_000_000, 1, SCHEDULER, b"", packages=packages)
    proc.add(5_000_001, 1, SCHEDULER, HOME, packages=packages)
    assert pids(proc) == [5_000_001]


def test_in_a_sandbox_who_cannot_be_known_counts_where_it_works_there(proc, monkeypatch):
    """An Airflow of the host that shares the installation is none of a rehearsal's business."""
    monkeypatch.setenv(SANDBOX_VARIABLE, "/tmp/sandbox")
    for pid, cwd in ((5_000_000, "/tmp/sandbox/airflow"), (5_000_001, "/srv/airflow"), (5_000_002, None)):
        proc.add(pid, 1, SCHEDULER, b"", packages=OURS)
        if cwd is not None:
            (proc.folder / str(pid) / "cwd").symlink_to(cwd)
    assert pids(proc) == [5_000_000]


def test_texts_are_the_environments_else_what_lies_beneath(proc):
    proc.add(5_000_000, 1, SCHEDULER, {**HOME, PATH.env: "s3://c@b/x", COMPRESSION.env: ""})
    beneath = {
        "backend": ResolvedSetting("airflow.models.xcom.BaseXCom", "airflow.cfg"),
        "path": ResolvedSetting("s3://c@b/y", "airflow.cfg"),
        "threshold": ResolvedSetting(-1, "provider default"),
        "compression": ResolvedSetting(None, None),
    }
    (found,) = processes.running("/opt/airflow", proc.folder)
    assert dict(processes.texts(found, beneath)) == {
        BACKEND: "airflow.models.xcom.BaseXCom",
        PATH: "s3://c@b/x",
        THRESHOLD: "-1",
        COMPRESSION: "",
    }


def test_a_system_without_proc(tmp_path):
    assert processes.running("/opt/airflow", tmp_path / "none") == ()


def started(title, code, **options):
    """A process under a title that has begun to run its code, and ends with its input."""
    process = subprocess.Popen(
        [title, "-c", f"import sys; {code}; print(flush=True); sys.stdin.read()"],
        executable=sys.executable,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **options,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system has no /proc")
def test_a_real_process_is_found_with_its_start(tmp_path):
    process = started("airflow scheduler -- of a test", "pass", env={"AIRFLOW_HOME": str(tmp_path), THRESHOLD.env: "7"})
    try:
        # Others may run here whose environment cannot be known.
        (found,) = [each for each in processes.running(str(tmp_path)) if each.settings is not None]
    finally:
        process.communicate()
    assert (found.pid, found.component, found.settings) == (process.pid, "scheduler", {THRESHOLD.env: "7"})
    assert abs(found.started - tmp_path.stat().st_ctime) < 30


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system has no /proc")
def test_real_processes_that_tell_no_environment(tmp_path):
    """One has a library of this installation in memory, the other one has none."""
    library = markupsafe._speedups.__file__
    load = f"import mmap; f = open({library!r}, 'rb'); kept = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)"
    ours, other = started("airflow triggerer", load, env={}), started("airflow triggerer", "pass", env={})
    try:
        found = {each.pid: each.settings for each in processes.running(str(tmp_path))}
    finally:
        ours.communicate()
        other.communicate()
    assert found[ours.pid] is None
    assert other.pid not in found
