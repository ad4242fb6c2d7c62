"""The whole rehearsal, every scenario, at the size that users run, on both lines: what each way down costs."""

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
from xcomctl.model.rehearsal import SCENARIOS

BUDGET_S = 1300


@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_every_scenario_is_played_and_observed(line: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    def run() -> dict[str, Any]:
        out = tmp_path / "report"
        done = subprocess.run(
            [sys.executable, "-m", "xcomctl", "rehearse", "--env", f".venvs/airflow-{line}", "--out", str(out)],
            cwd=ROOT,
            env={**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")},
            capture_output=True,
            text=True,
        )
        report = json.loads((out / "report.json").read_text())
        assert done.returncode == 0, (report["failure"], done.stderr[-3000:])
        assert set(report["scenarios"]) == set(SCENARIOS)
        ways = {each["name"]: each for each in report["strategies"]}
        assert (ways["soft"]["tasks_broken"], ways["soft"]["tasks_rerun"]) == (0, 0)
        assert ways["hard"]["tasks_broken"] == 0
        assert ways["hard"]["tasks_rerun"] < ways["runbook"]["tasks_rerun"]
        return {
            "airflow": report["versions"]["airflow"],
            "common_io": report["versions"]["apache-airflow-providers-common-io"],
            "seconds": round(max(step["end_s"] for step in report["steps"]), 1),
            "restarts_s": report["restarts_s"],
            "peak_memory_bytes": report["peak_memory_bytes"],
            "strategies": report["strategies"],
            "observations": len(report["checks"]),
        }

    measure(line, once("rehearsal", line, run))
