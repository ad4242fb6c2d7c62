"""``xcomctl rehearse`` as a child process that is interrupted, robbed of a server, or killed: nothing is left behind.

One Airflow line is enough: what is under test is the sandbox, not Airflow. The kill points are steps, named by the
progress lines that announce them; ``make test-full PART=kills-rehearse`` takes random ones.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.rehearsal_child import RehearsalChild, no_trace_of
from xcomctl.model.verdicts import Verdict

pytestmark = pytest.mark.first_line_only


@pytest.fixture
def child(airflow_env: Path, tmp_path: Path):
    with RehearsalChild(airflow_env, tmp_path) as child:
        yield child


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("database: Start PostgreSQL", "database"),
        ("airflow: waiting for the metadata database's schema", "airflow"),
        ("inline: waiting for run rehearsal-inline", "inline"),
    ],
)
def test_ctrl_c_leaves_nothing_and_the_report_says_where_it_stopped(
    child: RehearsalChild, line: str, step: str
) -> None:
    child.wait_for_line(line)
    child.process.send_signal(signal.SIGINT)
    assert child.wait() == Verdict.INTERRUPTED.exit_code
    report = child.report()
    assert report["verdict"] == "interrupted"
    assert report["stopped_at"] == step
    assert no_trace_of(child)
    assert "Traceback" not in child.output()


def test_a_second_ctrl_c_does_not_stop_the_cleaning_up(child: RehearsalChild) -> None:
    child.wait_for_line("airflow: waiting for Airflow's")
    child.process.send_signal(signal.SIGTERM)
    # Not before the first one was taken: the step ends, then it is cleaned up.
    child.wait_for_line("airflow: interrupted")
    for _ in range(3):
        child.process.send_signal(signal.SIGINT)
    assert child.wait() == Verdict.INTERRUPTED.exit_code
    assert no_trace_of(child)


@pytest.mark.parametrize(
    ("executable", "name"), [("weed", r"S3 \(SeaweedFS\)"), ("postgres", "PostgreSQL")], ids=["store", "database"]
)
def test_a_server_that_dies_half_way_is_one_sentence(child: RehearsalChild, executable: str, name: str) -> None:
    child.wait_for_line("airflow: waiting for Airflow's")
    (server,) = [p for p in child.processes() if p.name() == executable and p.ppid() == child.process.pid]
    server.kill()
    assert child.wait() == Verdict.INCONCLUSIVE.exit_code
    failure = child.report()["failure"]
    assert re.fullmatch(rf"{name} ended unexpectedly \(killed by SIGKILL\)\.", failure["message"])
    assert no_trace_of(child)
    assert "Traceback" not in child.output()


def test_what_a_killed_rehearsal_left_is_named_and_ended(child: RehearsalChild) -> None:
    child.wait_for_line("airflow: waiting for Airflow's")
    (folder,) = child.sandboxes()
    child.process.kill()
    child.process.wait()
    left = child.processes()
    assert left
    xcomctl = [sys.executable, "-m", "xcomctl", "rehearse"]
    # The next rehearsal says so; it stops at once, since the environment that it is given does not exist.
    told = subprocess.run(
        [*xcomctl, "--env", "/nonexistent", "--out", str(child.folder / "next")],
        env=child.env,
        capture_output=True,
        text=True,
    )
    assert f"xcomctl rehearse --stop {folder}" in told.stderr
    stopped = subprocess.run([*xcomctl, "--stop", str(folder)], env=child.env, capture_output=True, text=True)
    assert stopped.returncode == 0, stopped.stderr
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert no_trace_of(child)


def test_a_disk_that_is_full_is_refused_before_anything_starts(airflow_env: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    command = f"{sys.executable} -m xcomctl rehearse --env {airflow_env} --out {tmp_path / 'out'}"
    done = subprocess.run(
        ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c",
         f"mount -t tmpfs -o size=20m small {small} && exec {command}"],
        env={**os.environ, "TMPDIR": str(small), "XDG_STATE_HOME": str(tmp_path / "state")},
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == Verdict.INCONCLUSIVE.exit_code, done.stderr
    assert "Not enough disk" in done.stdout
    assert json.loads((tmp_path / "out" / "report.json").read_text())["verdict"] == "inconclusive"
    assert "Traceback" not in done.stdout + done.stderr


def test_a_kept_sandbox_says_how_to_reach_it_and_is_stopped_by_its_own_command(child_kept: RehearsalChild) -> None:
    child = child_kept
    assert child.wait(timeout_s=600) == 0, child.output()
    output = child.output()
    (folder,) = child.sandboxes()
    assert f"xcomctl rehearse --stop {folder}" in output
    url = re.search(r"UI +(http://127\.0\.0\.1:\d+)", output)
    assert url is not None
    import httpx

    assert httpx.get(url[1] + "/api/v2/version").status_code == 200
    done = subprocess.run(
        [sys.executable, "-m", "xcomctl", "rehearse", "--stop", str(folder)],
        env=child.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert no_trace_of(child)


@pytest.fixture
def child_kept(airflow_env: Path, tmp_path: Path):
    """The runbook's rehearsal over a folder instead of S3, kept."""
    short = "--threshold=20000", "--cell-sizes=2000,20000", "--only=runbook"
    with RehearsalChild(airflow_env, tmp_path, "--store=file", "--keep", *short) as child:
        yield child
