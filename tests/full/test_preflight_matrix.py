"""A whole pre-flight of what is planned, on Airflow versions off the locks: every check runs, and none is taken in."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.resumable import ROOT, once
from xcomctl.model.phases import Phase
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.sandbox.deployment import Sandbox, Waiting

BUDGET_S = 1500
THRESHOLD = 20_000

#: Airflow's version, and the store.
CASES = {
    "2.9.3-s3": ("2.9.3", "s3"),
    "2.10.5-s3": ("2.10.5", "s3"),
    # 3.0's API server answers the sandbox's login with 500; a folder needs no connection, so no login.
    "3.0.6-file": ("3.0.6", "file"),
    "3.1.8-s3": ("3.1.8", "s3"),
    "3.3-file": ("3.3", "file"),
    "2.11-file": ("2.11", "file"),
}


class _Steps:
    @contextlib.contextmanager
    def step(self, id: str, title: str) -> Iterator[Waiting]:
        yield self

    def waiting(self, what: str) -> None:
        """Nobody watches."""


def environment_of(version: str, store: str) -> environments.Environment:
    locked = ROOT / ".venvs" / f"airflow-{version}"
    if locked.exists():
        return environments.existing(locked, store=store)
    return environments.build(version, python=None, requirements=None, store=store, waiting=lambda what: None)


@pytest.mark.parametrize("case", CASES)
def test_what_is_planned_passes(case: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    def run() -> dict[str, Any]:
        version, store = CASES[case]
        sandbox = Sandbox.create(environment_of(version, store), store)
        try:
            sandbox.start({}, {}, _Steps())
            assert sandbox.store is not None
            done = subprocess.run(
                [
                    sys.executable, "-m", "xcomctl", "preflight", "--python", str(sandbox.environment.python), "--planned",
                    "--phase", Phase.OFFLOAD.value, "--expect-path", sandbox.store.path, "--expect-threshold",
                    str(THRESHOLD), "--functional-s3", "-o", "json", "--journal", str(tmp_path / "journal.jsonl"),
                ],
                env=sandbox.airflow.environment(), capture_output=True, text=True,
            )  # fmt: skip
        finally:
            sandbox.stop()
        record = json.loads(done.stdout)
        problems = {check["id"]: check for check in record["checks"] if check["status"] != "ok"}
        # A schema that xcomctl was not tested with is said to be one, and read all the same.
        assert done.returncode == 0, [each for each in problems.values() if each["status"] in ("fail", "skip")]
        (context,) = record["contexts"]
        return {
            "airflow": context["airflow"],
            "common_io": context["providers"]["common.io"],
            "checks": len(record["checks"]),
            "warnings": {name: check["detail"].splitlines()[0] for name, check in problems.items()},
            "seconds": round(sum(check["duration_ms"] or 0 for check in record["checks"]) / 1000, 1),
        }

    measure(case, once("preflight-matrix", case, run))
