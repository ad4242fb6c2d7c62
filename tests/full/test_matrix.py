"""Whole rehearsals, at the size that users run: the locked lines, a version off the locks per line, both stores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.resumable import ROOT, once

BUDGET_S = 1500

CASES = {
    "3.3-s3": ["--env", ".venvs/airflow-3.3"],
    "2.11-s3": ["--env", ".venvs/airflow-2.11"],
    "3.3-file": ["--env", ".venvs/airflow-3.3", "--store", "file"],
    "2.11-file": ["--env", ".venvs/airflow-2.11", "--store", "file"],
    "3.1.8-s3": ["--airflow", "3.1.8"],
    "2.10.5-s3": ["--airflow", "2.10.5"],
}

#: What a gate asks for; `make test-full PART=rehearsal` plays the rest.
ONLY = ("--only", "runbook", "--only", "soft")


@pytest.mark.parametrize("case", CASES)
def test_a_whole_rehearsal_passes(case: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    def run() -> dict[str, Any]:
        out = tmp_path / "report"
        done = subprocess.run(
            [sys.executable, "-m", "xcomctl", "rehearse", *CASES[case], *ONLY, "--out", str(out)],
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
            capture_output=True,
            text=True,
        )
        report = json.loads((out / "report.json").read_text())
        assert done.returncode == 0, (report["failure"], done.stderr[-3000:])
        return {
            "airflow": report["versions"]["airflow"],
            "common_io": report["versions"]["apache-airflow-providers-common-io"],
            "seconds": round(max(step["end_s"] for step in report["steps"]), 1),
            "restarts_s": report["restarts_s"],
            "peak_memory_bytes": report["peak_memory_bytes"],
            "strategies": report["strategies"],
        }

    measure(case, once("matrix", case, run))
