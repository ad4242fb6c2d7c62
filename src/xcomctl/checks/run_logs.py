"""The logs of a run's tasks, as the web server reads them: lines about XComs that went wrong, and paths taken for data."""

from __future__ import annotations

from xcomctl.airflow_compat import triggering
from xcomctl.checks.interface import Finding, fail, ok, skip
from xcomctl.checks.run_interface import RunCheck, RunSubject
from xcomctl.metadata.instances import tried
from xcomctl.model.log_lines import LOGS_HINT, LOGS_TITLE, MOST_LINES, MOST_LOGS, Logs, name_of_try
from xcomctl.model.suspects import instance_name


def _logs(subject: RunSubject) -> Finding:
    instances, count = tried(subject.connection, subject.tables, subject.dag_id, subject.run_id, MOST_LOGS)
    logs = Logs(count + sum(each.try_number - 1 for each in instances), subject.base_path)
    for each in instances:
        for number in range(1, each.try_number + 1):
            subject.safe_point()
            name = name_of_try(instance_name(each.task_id, each.map_index), number, each.try_number)
            subject.progress(f"the log of {name}")
            try:
                log = triggering.log_of(subject.dag_id, subject.run_id, each.task_id, each.map_index, number)
            except Exception as error:  # a store of logs, a worker that is gone: whatever it is, this log was not read
                logs.lost(f"{type(error).__name__}: {error}")
            else:
                logs.add(name, log)
    if logs.clean is None:
        return skip(logs.said, "where are the logs kept, and does this context reach them? else through --api URL")
    return ok(logs.said) if logs.clean else fail(logs.said, LOGS_HINT, lines=logs.lines[:MOST_LINES])


CHECKS = (RunCheck("logs_clean", LOGS_TITLE, _logs),)
