"""What a decision rests on, as the other commands print it: all of one deployment, one threshold, one base path, and fresh."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.preflight_samples import FINE, PATH, answer, check
from tests.unit.report import samples, size_samples
from xcomctl.model.fingerprint import fingerprint_of
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.plan import LATER, READY, PlannedStep, PlanReport
from xcomctl.model.preflight import ContextReport, PreflightOptions, PreflightReport
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.model.verdicts import Check, Status

THRESHOLD = 1_600_000
NAME = "prod"
_CONTEXTS = {
    "scheduler": {
        "phase": "inline", "airflow": "3.3.2", "common_io": "1.11.0",
        "settings": {"path": {"value": PATH, "source": "airflow.cfg", "error": None}},
    }
}  # fmt: skip


def ago(**span: float) -> str:
    """The moment so long ago, ISO 8601."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def size(at: str | None = None, **changes: Any) -> dict[str, Any]:
    """What ``xcomctl size -o json`` prints, on 3.x with every threshold measured exactly."""
    typical = size_samples.typical()
    answer = replace(typical.answer, airflow="3.3.2", line="3", exact=False)
    whole = {"at": at or ago(hours=1), "deployment": NAME, "answer": answer, **changes}
    return replace(typical, **whole).to_json()


def preflight(*checks: Check, at: str | None = None, threshold: int = THRESHOLD, path: str = PATH, **options: Any) -> dict[str, Any]:  # fmt: skip
    """What ``xcomctl preflight -o json`` prints."""
    asked = PreflightOptions(functional=True, planned=True, phase="offload", expect_threshold=threshold)
    context = ContextReport("scheduler", (FINE, *checks), answer(threshold=threshold, path=path))
    return PreflightReport(
        replace(asked, **options),
        (context,),
        at=at or ago(hours=2),
        versions={"airflow": "3.3.2", "common_io": "1.11.0"},
    ).to_json()


def rehearsal(
    at: str | None = None, threshold: int = THRESHOLD, airflow: str = "3.3.2", codec: str | None = None, **changes: Any
) -> dict[str, Any]:
    """A rehearsal's ``report.json``."""
    ended = at or ago(hours=3)
    made = fingerprint_of(OBJECT_STORAGE_BACKEND, "s3://store@xcom/xcom", threshold, codec, airflow, "1.11.0")
    ways = (
        StrategyResult("runbook", 1, 14, 57.1, 7, 12_055_388, 0),
        StrategyResult("soft", 0, 0, 0.0, 7, 12_055_388, 12_055_388, 2.4),
    )
    whole = {"fingerprint": made.to_json(), "scenarios": ("runbook", "soft"), "strategies": ways, **changes}
    return replace(samples.passed(), started=ended, finished=ended, **whole).to_json()


def plan(*, up: bool, at: str | None = None, deployment: str | None = NAME, gate: Check | None = None, threshold: int = THRESHOLD) -> dict[str, Any]:  # fmt: skip
    """What ``xcomctl plan -o json`` prints."""
    gates = (gate or check("gate_barrier", Status.OK, "nothing is left"),)
    flip = f"xcomctl flip --to offload --threshold {threshold} -D prod"
    ways = (
        (("inline", "dual-read", "up"), ("dual-read", "offload", "up")) if up else (("offload", "dual-read", "down"),)
    )
    steps = tuple(
        PlannedStep(start, target, way, READY if not index else LATER, "resolve references", gates if not index else (), (flip, "# deploy"))
        for index, (start, target, way) in enumerate(ways)
    )  # fmt: skip
    target = "offload" if up else "inline"
    observed = {"contexts": _CONTEXTS}
    return PlanReport(
        at or ago(hours=1), deployment, ways[0][0], target, "every context agrees", observed, steps
    ).to_json()
