"""``xcomctl_canary``: runs the checks of ``xcomctl preflight`` as a task, on whatever worker Airflow gives it.

``xcomctl dags export canary FOLDER`` writes this file with an xcomctl in it: nothing has to be installed in the image,
and nothing is written to disk where the kernel can help it. It works with Airflow 2.9 and later, 3.0 and later.

``xcomctl preflight --in-task`` triggers a run, waits for it and reads the answer from the task's return value. Triggered
by hand it does the same with no expectations, and the task's log tells what was found. The run's configuration holds
the options: ``{"options": {"expect_path": "s3://…", "functional": true}}``. Objects that a check writes, below the path
that was given, it removes again. Nothing else is changed.
"""

from __future__ import annotations

import base64
import io
import sys
import zipfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    from airflow.sdk import dag, get_current_context, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.operators.python import get_current_context

#: The part of xcomctl that works beside Airflow, a zip in base64, and a digest of what it holds.
ARCHIVE = """@ARCHIVE@"""
DIGEST = "@DIGEST@"


def make_importable() -> str:
    """Put the zip onto the path of this process; the file that has to be removed afterwards, empty for none."""
    if ARCHIVE.startswith("@"):
        raise RuntimeError("this file carries no xcomctl: write it with `xcomctl dags export canary FOLDER`")
    archive = base64.b64decode(ARCHIVE)
    boot = {"__name__": DIGEST}
    exec(zipfile.ZipFile(io.BytesIO(archive)).read("xcomctl/agent/boot.py"), boot)  # noqa: S102 - our own
    place, left_behind = boot["importable"](archive)
    sys.path.insert(0, place)
    return left_behind or ""


@dag(
    dag_id="xcomctl_canary",
    description="Runs the checks of xcomctl preflight as a task",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=4,
    tags=["xcomctl"],
)
def xcomctl_canary():
    """One task. It succeeds whatever the checks find, and fails only when it cannot run them."""

    # One value whatever its type says: with several outputs each key of the answer would be an XCom of its own.
    @task(task_id="preflight", retries=0, multiple_outputs=False, execution_timeout=timedelta(minutes=15))
    def preflight():
        left_behind = make_importable()
        try:
            from xcomctl.agent.task import run

            conf = get_current_context()["dag_run"].conf or {}
            return run(conf.get("options") or {}, DIGEST)
        finally:
            if left_behind:
                Path(left_behind).unlink()

    preflight()


xcomctl_canary()
