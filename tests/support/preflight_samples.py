"""Contexts and pre-flights as the desk gets them, for what only shows or compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.preflight import (
    CONFIG,
    CONTEXT,
    STORE,
    ContextReport,
    PreflightAnswer,
    PreflightOptions,
    PreflightReport,
)
from xcomctl.model.settings import SETTINGS
from xcomctl.model.verdicts import Check, Status

PATH = "s3://aws_default@artifacts/xcom"
OFFLOAD: Mapping[str, Any] = {
    "backend": OBJECT_STORAGE_BACKEND,
    "path": PATH,
    "threshold": 1_600_000,
    "compression": "",
}


def answer(airflow: str = "3.3.2", errors: Mapping[str, str] | None = None, **settings: Any) -> PreflightAnswer:
    """What a context in ``offload`` is, but for what is given."""
    values = {**OFFLOAD, **settings}
    return PreflightAnswer(
        airflow=airflow,
        line=airflow[0],
        python="3.12.7",
        hostname="pod-1",
        providers={"common.io": "1.11.0"},
        settings={
            setting.name: {
                "value": values[setting.name],
                "source": setting.env,
                "error": (errors or {}).get(setting.name),
            }
            for setting in SETTINGS
        },
        phase="offload",
        target={**values, "threshold_raw": str(values["threshold"])},
    )


def check(check_id: str, status: Status, detail: str, hint: str = "", category: str = CONFIG) -> Check:
    """One outcome."""
    return Check(check_id, category, f"{check_id} is as it should be", status, detail, hint, 12.5, {"n": 1})


FINE = check("config_backend", Status.OK, f"resolved {OBJECT_STORAGE_BACKEND} from AIRFLOW__CORE__XCOM_BACKEND")
WRONG_PATH = check(
    "config_path",
    Status.FAIL,
    f"expected {PATH}, resolved nothing: provider default",
    f"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH={PATH}",
)
NO_RULE = check("store_lifecycle", Status.WARN, "no lifecycle rule on the prefix", "aws s3api …", STORE)
UNMEASURED = check("store_put", Status.SKIP, "needs store_bucket, which failed", "aws s3 mb s3://artifacts", STORE)
SILENT = Check(
    "context_answers", CONTEXT, "the context answers", Status.SKIP, "triggerer: there is no 'python' in this context",
    "name the interpreter that runs Airflow there", data={"log": ["sh: python: not found"]},
)  # fmt: skip


def report(*contexts: ContextReport, fleet: tuple[Check, ...] = (), **fields: Any) -> PreflightReport:
    """A pre-flight of these contexts."""
    return PreflightReport(
        options=PreflightOptions(expect_path=PATH),
        contexts=contexts,
        fleet=fleet,
        at="2026-01-01T00:00:00.000000Z",
        versions={"xcomctl": "0", "airflow": "3.3.2"},
        **fields,
    )


def one() -> PreflightReport:
    """One context with every status."""
    return report(ContextReport("local", (FINE, WRONG_PATH, UNMEASURED, NO_RULE), answer(path="")))


def several() -> PreflightReport:
    """Two contexts that differ and one that does not answer, under names short and long."""
    drifted = check(
        "config_drift", Status.FAIL, f"xcom_objectstorage_path: {PATH} in scheduler, nothing in worker", "restart"
    )
    return report(
        ContextReport("scheduler", (FINE, NO_RULE), answer()),
        ContextReport("docker compose exec -T worker", (FINE, WRONG_PATH, UNMEASURED), answer(path="")),
        ContextReport("triggerer", (SILENT,)),
        fleet=(drifted,),
    )
