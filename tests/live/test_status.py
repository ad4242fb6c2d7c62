"""``xcomctl status`` on the walk: one screen as the fleet stands, and the rows that turn when something is wrong."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Done, api_options, together, unreachable, xcomctl
from tests.support.preflight import offload
from tests.support.visits import beside
from tests.support.walk import KEPT, OFFLOADED, THRESHOLD, Walk
from xcomctl.model.phases import BASE_XCOM
from xcomctl.model.settings import BACKEND, PATH
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN

SIGNALS = ["signal_xcom_errors", "signal_path_string", "signal_settings", "signal_control_flow"]


def with_a_run_in_flight(walk: Walk) -> dict[str, Done]:
    """As it stands, and as a context would see it whose settings were changed under the run."""
    variables = {
        "fine": None,
        "reverted": {**walk.sandbox.airflow.environment(), BACKEND.env: BASE_XCOM},
        "rolled back": {},
        "moved": offload(walk, **{PATH.env: f"{walk.base_path}-v2"}),
    }
    return together(
        {
            name: (
                lambda name=name, values=values: xcomctl(
                    walk, "status", "-o", "json", variables=values, fresh=name == "moved"
                ).orderly()
            )
            for name, values in variables.items()
        }
    )


@beside
def after_the_break(walk: Walk) -> Done:
    """Reverted, and a consumer has failed on what it got; its log is to be had through the API."""
    options, login = api_options(walk)
    return xcomctl(
        walk, "status", *options, "--python", str(walk.python), "-o", "json",
        variables={**walk.sandbox.airflow.environment(), **login},
    ).orderly()  # fmt: skip


VISITS = {"in_flight": (with_a_run_in_flight,), "break": (after_the_break,)}


@pytest.fixture(scope="module")
def screens(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """After the walk, under several circumstances."""
    folder = tmp_path_factory.mktemp("status")

    def status(name: str, *arguments: str, fresh: bool = False, **variables: str) -> Callable[[], Done]:
        journal = folder / f"{name}.jsonl"
        return lambda: xcomctl(
            walk, "status", *arguments, variables=offload(walk, **variables), journal=journal, fresh=fresh
        ).orderly()

    found = together(
        {
            "unscanned": status("unscanned", "-o", "json", fresh=True),
            "full": status("full", "--full", "-o", "json"),
            "dotted": status(
                "dotted",
                fresh=True,
                **{PATH.env: "", "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH": walk.base_path},
            ),
            "unreachable": status("unreachable", "-o", "json", **unreachable(walk)),
            "no bucket": status("no bucket", "-o", "json", fresh=True, **{PATH.env: no_bucket(walk)}),
        }
    )
    assert not (folder / "unscanned.jsonl").exists()
    found["journal"] = Done(0, (folder / "full.jsonl").read_text(), "")
    return {**found, **together({"text": status("full"), "strict": status("full", "--fail-on-warn")})}


def no_bucket(walk: Walk) -> str:
    """The base path with a typing error in its bucket."""
    head, _, tail = walk.base_path.rpartition("/")
    return f"{head}x/{tail}"


def test_the_run_in_flight_is_at_risk_and_nothing_is_wrong(walk: Walk) -> None:
    fine = walk.seen(with_a_run_in_flight)["fine"]
    assert fine.code == 0, fine.out
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
        assert fine.check(check_id)["data"]["command"].startswith(("xcomctl ", "python scripts/"))
    # What runs is asked too, where its environment can be read.
    assert context["processes"] > 0 and not [each for each in context["running"] if each["phase"] is not None]


def test_a_revert_under_a_run_in_flight_is_to_be_acted_on_now(walk: Walk) -> None:
    reverted = walk.seen(with_a_run_in_flight)["reverted"]
    assert reverted.code == 3
    assert reverted.check("phase")["status"] == reverted.check("signal_path_string")["status"] == "fail"
    (step,) = reverted.record["next_steps"]
    assert f"set {BACKEND.env}=" in step and "deploy" in step


@pytest.mark.parametrize("name", ["rolled back", "moved"])
def test_references_under_a_path_that_nobody_resolves_any_more(walk: Walk, name: str) -> None:
    """With the variables gone there is no base path to know them by; that the backend wrote them is told by their tails."""
    done = walk.seen(with_a_run_in_flight)[name]
    assert done.code == 3
    assert done.check("phase")["status"] == done.check("signal_path_string")["status"] == "fail"
    (context,) = done.record["contexts"]
    held = {each["base_path"]: each["references"] for each in context["database"]["elsewhere"]}
    assert held[walk.base_path] >= len(OFFLOADED)
    (step,) = done.record["next_steps"]
    assert f"{PATH.env}={walk.base_path} and" in step
    # The processes still run with what they were started with.
    assert done.check("running")["status"] == "warn" and "offload" in done.check("running")["detail"]


def test_what_failed_after_a_push_is_told_by_its_error(walk: Walk) -> None:
    done = walk.seen(after_the_break)
    failed = done.check("failed_after_push")
    assert failed["status"] == done.check("signal_xcom_errors")["status"] == "warn"
    assert re.search(r"\d+ × ValueError: map indexes", failed["detail"]), failed["detail"]
    assert IN_FLIGHT_RUN in {each["run_id"] for each in failed["data"]["failed"]}


def test_a_full_scan_is_recorded_and_shown_with_its_age(screens: dict[str, Done]) -> None:
    before, after = screens["unscanned"], screens["full"]
    assert (before.check("last_scan")["status"], before.check("last_rehearsal")["status"]) == ("warn", "warn")
    assert after.check("last_scan")["status"] == "ok"
    assert f"{len(KEPT)} references, 0 dangling" in after.check("last_scan")["detail"]
    (entry,) = screens["journal"].lines
    assert entry["action"] == "scan"
    assert "last_scan" in screens["text"].out and "→ xcomctl probe" in screens["text"].out
    assert (screens["text"].code, screens["strict"].code) == (0, 4)


def test_a_dotted_variable_is_a_kill_switch(screens: dict[str, Done]) -> None:
    done = screens["dotted"]
    assert done.code == 3
    assert "KILL-SWITCH" in done.out and "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH is not read" in done.out
    assert "→ xcomctl killswitch --carrier FILE " in done.out and f"# or set {PATH.env}=" in done.out


def test_a_store_that_does_not_answer(screens: dict[str, Done]) -> None:
    done = screens["unreachable"]
    assert done.code == 3
    assert done.check("store")["status"] == "fail"
    assert done.check("phase")["status"] == "ok"
    # No reason for inline: under dual-read small values go on, and reads fail loud.
    (step,) = done.record["next_steps"]
    assert 'XCOM_OBJECTSTORAGE_THRESHOLD="-1"' in step and "BaseXCom" not in step


def test_a_bucket_that_is_not_there(screens: dict[str, Done]) -> None:
    """The store answers, and the first large value would try to create it."""
    done = screens["no bucket"]
    assert done.code == 3
    assert "there is no bucket" in done.check("store")["detail"]


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
