"""The logs of a run's tasks, as the web server reads them: lines about XComs that went wrong, and paths taken for data."""

from __future__ import annotations

from xcomctl.airflow_compat import triggering
from xcomctl.checks.interface import Finding, fail, ok, skip
from xcomctl.checks.run_interface import RunCheck, RunSubject, instance_name
from xcomctl.metadata.instances import tried
from xcomctl.model.log_lines import LOGS_TITLE, MOST_LOGS, telling, told, verdict
from xcomctl.model.redaction import redact


def _logs(subject: RunSubject) -> Finding:
    instances, count = tried(subject.connection, subject.tables, subject.dag_id, subject.run_id, MOST_LOGS)
    found: list[str] = []
    unread = count - len(instances)
    for each in instances:
        subject.safe_point()
        name = instance_name(each.task_id, each.map_index)
        subject.progress(f"the log of {name}")
        try:
            text = told(
                triggering.log_of(subject.dag_id, subject.run_id, each.task_id, each.map_index, each.try_number)
            )
        except Exception:  # a store of logs, a worker that is gone: whatever it is, this log was not read
            text = ""
        unread += not text
        found += [f"{name}: {redact(line)}" for line in telling(text, subject.base_path)]
    clean, said = verdict(count, unread, found)
    if clean is None:
        return skip(said, "where are the logs kept, and does this context reach them? else through --api URL")
    return ok(said) if clean else fail(said, "look at these tasks' logs", lines=found[:50])


CHECKS = (RunCheck("logs_clean", LOGS_TITLE, _logs),)
