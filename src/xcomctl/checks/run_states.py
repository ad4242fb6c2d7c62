"""How a run and its tasks ended."""

from __future__ import annotations

from xcomctl.checks.interface import Finding, fail, ok, skip
from xcomctl.checks.run_interface import RunCheck, RunSubject, named
from xcomctl.metadata.instances import RETRYING, failed_after_push
from xcomctl.metadata.runs import state_of
from xcomctl.model import way_out
from xcomctl.model.suspects import instance_name

#: What nobody can see from outside.
_NOT_SEEN = "what a callable pulls is not in the database: upstream tasks that pushed stand for it"


def _succeeded(subject: RunSubject) -> Finding:
    state, _ = state_of(subject.connection, subject.tables, subject.dag_id, subject.run_id)
    if state == "success":
        return ok("the run is success")
    if state == "failed":
        got = way_out.pull_step(subject.dag_id, subject.run_id, "")
        return fail("the run is failed", f"look at its failed tasks first: {got}  # what they got")
    return skip(f"the run is {state or 'in no state'}, not over", "wait for it, or allow more with --timeout")


def _failed_after_push(subject: RunSubject) -> Finding:
    found = failed_after_push(subject.connection, subject.tables, dag_id=subject.dag_id, run_id=subject.run_id)
    names = [instance_name(each.task_id, each.map_index) for each in found.with_push]
    if names:
        retrying = [name for name, each in zip(names, found.with_push) if each.state == RETRYING]
        apart = f"; {len(retrying)} of them will try again" if retrying else ""
        return fail(
            f"{len(names)} instances failed although a task upstream of them pushed{apart}: {named(names)} ({_NOT_SEEN})",
            "look at their logs for path strings, AirflowConfigException and XComObjectStorage",
            instances=names, retrying=retrying,
            pushed={name: list(each.pushed) for name, each in zip(names, found.with_push)},
        )  # fmt: skip
    if found.unknown:
        return skip(
            f"{found.unknown} instances failed, and the DAG is not serialised, or without these tasks: what lies upstream of "
            "them is not known",
            "is the DAG still parsed? airflow dags list",
        )
    others = f"; {found.others} failed with nothing pushed upstream" if found.others else ""
    return ok(f"no instance failed after a task upstream of it pushed ({_NOT_SEEN}){others}", others=found.others)


CHECKS = (
    RunCheck("run_succeeded", "the run succeeded", _succeeded),
    RunCheck("tasks_failed_after_push", "no task failed that could have read an XCom", _failed_after_push),
)
