"""Lines and tools crossed: pods of 2.11 by the newer kubectl and helm, those of 3.3 by the older ones. `make test` pairs them
the other way round."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.kube import binaries
from tests.support.kube.production import TOOLS
from tests.support.resumable import ROOT, once

BUDGET_S = 1500
CASES = {"2.11-newer": ("2.11", binaries.NEWER), "3.3-older": ("3.3", binaries.OLDER)}
FILES = ("tests/live/test_kubernetes.py", "tests/live/test_runbook.py")


@pytest.mark.parametrize("case", CASES)
def test_the_other_tools_do_the_same(case: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    line, tools = CASES[case]

    def run() -> dict[str, Any]:
        counts = tmp_path / "counts.json"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *FILES, f"--airflow={line}", f"--counts={counts}"],
            cwd=ROOT,
            env={**os.environ, TOOLS: tools},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-5000:]
        found = json.loads(counts.read_text())
        return {"passed": found["passed"], "seconds": {name: round(spent, 1) for name, spent in found["spent"].items()}}

    measure(case, once("matrix-kubernetes", case, run))
