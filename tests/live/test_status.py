"""``xcomctl status`` on the walk: one screen as the fleet stands, and the rows that turn when something is wrong."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Done, together, unreachable, xcomctl
from tests.support.preflight import offload
from tests.support.walk import SIZES, THRESHOLD, Walk
from xcomctl.model.phases import BASE_XCOM
from xcomctl.model.settings import BACKEND, PATH
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN

OFFLOADED = [size for size in SIZES if size >= THRESHOLD]
SIGNALS = ["signal_xcom_errors", "signal_path_string", "signal_settings", "signal_control_flow"]


def with_a_run_in_flight(walk: Walk) -> tuple[Done, Done]:
    """As it stands, and as a context would see it that was reverted under the run."""
    fine = xcomctl(walk, "status", "-o", "json")
    environment = {**walk.sandbox.airflow.environment(), BACKEND.env: BASE_XCOM}
    return fine, xcomctl(walk, "status", "-o", "json", variables=environment)


VISITS = {"in_flight": (with_a_run_in_flight,)}


@pytest.fixture(scope="module")
def screens(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """After the walk, under several circumstances."""
    folder = tmp_path_factory.mktemp("status")

    def status(name: str, *arguments: str, **variables: str) -> Callable[[], Done]:
        journal = folder / f"{name}.jsonl"
        return lambda: xcomctl(
            walk, "status", *arguments, variables=offload(walk, **variables), journal=journal
        ).orderly()

    found = together(
        {
            "unscanned": status("unscanned", "-o", "json"),
            "full": status("full", "--full", "-o", "json"),
            "dotted": status("dotted", **{PATH.env: "", "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH": walk.base_path}),
            "unreachable": status("unreachable", "-o", "json", **unreachable(walk)),
        }
    )
    assert not (folder / "unscanned.jsonl").exists()
    found["journal"] = Done(0, (folder / "full.jsonl").read_text(), "")
    return {**found, **together({"text": status("full"), "strict": status("full", "--fail-on-warn")})}


def status_of(done: Done) -> dict[str, str]:
    return {each["id"]: each["status"] for each in done.record["checks"]}


def test_the_run_in_flight_is_at_risk_and_nothing_is_wrong(walk: Walk) -> None:
    fine, _ = walk.seen(with_a_run_in_flight)
    assert fine.orderly().code == 0, fine.out
    (context,) = fine.record["contexts"]
    database = context["database"]
    # Runs of other tests' visits may be in flight as well.
    assert {run["run_id"]: run["references"] for run in database["at_risk"]}[IN_FLIGHT_RUN] == len(OFFLOADED)
    assert database["references"] >= len(OFFLOADED) and database["unfinished_runs"] >= database["at_risk_runs"] >= 1
    assert IN_FLIGHT_RUN in fine.check("at_risk")["detail"]
    assert context["store"]["reachable"] is True and context["store"]["latency_ms"] > 0
    assert context["resolution"]["phase"] == "offload"
    assert [each["id"] for each in fine.record["checks"] if each["category"] == "signals"] == SIGNALS
    for check_id in SIGNALS:
        assert "xcomctl " in fine.check(check_id)["detail"] or "python scripts/" in fine.check(check_id)["detail"]


def test_a_revert_under_a_run_in_flight_is_to_be_acted_on_now(walk: Walk) -> None:
    _, reverted = walk.seen(with_a_run_in_flight)
    assert reverted.orderly().code == 3
    assert reverted.check("phase")["status"] == reverted.check("signal_path_string")["status"] == "fail"
    (step,) = reverted.record["next_steps"]
    assert f"set {BACKEND.env}=" in step and "deploy" in step


def test_a_full_scan_is_recorded_and_shown_with_its_age(screens: dict[str, Done]) -> None:
    before, after = screens["unscanned"], screens["full"]
    assert (before.check("last_scan")["status"], before.check("last_rehearsal")["status"]) == ("warn", "warn")
    assert after.check("last_scan")["status"] == "ok"
    assert f"{len(OFFLOADED)} references, 0 dangling" in after.check("last_scan")["detail"]
    (entry,) = screens["journal"].lines
    assert entry["action"] == "scan"
    assert "last_scan" in screens["text"].out and "→ xcomctl probe" in screens["text"].out
    assert (screens["text"].code, screens["strict"].code) == (0, 4)


def test_a_dotted_variable_is_a_kill_switch(screens: dict[str, Done]) -> None:
    done = screens["dotted"]
    assert done.code == 3
    assert "KILL-SWITCH" in done.out and "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH is not read" in done.out
    assert f"→ set {PATH.env}=" in done.out


def test_a_store_that_does_not_answer(screens: dict[str, Done]) -> None:
    done = screens["unreachable"]
    assert done.code == 3
    assert done.check("store")["status"] == "fail"
    assert done.check("phase")["status"] == "ok"
    # No reason for inline: under dual-read small values go on, and reads fail loud.
    (step,) = done.record["next_steps"]
    assert 'XCOM_OBJECTSTORAGE_THRESHOLD="-1"' in step and "BaseXCom" not in step


@pytest.mark.first_line_only
def test_contexts_that_differ_and_one_that_is_silent(walk: Walk, tmp_path: Path) -> None:
    settings = offload(walk)
    others = {**settings, "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "30000"}
    python = json.dumps(str(walk.python))
    (tmp_path / "xcomctl.toml").write_text(
        "".join(
            f"[[deployments.dev.contexts]]\nname = {json.dumps(name)}\nvia = {json.dumps(via)}\npython = {python}\n"
            for name, via in {
                "scheduler": shlex.join(["env", *(f"{key}={value}" for key, value in settings.items())]),
                "worker": shlex.join(["env", *(f"{key}={value}" for key, value in others.items())]),
                "triggerer": "false",
            }.items()
        )
        + f"[deployments.dev.settings]\npath = {json.dumps(walk.base_path)}\nthreshold = {THRESHOLD}\n"
    )
    arguments = ("--config", str(tmp_path / "xcomctl.toml"), "-D", "dev", "-o", "json")
    done = xcomctl(walk, "status", *arguments, variables={}, journal=tmp_path / "journal.jsonl").orderly()
    assert done.code == 3
    assert [context["name"] for context in done.record["contexts"]] == ["scheduler", "worker", "triggerer"]
    assert done.check("drift")["status"] == "fail" and "30000 in worker" in done.check("drift")["detail"]
    assert done.check("signal_settings")["status"] == "fail"
    phases = {
        each["detail"].partition(":")[0]: each["status"] for each in done.record["checks"] if each["id"] == "phase"
    }
    assert phases["triggerer"] == "skip"
    assert done.record["deployment"] == "dev"


@pytest.mark.first_line_only
def test_watch_goes_on_until_it_is_interrupted(walk: Walk) -> None:
    command = [sys.executable, "-m", "xcomctl", "status", "--watch", "0.5", "-o", "json", "--python", str(walk.python)]
    environment = {**walk.env, **offload(walk), "XDG_STATE_HOME": str(walk.sandbox.folder)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        rounds = [json.loads(process.stdout.readline()) for _ in range(2)]
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
        errors = process.stderr.read()
    assert rounds[0]["schema"] == "xcomctl.status/1" and rounds[0]["at"] < rounds[1]["at"]
    assert "Traceback" not in errors


@pytest.mark.first_line_only
def test_no_secret_is_shown(walk: Walk, tmp_path: Path) -> None:
    assert walk.sandbox.database is not None and walk.sandbox.store is not None and walk.sandbox.store.connection
    secrets = [walk.sandbox.database.password, walk.sandbox.store.connection["password"], walk.sandbox.airflow.password]
    journal = tmp_path / "journal.jsonl"
    commands = (
        ("status", "--full", "-v"),
        ("refs", "-o", "json", "-v"),
        ("verify", "-v"),
        ("probe", "-v", "--only", "data"),
    )
    done = together(
        {
            command[0]: (lambda command=command: xcomctl(walk, *command, variables=offload(walk), journal=journal))
            for command in commands
        }
    )
    for name, each in done.items():
        assert not [secret for secret in secrets if secret in each.out + each.err], name
    assert not [secret for secret in secrets if secret in journal.read_text()]
