"""A run through Airflow's REST API alone: all that managed Airflow gives, and what only its logs tell."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xcomctl.clients.airflow_api import AirflowApi, ApiError
from xcomctl.model.redaction import redact
from xcomctl.model.upstream import transitive
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import RUN

#: Instances whose logs are read, the failed ones first.
MOST_LOGS = 100
#: A line of a log that tells of an XCom that could not be stored or read.
_TELLS = re.compile(
    r"(?i)AirflowConfigException|(?=.*(?:xcom|objectstorage))(?=.*(?:\berror\b|exception|traceback|denied|not found))"
)
#: What xcomctl itself and Airflow write about XComs that is no error.
_HARMLESS = re.compile(r"xcomctl-(?:answer|probe): |Returned value was: ")
_NEEDS_CONTEXT = "this needs a context that has the metadata database and reaches the store: --via 'PREFIX' or -D NAME"


def checks_of(api: AirflowApi, dag_id: str, run_id: str, base_path: str | None) -> Iterator[Check]:
    """What the API alone can tell of a run; what it cannot is skipped, with the reason."""
    run = api.run(dag_id, run_id)
    over = {"success": Status.OK, "failed": Status.FAIL}.get(run.state, Status.SKIP)
    yield _check("run_succeeded", "the run succeeded", over, f"the run is {run.state}")
    upstream = transitive(api.downstream(dag_id))
    pushed = api.tasks_with_xcoms(dag_id, run_id)
    failed = sorted(
        {
            each.task_id
            for each in api.task_instances(dag_id, run_id)
            if each.state in ("failed", "up_for_retry") and upstream.get(each.task_id, frozenset()) & pushed
        }
    )
    yield _check(
        "tasks_failed_after_push",
        "no task failed that could have read an XCom",
        Status.FAIL if failed else Status.OK,
        f"failed with an upstream that pushed: {', '.join(failed)}"
        if failed
        else "no task failed after one upstream pushed",
    )
    if base_path:
        base = f"{base_path.rstrip('/')}/"
        rendered = sorted({task for task, _, text in api.rendered_fields(dag_id, run_id) if base in text})
        confs = []
        if run.start_date is not None:
            wanted = f"{base}{dag_id}/{run_id}/"
            confs = [f"{dag} {name}" for dag, name, text in api.confs_since(run.start_date) if wanted in text]
        said = [f"rendered templates of {', '.join(rendered)}"] if rendered else []
        said += [f"the conf of {', '.join(confs)}"] if confs else []
        if said:
            yield _check("no_path_handed_over", "no path string was handed over", Status.FAIL, "; ".join(said))
    for check_id, title in (
        ("references_resolve", "every reference of the run resolves"),
        ("trajectory_readable", "every XCom of the run is readable"),
        ("offload_confirmed", "the objects of this run are in the store"),
        ("started_under_inline", "no reader started under a phase that hands paths over"),
    ):
        yield _check(check_id, title, Status.SKIP, _NEEDS_CONTEXT)


def logs(api: AirflowApi, dag_id: str, run_id: str) -> Check:
    """Whether the logs of the run's tasks hold a line that tells of an XCom which could not be stored or read."""
    title = "the logs of the run's tasks tell of no XCom error"
    instances = [each for each in api.task_instances(dag_id, run_id) if each.try_number > 0]
    instances.sort(key=lambda each: each.state != "failed")
    found: list[str] = []
    unread = 0
    for each in instances[:MOST_LOGS]:
        try:
            text = api.task_log(dag_id, run_id, each)
        except ApiError:
            unread += 1
            continue
        unread += not text.strip()
        found += [
            f"{each.task_id}: {redact(line.strip())[:200]}"
            for line in text.splitlines()
            if _TELLS.search(line) and not _HARMLESS.search(line)
        ][:3]
    if found:
        return _check("logs_clean", title, Status.FAIL, f"{len(found)} lines; {found[0]}", {"lines": found[:50]})
    read = min(len(instances), MOST_LOGS)
    if unread or len(instances) > MOST_LOGS:
        return _check(
            "logs_clean",
            title,
            Status.SKIP,
            f"the logs of {len(instances) - read + unread} of {len(instances)} instances were not read",
        )
    return _check("logs_clean", title, Status.OK, f"the logs of {read} instances hold no such line")


def _check(check_id: str, title: str, status: Status, detail: str, data: dict[str, object] | None = None) -> Check:
    return Check(check_id, RUN, title, status, redact(detail), data=data or {})
