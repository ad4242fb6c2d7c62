"""``xcomctl preflight`` as it is typed: usage, selection, formats, contexts; and the runbook's script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.pythons import installed, version_of
from xcomctl.journal.local import LocalJournal

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "xcom_flip_preflight.py"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """No deployment and no journal of the person's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XCOMCTL_")}
    return {**kept, "XDG_STATE_HOME": str(tmp_path / "state")}


@pytest.fixture
def preflight(tmp_path: Path, environment: dict[str, str]):  # type: ignore[no-untyped-def]
    """Run the command in an empty folder."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "xcomctl", "preflight", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**environment, **variables},
        )

    return run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "nonsense"), "no check 'nonsense'"),
        (("--skip", "nonsense"), "no check 'nonsense'"),
        (("--only", "store"), "--functional-s3"),
        (("--expect-threshold", "1.6e+06"), "whole number of bytes"),
        (("--phase", "misconfigured"), "invalid choice"),
        (("--timeout", "0"), "number of seconds"),
        (("--via", "ssh 'host"), "No closing quotation"),
        (("--via", ""), "the command prefix is empty"),
        (("--api", "http://localhost"), "--api goes with --in-task"),
        (("-D", "prod", "--via", "docker exec x"), "leave out --via"),
        (("--list", "--output", "junit"), "--list gives text or json"),
        (("--only", "config_drift"), "compares contexts"),
        (("--output", "yaml"), "invalid choice"),
    ],
)
def test_usage_errors(preflight, arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    run = preflight(*arguments)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_list_needs_no_airflow(preflight) -> None:  # type: ignore[no-untyped-def]
    run = preflight("--list")
    assert run.returncode == 0, run.stderr
    for check_id in ("config_backend", "config_path", "config_threshold"):
        assert check_id in run.stdout
    listed = json.loads(preflight("--list", "--output", "json").stdout)
    assert {entry["asked_by"] for entry in listed["checks"]} == {"", "--functional-s3", "--in-task", "several contexts"}


def test_a_python_without_airflow_is_inconclusive_in_every_format(preflight, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    text = preflight("--journal", str(tmp_path / "journal.jsonl"))
    assert text.returncode == 5
    assert "there is no Airflow" in text.stdout
    assert "Pre-flight inconclusive (exit 5)" in text.stdout
    record = json.loads(preflight("--output", "json").stdout)
    assert (record["schema"], record["verdict"], record["exit_code"]) == ("xcomctl.preflight/1", "inconclusive", 5)
    suites = ElementTree.fromstring(preflight("--output", "junit").stdout)
    assert suites.find("testsuite/testcase/skipped") is not None
    (entry,) = LocalJournal(tmp_path / "journal.jsonl").entries()
    assert entry.action == "preflight"


def test_a_journal_that_cannot_be_written_does_not_hide_what_was_measured(preflight) -> None:  # type: ignore[no-untyped-def]
    run = preflight("--journal", "/proc/no-such-folder/journal.jsonl")
    assert run.returncode == 5
    assert "Pre-flight inconclusive" in run.stdout
    assert "warning: not recorded" in run.stderr


def test_dry_run_does_nothing(preflight, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run = preflight("--dry-run", "--functional-s3", "--via", "docker compose exec -T scheduler", "--via", "ssh worker")
    assert run.returncode == 0
    assert "docker compose exec -T scheduler; ssh worker" in run.stdout
    assert "--functional-s3" in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_deployment_gives_the_contexts(preflight, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "xcomctl.toml").write_text(
        "[deployments.dev]\njournal = 'dev.jsonl'\n"
        f"[[deployments.dev.contexts]]\nname = 'one'\npython = '{sys.executable}'\n"
        "[[deployments.dev.contexts]]\nname = 'two'\nvia = 'no-such-command-here'\n"
    )
    for run in (preflight("-D", "dev"), preflight(XCOMCTL_DEPLOYMENT="dev")):
        assert run.returncode == 5
        assert "one" in run.stdout and "no-such-command-here" in run.stdout
    assert len(list(LocalJournal(tmp_path / "dev.jsonl").entries())) == 2
    # Who names a context means that one, whatever the environment names.
    assert "no-such-command" not in preflight("--python", sys.executable, XCOMCTL_DEPLOYMENT="dev").stdout


def test_a_deployment_that_is_not_there(preflight) -> None:  # type: ignore[no-untyped-def]
    run = preflight("-D", "prod")
    assert run.returncode == 5
    assert "no deployment 'prod'" in run.stderr


def test_the_runbooks_script_is_the_command(environment: dict[str, str], tmp_path: Path) -> None:
    """Options as the runbook prints them, from any folder, without xcomctl being installed."""
    run = subprocess.run(
        [
            sys.executable, "-S", str(SCRIPT), "--conn-id", "aws", "--expect-backend", "a.B", "--expect-path",
            "s3://aws@bucket/xcom", "--expect-threshold", "1600000", "--functional-s3", "--dry-run",
        ],
        capture_output=True, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "would run the checks in: local" in run.stdout


@pytest.mark.parametrize("python", [each for each in installed() if (3, 6) <= version_of(each) < (3, 11)][:1])
def test_the_script_on_an_old_python_names_the_way_out(python: Path, environment: dict[str, str]) -> None:
    run = subprocess.run([str(python), str(SCRIPT)], capture_output=True, text=True, env=environment)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 1
    assert "--via" in run.stderr
