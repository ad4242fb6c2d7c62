"""Realistic rehearsal reports: passed, failed at a step, interrupted, inconclusive, and one full of hostile text."""

from __future__ import annotations

from dataclasses import replace

from xcomctl.model.rehearsal import Failure, RehearsalReport, Span, Step, StrategyResult
from xcomctl.model.verdicts import Check, Status, Verdict

BASE = "s3://xcom_store@xcom/xcom"
RECEIVED = f"{BASE}/diagnostic__s42/rehearsal_in_flight/discriminate_cell/5b0c1a7e-9a04-4f0e-9a53-3a1f0f1f4c1d.json"
HOSTILE = "<script>alert(1)</script> & \"q\" 'a' | `b` [x](javascript:y) \x1b[31mred \u202egnp"

_VERSIONS = {
    "xcomctl": "0.1.0", "airflow": "3.3.0", "apache-airflow-providers-common-io": "1.7.0", "python": "3.12.8",
    "postgresql": "18.1", "seaweedfs": "4.07",
}  # fmt: skip
_SETTINGS = {
    "xcom_backend": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
    "xcom_objectstorage_path": BASE,
    "xcom_objectstorage_threshold": 1_600_000,
    "xcom_objectstorage_compression": None,
}
_FINGERPRINT = {"digest": "sha256:4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce", "line": "3.x"}

_STEPS = (
    Step(
        "sandbox", "Start PostgreSQL, the object store and Airflow", Status.OK, 0, 47.2, "api-server on 127.0.0.1:40413"
    ),
    Step("inline_run", "A run under inline", Status.OK, 47.2, 74.9, scenario="runbook"),
    Step("flip_offload", "Flip to offload: edit the carrier, restart", Status.OK, 74.9, 93.1),
    Step("offload_run", "A run under offload; another held in flight", Status.OK, 93.1, 139.6),
    Step("revert", "Bare revert to inline under the run in flight", Status.OK, 139.6, 156.8, scenario="runbook"),
    Step("release", "Release the hold and see what the consumer gets", Status.OK, 156.8, 171.4, scenario="runbook"),
    Step(
        "retrigger",
        "Clear the affected run so that its producers run again",
        Status.OK,
        171.4,
        214.7,
        scenario="runbook",
    ),
    Step("left_behind", "List what is left behind", Status.OK, 214.7, 216.3, scenario="runbook"),
)
_CHECKS = (
    Check("inline_run_green", "inline_run", "A run is green", Status.OK, "15 tasks succeeded"),
    Check("inline_store_empty", "inline_run", "Nothing in the store", Status.OK, "0 objects"),
    Check("offload_phase", "offload", "Every process resolves offload", Status.OK, "4 of 4 contexts"),
    Check(
        "offload_exact_values", "offload", "Exactly the large values are in the store", Status.OK,
        "7 values at or above 1,600,000 bytes, 7 objects, 12.1 MB; 9 values inline",
    ),
    Check("offload_values_equal", "offload", "What was pulled is what was pushed", Status.OK, "16 of 16 digests equal"),
    Check("revert_phase", "revert", "Every process resolves inline again", Status.OK, "4 of 4 contexts"),
    Check(
        "break_path_string", "revert", "The consumer gets the path string", Status.OK,
        "a str under the base path instead of a dict, task state success", "", 14600.0,
        {"received": RECEIVED, "task_state": "success", "task_id": "consume"},
    ),
    Check("heal_values_equal", "retrigger", "Healed: values verified", Status.OK, "16 of 16 digests equal"),
    Check(
        "orphans_listed", "left_behind", "Objects that nothing names", Status.WARN, "7 objects, 12.1 MB",
        "add a lifecycle rule for the prefix xcom/ to the bucket",
    ),
)  # fmt: skip
_TIMELINE = (
    Span("sandbox", "start", 0, 47.2),
    Span("phase", "inline", 47.2, 74.9),
    Span("phase", "offload", 93.1, 139.6),
    Span("phase", "inline (bare revert)", 156.8, 214.7),
    Span("restart", "to offload", 74.9, 93.1),
    Span("restart", "to inline", 139.6, 156.8),
    Span("run", "rehearsal_inline", 49.0, 74.0),
    Span("run", "rehearsal_offload", 94.2, 126.4),
    Span("run", "rehearsal_in_flight", 110.0, 213.9),
    Span("broken", "broken: 57 s", 156.8, 213.9),
    Span("sandbox", "stop", 216.3, 221.0),
)
_STRATEGIES = (
    StrategyResult("Bare revert + re-trigger (runbook)", 1, 14, 57.1, 7, 12_055_388, 0),
    StrategyResult("Down to dual-read, rehydrate", 0, 0, 0.0, 7, 12_055_388, 12_055_388, 2.4),
    StrategyResult("Hard kill-switch", 0, 14, None, None, None, None),
)


def passed() -> RehearsalReport:
    """Everything was observed."""
    orphans = tuple(
        {"path": f"{BASE}/diagnostic__s42/rehearsal_in_flight/discriminate_cell/{index:08x}-9a04-4f0e-9a53-3a1f0f1f4c1d.json",
         "size": size}
        for index, size in enumerate((1_600_000, 1_604_388, 1_900_000, 1_700_000, 1_650_000, 1_601_000, 2_000_000))
    )  # fmt: skip
    return RehearsalReport(
        verdict=Verdict.OK, started="2026-06-05T22:14:03+00:00", finished="2026-06-05T22:17:44+00:00",
        versions=_VERSIONS, settings=_SETTINGS, fingerprint=_FINGERPRINT, steps=_STEPS, checks=_CHECKS,
        timeline=_TIMELINE, planned=("runbook",), scenarios=("runbook",), strategies=_STRATEGIES, orphans=orphans, stranded=3, restarts_s=(18.2, 17.2),
        peak_memory_bytes=3_328_599_654,
        next_steps=("xcomctl journal show", "xcomctl -D staging preflight", "xcomctl -D staging plan --to dual-read"),
    )  # fmt: skip


def failed() -> RehearsalReport:
    """A process did not come back after the flip."""
    return replace(
        passed(),
        verdict=Verdict.FAILED, finished="2026-06-05T22:17:18+00:00",
        steps=(*_STEPS[:2], replace(_STEPS[2], status=Status.FAIL, end_s=194.9, detail="scheduler: exit status 1")),
        checks=(
            *_CHECKS[:2],
            Check(
                "offload_phase", "offload", "Every process resolves offload", Status.FAIL,
                "scheduler: misconfigured, the threshold is not set",
                "write AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD (underscore, no dot)",
            ),
            Check("break_path_string", "revert", "The consumer gets the path string", Status.SKIP, "not reached"),
        ),
        timeline=(*_TIMELINE[:2], Span("restart", "to offload", 74.9, 194.9), _TIMELINE[6]),
        scenarios=(), strategies=(), orphans=(), stranded=None, restarts_s=(), next_steps=("make rehearse",),
        failure=Failure(
            "flip_offload", "the scheduler gave no heartbeat within 120 s after the restart",
            "See the log lines; the sandbox's full logs are in rehearsal-20260605-221403/logs.",
            (
                "[2026-06-05T22:15:31] ERROR - Exception when importing 'airflow.providers.common.io.xcom.backend'",
                "airflow.exceptions.AirflowConfigException: section/key [common.io/xcom_objectstorage_path] not found",
                "[2026-06-05T22:15:31] INFO - Exited execute loop",
            ),
        ),
    )  # fmt: skip


def interrupted() -> RehearsalReport:
    """Ctrl-C while a run was waited for: a partial record."""
    return replace(
        passed(),
        verdict=Verdict.INTERRUPTED, finished="2026-06-05T22:15:41+00:00", stopped_at="offload_run",
        steps=(*_STEPS[:3], replace(_STEPS[3], status=Status.SKIP, end_s=98.0, detail="interrupted")),
        checks=_CHECKS[:3], timeline=(*_TIMELINE[:2], _TIMELINE[4], Span("phase", "offload", 93.1, 98.0)),
        scenarios=(), strategies=(), orphans=(), stranded=None, restarts_s=(18.2,), peak_memory_bytes=None, next_steps=(),
    )  # fmt: skip


def inconclusive() -> RehearsalReport:
    """The object store died half-way: nothing was proven either way."""
    return replace(
        passed(),
        verdict=Verdict.INCONCLUSIVE, finished="2026-06-05T22:14:21+00:00",
        steps=(Step("sandbox", "Start PostgreSQL, the object store and Airflow", Status.FAIL, 0, 18.0),),
        checks=(Check("store_answers", "sandbox", "The store answers", Status.SKIP, "the S3 server ended by itself"),),
        timeline=(), scenarios=(), strategies=(), orphans=(), stranded=None, restarts_s=(), peak_memory_bytes=None, next_steps=(),
        failure=Failure("sandbox", "the S3 server ended by itself (exit status 137): is there memory enough?"),
    )  # fmt: skip


def hostile() -> RehearsalReport:
    """Every text that may come from outside tries to become markup, or to drive the terminal."""
    return RehearsalReport(
        verdict=Verdict.FAILED, started=HOSTILE, finished=HOSTILE, versions={HOSTILE: HOSTILE},
        settings={HOSTILE: {HOSTILE: [HOSTILE]}}, fingerprint={HOSTILE: HOSTILE},
        steps=(Step(HOSTILE, HOSTILE, Status.FAIL, 0, 1, HOSTILE),),
        checks=(
            Check(HOSTILE, HOSTILE, HOSTILE, Status.FAIL, HOSTILE, HOSTILE),
            Check("break_path_string", HOSTILE, HOSTILE, Status.OK, HOSTILE, "", None,
                  {"received": HOSTILE, "task_state": HOSTILE, "task_id": HOSTILE}),
        ),
        timeline=(Span(HOSTILE, HOSTILE, 0, 1), Span("broken", HOSTILE, 0.5, float("nan")), Span("run", HOSTILE, 9, 3)),
        planned=(HOSTILE,), scenarios=(HOSTILE,), strategies=(StrategyResult(HOSTILE, 1, 1, 1.0, 1, 1, 1),),
        orphans=({"path": HOSTILE, "size": None}, {}), stranded=1,
        failure=Failure(HOSTILE, HOSTILE, HOSTILE, (HOSTILE, "```")), next_steps=(HOSTILE,), stopped_at=HOSTILE,
        extra={HOSTILE: HOSTILE},
    )  # fmt: skip


ALL = {"passed": passed, "failed": failed, "interrupted": interrupted, "inconclusive": inconclusive}
