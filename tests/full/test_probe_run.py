"""The probe through two real runs of each line, so that one pulls from the other with ``include_prior_dates``."""

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
from xcomctl.deployment import dag_files
from xcomctl.model.phases import Phase
from xcomctl.model.probe import DAG_ID
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.sandbox.deployment import Sandbox, Waiting

BUDGET_S = 600
STEPS = {
    "another task",
    "mapped task",
    "map input",
    "resumed by a trigger",
    "pushed once resumed",
    "prior dates",
    "above the threshold",
}
#: The named defects that real tasks meet on each line.
DEFECTS = {"2.11": {"F4", "F2"}, "3.3": {"F5", "F38", "F2"}}


class _Steps:
    @contextlib.contextmanager
    def step(self, id: str, title: str) -> Iterator[Waiting]:
        yield self

    def waiting(self, what: str) -> None:
        """Nobody watches."""


@pytest.mark.parametrize("line", DEFECTS)
def test_every_step_of_a_real_run_meets_the_named_defects_alone(
    line: str, tmp_path: Path, measure: Callable[[str, Any], None]
) -> None:
    def run() -> dict[str, Any]:
        sandbox = Sandbox.create(environments.existing(ROOT / ".venvs" / f"airflow-{line}", store="s3"), "s3")
        try:
            sandbox.start({}, {f"{DAG_ID}.py": dag_files.content(DAG_ID).decode()}, _Steps())
            assert sandbox.store is not None
            sandbox.redeploy(settings_for(Phase.OFFLOAD, sandbox.store.path, 20_000), lambda what: None)
            done = subprocess.run(
                [sys.executable, "-m", "xcomctl", "probe", "--run", "-o", "json", "--python", str(sandbox.environment.python),
                 "--journal", str(tmp_path / "journal.jsonl")],
                env=sandbox.airflow.environment(), capture_output=True, text=True,
            )  # fmt: skip
        finally:
            sandbox.stop()
        (context,) = json.loads(done.stdout)["contexts"]
        found = context["run"]
        assert (found["unmeasured"], found["prior"]) == ([], True), found
        assert {name.partition("/")[2] for name, count in found["counts"].items() if count} == STEPS
        assert {each["defect"] for each in found["differences"]} == DEFECTS[line]
        per_step: dict[str, int] = {}
        for each in found["differences"]:
            per_step[each["step"]] = per_step.get(each["step"], 0) + 1
        return {"counts": found["counts"], "differences": per_step, "notes": found["notes"]}

    measure(line, once("probe-run", line, run))
