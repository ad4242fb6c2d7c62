"""A run through Airflow's REST API alone: all that managed Airflow gives, and what only its logs tell."""

from __future__ import annotations

from collections.abc import Iterator

from xcomctl.clients.airflow_api import AirflowApi, ApiError, DagRun
from xcomctl.model.handed_over import CONFS_STAY, holds_path, path_in
from xcomctl.model.log_lines import LOGS_HINT, LOGS_TITLE, MOST_LINES, MOST_LOGS, Logs, name_of_try
from xcomctl.model.redaction import redact
from xcomctl.model.suspects import instance_name
from xcomctl.model.upstream import transitive
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import RUN

#: The states of an instance that failed for good, and of one whose last try failed.
_FAILED = ("failed", "up_for_retry")
_NEEDS_CONTEXT = "this needs a context that has the metadata database and reaches the store: --via 'PREFIX' or -D NAME"


def checks_of(api: AirflowApi, dag_id: str, run_id: str, base_path: str | None) -> Iterator[Check]:
    """What the API alone can tell of a run; what it cannot is skipped, with the reason."""
    run = api.run(dag_id, run_id)
    over = {"success": Status.OK, "failed": Status.FAIL}.get(run.state, Status.SKIP)
    yield _check("run_succeeded", "the run succeeded", over, f"the run is {run.state}")
    yield _failed(api, dag_id, run_id)
    yield _handed_over(api, run, base_path)
    for check_id, title in (
        ("references_resolve", "every reference of the run resolves"),
        ("trajectory_readable", "every XCom of the run is readable"),
        ("offload_confirmed", "the objects of this run are in the store"),
        ("started_under_inline", "no reader started under a phase that hands paths over"),
    ):
        yield _check(check_id, title, Status.SKIP, _NEEDS_CONTEXT)


def _failed(api: AirflowApi, dag_id: str, run_id: str) -> Check:
    upstream = transitive(api.downstream(dag_id))
    pushed = api.tasks_with_xcoms(dag_id, run_id)
    ended = [each for each in api.task_instances(dag_id, run_id) if each.state in _FAILED]
    failed = sorted({each.task_id for each in ended if upstream.get(each.task_id, frozenset()) & pushed})
    unknown = sorted({each.task_id for each in ended if each.task_id not in upstream})
    check_id, title = "tasks_failed_after_push", "no task failed that could have read an XCom"
    if failed:
        return _check(check_id, title, Status.FAIL, f"failed with an upstream that pushed: {', '.join(failed)}")
    if unknown:
        said = f"{', '.join(unknown)} failed, and the DAG has no such task any more: what lies upstream is not known"
        return _check(check_id, title, Status.SKIP, said)
    return _check(check_id, title, Status.OK, "no task failed after one upstream pushed")


def _handed_over(api: AirflowApi, run: DagRun, base_path: str | None) -> Check:
    """What the API shows of paths: templates and confs. Values and what tasks resume with it does not."""
    check_id, title = "no_path_handed_over", "no path string was handed over"
    if not base_path:
        return _check(
            check_id,
            title,
            Status.SKIP,
            "no base path is known under which to look for paths",
            hint="--expect-path URL",
        )
    found = api.rendered_fields(run.dag_id, run.run_id)
    rendered = sorted({task for task, _, text in found if path_in(text, base_path) is not None})
    confs = []
    own = holds_path(run.conf, base_path)
    if run.start_date is not None:
        wanted = f"{base_path.rstrip('/')}/{run.dag_id}/{run.run_id}/"
        confs = [
            f"{dag} {name}"
            for dag, name, text in api.confs_since(run.start_date)
            if wanted in text and (dag, name) != (run.dag_id, run.run_id)
        ]
    said = [f"rendered templates of {', '.join(rendered)}"] if rendered else []
    said += ["the conf of this run itself"] if own else []
    said += [f"the conf of {', '.join(confs)}"] if confs else []
    if said:
        hint = f"clear these tasks once every context resolves references{CONFS_STAY if own or confs else ''}"
        return _check(check_id, title, Status.FAIL, "; ".join(said), {"handed_over": rendered}, hint)
    return _check(
        check_id, title, Status.SKIP,
        f"no path string in {len(found)} instances' rendered templates and the confs of this and of later runs; of values and "
        f"next_kwargs nothing is known: {_NEEDS_CONTEXT}",
    )  # fmt: skip


def logs(api: AirflowApi, dag_id: str, run_id: str, base_path: str | None) -> Check:
    """Whether the logs of the run's tasks tell of an XCom that could not be stored or read, or hold a path."""
    # An EmptyOperator is counted as tried, and runs nowhere.
    tried = [each for each in api.task_instances(dag_id, run_id) if each.try_number > 0]
    instances = [each for each in tried if each.hostname or each.state in _FAILED]
    instances.sort(key=lambda each: each.state not in _FAILED)
    found = Logs(sum(each.try_number for each in instances), base_path or "")
    for each in instances[:MOST_LOGS]:
        for number in range(1, each.try_number + 1):
            try:
                log = api.task_log(dag_id, run_id, each, number)
            except ApiError as error:
                found.lost(error.message)
            else:
                found.add(name_of_try(instance_name(each.task_id, each.map_index), number, each.try_number), log)
    status = {True: Status.OK, False: Status.FAIL, None: Status.SKIP}[found.clean]
    lines = found.lines[:MOST_LINES]
    return _check(
        "logs_clean", LOGS_TITLE, status, found.said, {"lines": lines} if lines else None, LOGS_HINT * bool(lines)
    )


def _check(
    check_id: str, title: str, status: Status, detail: str, data: dict[str, object] | None = None, hint: str = ""
) -> Check:
    return Check(check_id, RUN, title, status, redact(detail), hint, data=data or {})
