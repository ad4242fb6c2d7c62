"""``xcomctl preflight`` as it is typed, on a real Airflow: the runbook's line, several contexts, a far side that is lost."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

from tests.support.preflight import offload
from tests.support.walk import THRESHOLD, Walk
from xcomctl.journal.local import LocalJournal
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.settings import BACKEND, PATH
from xcomctl.model.settings import THRESHOLD as THRESHOLD_SETTING
from xcomctl.model.verdicts import Verdict
from xcomctl.rehearsal.sandbox.objectstore import CONNECTION_ID

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "xcom_flip_preflight.py"


@pytest.fixture
def journal(tmp_path: Path) -> LocalJournal:
    return LocalJournal(tmp_path / "journal.jsonl")


def preflight(
    walk: Walk, arguments: Sequence[str], variables: Mapping[str, str], journal: LocalJournal, *, warm: bool = False
) -> subprocess.CompletedProcess[str]:
    """The command at the desk, in a process with the variables of the sandbox's Airflow and these.

    With ``warm`` it goes into a context in which Airflow is loaded already.
    """
    environment = {**walk.env, **variables}
    if warm:
        arguments = ["--via", walk.warm.prefix, *arguments]
        environment = walk.warm.environment(environment)
    return subprocess.run(
        [sys.executable, "-m", "xcomctl", "preflight", "--journal", str(journal.path), *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )


def expectations(walk: Walk) -> list[str]:
    return ["--expect-path", walk.base_path, "--expect-threshold", str(THRESHOLD)]


@pytest.fixture
def unanswering() -> Iterator[str]:
    """A store that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_the_runbooks_line_works_as_printed(walk: Walk, journal: LocalJournal) -> None:
    """With the Python that runs Airflow, from a bare checkout, in a context that has been given the four settings."""
    line = f"""
    python {shlex.quote(str(SCRIPT))} --conn-id {CONNECTION_ID} \\
      --expect-backend airflow.providers.common.io.xcom.backend.XComObjectStorageBackend \\
      --expect-path '{walk.base_path}' --expect-threshold {THRESHOLD} --functional-s3
    """
    run = subprocess.run(
        ["bash", "-c", f"{line.strip()} --skip config_running"],  # the walk's own processes are inline again
        env={**walk.env, **offload(walk), "XDG_STATE_HOME": str(journal.path.parent)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for check_id in ("config_backend", "config_path", "config_threshold", "store_offload", "round_trip_offload"):
        assert any(check_id in line for line in run.stdout.splitlines()), check_id
    assert "FAIL" not in run.stdout and "SKIP" not in run.stdout
    assert "Pre-flight passed (exit 0)" in run.stdout
    assert "overridden" not in run.stdout
    (entry,) = LocalJournal(journal.path.parent / "xcomctl" / "journal.jsonl").entries()
    assert (entry.action, entry.verdict) == ("preflight", Verdict.OK)
    assert entry.data["contexts"][0]["phase"] == "offload"


def test_before_the_flip_what_is_planned_passes_and_what_is_expected_fails(walk: Walk, journal: LocalJournal) -> None:
    """The walk's own settings: reverted, with path and threshold still there."""
    planned = preflight(
        walk,
        ["--python", str(walk.python), *expectations(walk), "--planned", "--functional-s3", "-o", "json"],
        walk.sandbox.airflow.environment(),
        journal,
    )
    record = json.loads(planned.stdout)
    assert planned.returncode == 0, [each for each in record["checks"] if each["status"] in ("fail", "skip")]
    (context,) = record["contexts"]
    assert (context["phase"], context["target"]["backend"]) == ("inline", OBJECT_STORAGE_BACKEND)
    assert context["overridden"] == [BACKEND.env]
    expected = preflight(
        walk, ["--python", str(walk.python), *expectations(walk), "--only", "config"], {}, journal, warm=True
    )
    assert expected.returncode == 3
    assert "FAIL  config_path" in expected.stdout
    assert f'→ {THRESHOLD_SETTING.env}="{THRESHOLD}"' in expected.stdout


def test_contexts_that_differ_are_named_with_what_they_have(walk: Walk, journal: LocalJournal, tmp_path: Path) -> None:
    """A prefix each, as ``docker compose exec`` would be; one of them lacks the path (F15), one does not answer."""
    settings = offload(walk)
    without = {name: value for name, value in settings.items() if name != PATH.env}
    (tmp_path / "xcomctl.toml").write_text(
        "\n".join(
            f"[[deployments.dev.contexts]]\nname = {json.dumps(name)}\nvia = {json.dumps(via)}\n"
            f"python = {json.dumps(str(walk.python))}"
            for name, via in {
                "scheduler": shlex.join(["env", *(f"{key}={value}" for key, value in settings.items())]),
                "worker": shlex.join(["env", *(f"{key}={value}" for key, value in without.items())]),
                "triggerer": "false",
            }.items()
        )
    )
    arguments = [
        "--config",
        str(tmp_path / "xcomctl.toml"),
        "-D",
        "dev",
        "--only",
        "config",
        "--skip",
        "config_running",
    ]
    run = preflight(walk, [*arguments, "-o", "json"], {}, journal)
    assert run.returncode == 3, run.stderr
    record = json.loads(run.stdout)
    found = {(check["context"], check["id"]): check for check in record["checks"]}
    drift = found[None, "config_drift"]
    assert drift["status"] == "fail"
    assert f"{PATH.key}: {walk.base_path} in scheduler, nothing in worker" in drift["detail"]
    assert PATH.env in drift["hint"]
    assert found["scheduler", "config_phase"]["status"] == "ok"
    assert found["worker", "config_phase"]["status"] == "fail"
    assert found["triggerer", "context_answers"]["status"] == "skip"
    suites = ElementTree.fromstring(preflight(walk, [*arguments, "-o", "junit"], {}, journal).stdout)
    assert [suite.attrib["name"] for suite in suites] == ["scheduler", "worker", "triggerer", "all contexts"]


@pytest.mark.first_line_only
def test_a_far_side_that_is_killed_half_way_is_inconclusive_with_what_was_seen(
    walk: Walk, journal: LocalJournal, unanswering: str
) -> None:
    """The store never answers, so the far side is amid a check when it is killed."""
    connection = json.dumps({"conn_type": "aws", "login": "a", "password": "b", "extra": {"endpoint_url": unanswering}})
    command = [
        sys.executable, "-m", "xcomctl", "preflight", "--journal", str(journal.path), "--python", str(walk.python),
        "--expect-path", "s3://hanging@bucket/xcom", "--expect-threshold", str(THRESHOLD), "--functional-s3",
        "--timeout", "120", "-o", "json", "--only", "connection,store",
    ]  # fmt: skip
    run = subprocess.Popen(
        command,
        env={**walk.env, "AIRFLOW_CONN_HANGING": connection},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert run.stderr is not None
    while "store_bucket" not in (line := run.stderr.readline()):
        assert line
    (agent,) = [each for each in psutil.Process(run.pid).children() if "xcomctl-bootstrap" in " ".join(each.cmdline())]
    agent.kill()
    out, rest = run.communicate(timeout=60)
    assert run.returncode == 5, rest
    found = {check["id"]: check for check in json.loads(out)["checks"]}
    assert found["connection_resolves"]["status"] == "ok"
    assert found["context_answers"]["status"] == "skip"
    assert "SIGKILL" in found["context_answers"]["detail"] or "killed" in found["context_answers"]["hint"]


@pytest.mark.first_line_only
def test_ctrl_c_ends_every_far_side(walk: Walk, journal: LocalJournal, unanswering: str) -> None:
    connection = json.dumps({"conn_type": "aws", "login": "a", "password": "b", "extra": {"endpoint_url": unanswering}})
    command = [
        sys.executable, "-m", "xcomctl", "preflight", "--journal", str(journal.path), "--python", str(walk.python),
        "--via", "env X=1", "--via", "env X=2", "--expect-path", "s3://hanging@bucket/xcom",
        "--expect-threshold", str(THRESHOLD), "--functional-s3", "--timeout", "120", "--only", "store",
    ]  # fmt: skip
    run = subprocess.Popen(
        command, env={**walk.env, "AIRFLOW_CONN_HANGING": connection}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert run.stderr is not None
    waiting = set[str]()
    while len(waiting) < 2:
        line = run.stderr.readline()
        assert line, waiting
        if "store_bucket" in line:
            waiting.add(line.partition("] ")[2].partition(":")[0])
    far = psutil.Process(run.pid).children(recursive=True)
    assert len(far) >= 2
    run.send_signal(signal.SIGINT)
    _, rest = run.communicate(timeout=60)
    assert run.returncode == 130, rest
    assert "Traceback" not in rest
    _, alive = psutil.wait_procs(far, timeout=15)
    assert not alive


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a mount namespace")
def test_a_read_only_disk_will_do(walk: Walk, journal: LocalJournal) -> None:
    read_only = 'mount --bind / / && mount -o remount,ro,bind / && ! touch /root/x 2>/dev/null && exec "$@"'
    run = preflight(
        walk,
        ["--via", shlex.join(["unshare", "-m", "sh", "-c", read_only, "sh"]), "--python", str(walk.python),
         *expectations(walk), "--planned", "--functional-s3", "--skip", "config_running", "-o", "json"],
        {}, journal,
    )  # fmt: skip
    record = json.loads(run.stdout)
    assert run.returncode == 0, [each for each in record["checks"] if each["status"] in ("fail", "skip")]


def test_as_a_task_without_the_dag_is_inconclusive(walk: Walk, journal: LocalJournal) -> None:
    """The whole way of ``--in-task``, on both sides, is in test_preflight_in_task.py; here, that the command takes it."""
    run = preflight(
        walk, ["--python", str(walk.python), "--in-task", "--only", "connection_in_task", *expectations(walk), "-o", "json"],
        {}, journal, warm=True,
    )  # fmt: skip
    assert run.returncode == 5, run.stderr
    (check,) = json.loads(run.stdout)["checks"]
    assert (check["id"], check["context"], check["status"]) == ("connection_in_task", "task", "skip")
    assert "xcomctl dags export canary" in check["hint"]


@pytest.mark.first_line_only
@pytest.mark.parametrize(("place", "output"), [("path", "text"), ("connection", "json")])
def test_no_secret_is_in_anything_that_is_printed_or_recorded(
    walk: Walk, journal: LocalJournal, place: str, output: str
) -> None:
    """Secrets in connection, environment, prefix and path; the store refuses the planted identity, and says why."""
    planted = {name: f"planted-{name}-8c1f" for name in ("password", "extra", "environment", "path", "prefix")}
    connection = json.dumps(
        {
            "conn_type": "aws",
            "login": "PLANTEDACCESSKEY0123",
            "password": planted["password"],
            "extra": {"endpoint_url": store_endpoint(walk), "api_token": planted["extra"]},
        }
    )
    expected = {"path": f"s3://user:{planted['path']}@bucket/xcom", "connection": "s3://planted_conn@bucket/xcom"}[
        place
    ]
    run = preflight(
        walk,
        [
            "--via", shlex.join(["env", f"DATABASE_PASSWORD={planted['prefix']}"]), "--python", str(walk.python), "-v",
            "--expect-path", expected, "--expect-threshold", str(THRESHOLD), "--functional-s3", "--skip", "metadata",
            "-o", output,
        ],
        {"AIRFLOW_CONN_PLANTED_CONN": connection, "AWS_SECRET_ACCESS_KEY": planted["environment"]},
        journal,
    )  # fmt: skip
    assert run.returncode == 3, run.stderr
    said = run.stdout + run.stderr + journal.path.read_text()
    failed = {"path": "connection_id", "connection": "store_bucket"}[place]
    assert failed in said
    for name, secret in {**planted, "key id": "PLANTEDACCESSKEY0123"}.items():
        assert secret not in said, name


def store_endpoint(walk: Walk) -> str:
    assert walk.sandbox.store is not None and walk.sandbox.store.connection is not None
    return str(json.loads(walk.sandbox.store.connection["extra"])["endpoint_url"])
