"""``xcomctl_probe``: puts values of every kind through real tasks, and says which come back as something else.

``xcomctl dags export probe FOLDER`` writes this file with an xcomctl in it: nothing has to be installed in the image.
It works with Airflow 2.9 and later, 3.0 and later.

* ``push`` pushes every value under a key of its own; ``pull`` pulls and compares them in another task.
* ``push_offloaded`` and ``pull_offloaded`` do the same with every value above the threshold, where the deployment offloads.
* ``push_mapped`` does the same in two map indexes, ``pull_mapped`` compares one of them.
* ``plan`` is mapped over by ``expanded``, which compares its input.
* ``prior`` pulls with ``include_prior_dates`` what ``push`` pushed in an earlier run.
* ``resumed`` defers. Once a trigger has resumed it, it compares what it pulls, and pushes; ``pull_resumed`` pulls that.
* ``report`` puts together what they found, and ``xcomctl probe --run`` reads that.

The XComs of a run stay until the run is deleted; values above the threshold have objects in the store like any others.
"""

from __future__ import annotations

import base64
import io
import sys
import zipfile
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
    from airflow.sdk import BaseOperator, dag, get_current_context, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.baseoperator import BaseOperator
    from airflow.operators.python import get_current_context
    from airflow.triggers.temporal import TimeDeltaTrigger

#: The part of xcomctl that works beside Airflow, a zip in base64, and a digest of what it holds.
ARCHIVE = """@ARCHIVE@"""
DIGEST = "@DIGEST@"

#: A trigger that fires at once may resume a task before the scheduler knows that it deferred: it then fails the task.
WAIT = timedelta(seconds=10)


@contextmanager
def probe_task():
    """The functions of the tasks, from the xcomctl in this file; what had to be written for that is removed."""
    if ARCHIVE.startswith("@"):
        raise RuntimeError("this file carries no xcomctl: write it with `xcomctl dags export probe FOLDER`")
    left_behind = None
    if "xcomctl" not in sys.modules:
        archive = base64.b64decode(ARCHIVE)
        boot = {"__name__": DIGEST}
        exec(zipfile.ZipFile(io.BytesIO(archive)).read("xcomctl/agent/boot.py"), boot)  # noqa: S102 - our own
        place, left_behind = boot["importable"](archive)
        sys.path.insert(0, place)
    try:
        from xcomctl.agent import probe_task as functions

        yield functions
    finally:
        if left_behind:
            Path(left_behind).unlink()


class Resumed(BaseOperator):
    """Defers at once. The trigger's resume pushes, and pulls, compares and returns."""

    def execute(self, context):
        """Defer."""
        self.defer(trigger=TimeDeltaTrigger(WAIT), method_name="resume")

    def resume(self, context, event=None):
        """What runs once the trigger fired."""
        with probe_task() as functions:
            functions.push(context["ti"])
            return functions.pull(context["ti"], "push", "resumed by a trigger")


@dag(
    dag_id="xcomctl_probe",
    description="Puts values of every kind through real tasks",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 0, "execution_timeout": timedelta(minutes=15)},
    tags=["xcomctl"],
)
def xcomctl_probe():
    """See the top of this file. One value is returned whatever its type says, hence no multiple outputs."""

    @task(multiple_outputs=False)
    def prior():
        with probe_task() as functions:
            return functions.pull_prior(get_current_context()["ti"], "push")

    # Whatever became of the look at an earlier run.
    @task(trigger_rule="all_done")
    def push():
        with probe_task() as functions:
            functions.push(get_current_context()["ti"])

    @task(multiple_outputs=False)
    def pull():
        with probe_task() as functions:
            return functions.pull(get_current_context()["ti"], "push", "another task")

    @task
    def push_offloaded():
        with probe_task() as functions:
            functions.push_offloaded(get_current_context()["ti"])

    @task(multiple_outputs=False)
    def pull_offloaded():
        with probe_task() as functions:
            return functions.pull_offloaded(get_current_context()["ti"], "push_offloaded")

    @task
    def push_mapped(index):
        with probe_task() as functions:
            functions.push(get_current_context()["ti"])

    @task(multiple_outputs=False)
    def pull_mapped():
        with probe_task() as functions:
            return functions.pull(get_current_context()["ti"], "push_mapped", "mapped task", map_index=1)

    @task(multiple_outputs=False)
    def pull_resumed():
        with probe_task() as functions:
            return functions.pull(get_current_context()["ti"], "resumed", "pushed once resumed")

    @task(multiple_outputs=False)
    def plan():
        with probe_task() as functions:
            return functions.mapped()

    @task(multiple_outputs=False)
    def expanded(item):
        with probe_task() as functions:
            return functions.expanded(item, get_current_context()["ti"].map_index)

    @task(multiple_outputs=False, trigger_rule="all_done")
    def report():
        context = get_current_context()
        ti = context["ti"]
        names = ("prior", "pull", "pull_offloaded", "pull_mapped", "resumed", "pull_resumed")
        parts = [ti.xcom_pull(task_ids=name) for name in names]
        parts += list(ti.xcom_pull(task_ids="expanded") or [None])
        with probe_task() as functions:
            return functions.report(context["dag_run"].run_id, parts, DIGEST)

    pushed, resumed = push(), Resumed(task_id="resumed", retries=2, retry_delay=timedelta(seconds=5))
    pulled, mapped, inputs, after = pull(), pull_mapped(), expanded.expand(item=plan()), pull_resumed()
    prior() >> pushed >> [pulled, resumed]
    resumed >> after
    push_mapped.expand(index=[0, 1]) >> mapped
    above = pull_offloaded()
    push_offloaded() >> above
    [pulled, above, mapped, after, inputs] >> report()


xcomctl_probe()
