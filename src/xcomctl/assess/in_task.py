"""The pre-flight as a task: starts a run of the canary DAG, waits for it, and reads back what its checks found.

There are two ways to do that: Airflow's REST API, and an agent in a context that has the metadata database. Whatever
goes wrong on either way is inconclusive, and says what to do next. The run stays: deleting it is not ours to do.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from xcomctl import __version__
from xcomctl.clients.airflow_api import FINISHED_RUN_STATES, AirflowApi
from xcomctl.deployment import bundle
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.errors import UserError
from xcomctl.model import in_task, requests
from xcomctl.model.in_task import DAG_ID, TASK_ID, InTaskAnswer
from xcomctl.model.preflight import (
    CONNECTION,
    CONTEXT,
    DEFAULT_TASK_TIMEOUT_S,
    ROUND_TRIP,
    ContextReport,
    PreflightOptions,
)
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Check, Status

#: The name of the task among the contexts of a report.
NAME = "task"

#: The check that stands for the task when it gave no answer.
UNANSWERED = "connection_in_task"
#: Checks of the desk's own, reported only when something is wrong.
VERSION = "canary_version"
PUSH = "push_in_task"

_POLL_S = 1.0
#: What a request to an agent may take although the time is up: the first one imports Airflow.
_LEAST_S = 30.0
#: How often an empty log is asked for again: where logs are kept remotely, they come after the task's end.
_LOG_TRIES = 3
_LOG_LINES = 15
#: How an exception begins the line that names it; what Airflow logs begins with a time, a path or a word.
_RAISED = re.compile(r"(?:\w+\.)*[A-Z]\w*: ")
_ENDED_TASK_STATES = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
_EXPORT = "xcomctl dags export --force canary DAGS_FOLDER"


@dataclass(frozen=True)
class Progressed:
    """The states of the run and of its one task, ``None`` where there is none yet."""

    run_state: str | None
    task_state: str | None

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self.run_state in FINISHED_RUN_STATES or self.task_state in _ENDED_TASK_STATES

    @property
    def succeeded(self) -> bool:
        """Whether the task ended well."""
        return self.task_state == "success"

    def __str__(self) -> str:
        if self.task_state is None:
            return f"the run is {self.run_state or 'not to be seen'}"
        return f"the task is {self.task_state}"


class TaskWay(Protocol):
    """A way to start a run of the canary DAG and to see what becomes of it. Each raises :class:`UserError`."""

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run. Empty when that was done, else why not: ``unknown`` or ``paused``."""

    def progress(self, run_id: str) -> Progressed:
        """How far it is."""

    def value(self, run_id: str) -> Any:
        """What the task returned, as the database has it; ``None`` when there is nothing."""

    def log(self, run_id: str) -> str:
        """The task's log; empty when there is none."""


#: Why a run was not started.
UNKNOWN_DAG, PAUSED_DAG = "unknown", "paused"


class RestWay:
    """Through Airflow's REST API: all that managed Airflow gives. The DAG is the canary unless another is named."""

    def __init__(self, api: AirflowApi, dag_id: str = DAG_ID, task_id: str = TASK_ID) -> None:
        self._api = api
        self._dag_id, self._task_id = dag_id, task_id

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> str:
        """See :class:`TaskWay`."""
        dag = self._api.dag(self._dag_id)
        if dag is None or not dag.get("is_active", True) or dag.get("is_stale", False):
            return UNKNOWN_DAG
        if dag.get("is_paused"):
            return PAUSED_DAG
        self._api.trigger(self._dag_id, run_id, conf)
        return ""

    def progress(self, run_id: str) -> Progressed:
        """See :class:`TaskWay`."""
        # The run first: once that is over, what its task is does not change any more.
        run_state = self._api.run(self._dag_id, run_id).state
        instances = self._api.task_instances(self._dag_id, run_id)
        state = next((each.state for each in instances if each.task_id == self._task_id), None)
        return Progressed(run_state, state)

    def value(self, run_id: str) -> Any:
        """See :class:`TaskWay`."""
        return self._api.xcom_value(self._dag_id, run_id, self._task_id)

    def log(self, run_id: str) -> str:
        """See :class:`TaskWay`."""
        for instance in self._api.task_instances(self._dag_id, run_id):
            if instance.task_id == self._task_id:
                return redact(self._api.task_log(self._dag_id, run_id, instance))
        return ""


class AgentWay:
    """Through an agent in a context that has the metadata database.

    A database that is stuck answers nothing: no request goes on much beyond ``timeout_s`` seconds after the trigger.
    """

    def __init__(
        self,
        session: AgentSession,
        timeout_s: float = DEFAULT_TASK_TIMEOUT_S,
        dag_id: str = DAG_ID,
        task_id: str = TASK_ID,
    ) -> None:
        self._session = session
        self._dag_id, self._task_id = dag_id, task_id
        self._timeout_s = timeout_s
        self._deadline = time.monotonic() + timeout_s

    def trigger(self, run_id: str, conf: Mapping[str, Any]) -> str:
        """See :class:`TaskWay`."""
        self._deadline = time.monotonic() + self._timeout_s
        params = {"dag_id": self._dag_id, "run_id": run_id, "conf": dict(conf)}
        answer = requests.TriggerAnswer.from_json(
            self._session.request(requests.TRIGGER, params, timeout=self._time_left())
        )
        if not answer.known:
            return UNKNOWN_DAG
        return PAUSED_DAG if answer.paused else ""

    def progress(self, run_id: str) -> Progressed:
        """See :class:`TaskWay`."""
        answer = self._task_run(run_id, log=False)
        return Progressed(answer.run_state, answer.task_state)

    def value(self, run_id: str) -> Any:
        """See :class:`TaskWay`."""
        params = {"dag_id": self._dag_id, "run_id": run_id, "values_below": 4 * in_task.MAX_ANSWER_BYTES}
        stream = self._session.stream(requests.XCOMS, params, timeout=self._time_left())
        items = [requests.XcomItem.from_json(record) for record in stream]
        return next(
            (item.value for item in items if item.task_id == self._task_id and item.key == "return_value"), None
        )

    def log(self, run_id: str) -> str:
        """See :class:`TaskWay`."""
        return self._task_run(run_id, log=True).log

    def _task_run(self, run_id: str, *, log: bool) -> requests.TaskRunAnswer:
        params = {"dag_id": self._dag_id, "run_id": run_id, "task_id": self._task_id, "log": log}
        return requests.TaskRunAnswer.from_json(
            self._session.request(requests.TASK_RUN, params, timeout=self._time_left())
        )

    def _time_left(self) -> float:
        return max(_LEAST_S, self._deadline - time.monotonic())


def run_in_task(
    way: TaskWay,
    options: PreflightOptions,
    *,
    timeout_s: float = DEFAULT_TASK_TIMEOUT_S,
    progress: Callable[[str], None],
    stop: threading.Event | None = None,
) -> ContextReport:
    """Have the checks run as a task, and wait at most ``timeout_s`` seconds for what they found.

    The report's context is called :data:`NAME`. When there is no answer its one check, :data:`UNANSWERED`, is skipped
    and says why, with the end of the task's log under ``log`` in its data. Once ``stop`` is set nothing is asked or
    waited for any more: raises :class:`KeyboardInterrupt`.
    """
    run_id = f"xcomctl-preflight-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    try:
        return _run(way, run_id, replace(options, in_task=True), timeout_s, progress, stop or threading.Event())
    except UserError as error:
        return _unanswered(error.message, error.hint, run_id, list(error.log))


def _wait(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise KeyboardInterrupt


def _run(
    way: TaskWay,
    run_id: str,
    options: PreflightOptions,
    timeout_s: float,
    progress: Callable[[str], None],
    stop: threading.Event,
) -> ContextReport:
    _wait(stop, 0)
    progress(f"a run of {DAG_ID}")
    refused = way.trigger(run_id, {in_task.CONF_OPTIONS: options.to_json()})
    if refused == UNKNOWN_DAG:
        return _unanswered(
            f"Airflow knows no DAG {DAG_ID}",
            "xcomctl dags export canary DAGS_FOLDER, then wait until Airflow looks for new files (every 5 minutes "
            "unless dag_dir_list_interval on 2.x, refresh_interval on 3.x, says otherwise)",
            "",
        )
    if refused:
        return _unanswered(f"the DAG {DAG_ID} is paused", f"airflow dags unpause {DAG_ID}", "")
    deadline = time.monotonic() + timeout_s
    said = ""
    while True:
        seen = way.progress(run_id)
        _wait(stop, 0)
        if seen.over:
            return _ended(way, run_id, seen, stop)
        if time.monotonic() >= deadline:
            return _unanswered(
                f"no answer within {timeout_s:g} s: of {run_id}, {seen}",
                "does a worker take tasks of the default queue? look at that run, or allow more with --task-timeout",
                run_id,
            )
        if said != str(seen):
            said = str(seen)
            progress(f"the task's answer: {said}")
        _wait(stop, min(_POLL_S, max(0.0, deadline - time.monotonic())))


def _ended(way: TaskWay, run_id: str, seen: Progressed, stop: threading.Event) -> ContextReport:
    value = way.value(run_id) if seen.succeeded else None
    found = in_task.unpacked(value)
    if found is not None:
        return _report(found, ())
    # The log has the answer too, for when a push fails, or goes where we cannot read.
    log = _log(way, run_id, stop)
    found = in_task.in_log(log)
    lines = [redact(line) for line in in_task.without_answer(log)]
    if found is not None:
        return _report(found, (_astray(run_id, seen, value, lines),))
    if seen.succeeded:
        what = "nothing" if value is None else f"a value of another kind ({type(value).__name__})"
        return _unanswered(f"the task of {run_id} succeeded and returned {what}", _EXPORT, run_id, lines)
    return _unanswered(
        f"the run {run_id} failed ({seen}){_telling(lines)}",
        f"look at the log of its task {TASK_ID} in Airflow",
        run_id,
        lines,
    )


def _telling(lines: list[str]) -> str:
    """The line of a log that says why, as part of a sentence: the last exception, else the last line."""
    raised = [line for line in lines if _RAISED.match(line)]
    return f"; its log says: {(raised or lines)[-1]}" if lines else "; it has no log"


def _log(way: TaskWay, run_id: str, stop: threading.Event) -> str:
    for attempt in range(_LOG_TRIES):
        log = way.log(run_id)
        if log.strip():
            return log
        if attempt + 1 < _LOG_TRIES:
            _wait(stop, _POLL_S)
    return ""


def _report(found: InTaskAnswer, more: tuple[Check, ...]) -> ContextReport:
    checks = [*found.checks, *more]
    if found.digest != bundle.digest():
        checks.append(
            Check(
                VERSION,
                CONTEXT,
                "the canary DAG carries this very xcomctl",
                Status.WARN,
                f"its checks are those of xcomctl {found.version} ({found.digest or 'no digest'}); "
                f"this is {__version__} ({bundle.digest()})",
                f"{_EXPORT}, then wait until the file is parsed again",
            )
        )
    if found.shortened:
        checks = [replace(check, data={**check.data, "shortened": True}) for check in checks]
    return ContextReport(NAME, tuple(checks), found.answer)


def _astray(run_id: str, seen: Progressed, value: Any, lines: list[str]) -> Check:
    """The task ran its checks and its return value did not arrive: what any task of that context has to expect."""
    title = "a task's small return value arrives in the database"
    data = {"run_id": run_id, "log": lines[-_LOG_LINES:]}
    if isinstance(value, str):
        return Check(
            PUSH, ROUND_TRIP, title, Status.FAIL,
            f"a return value of less than {in_task.MAX_ANSWER_BYTES} bytes was replaced by {redact(value)[:200]}",
            "raise the threshold to 10000 bytes or more", data=data,
        )  # fmt: skip
    return Check(
        PUSH, ROUND_TRIP, title, Status.FAIL,
        f"expected the task's answer as its XCom, found none ({seen}); the checks are taken from its log{_telling(lines)}",
        "every push of this context fails alike: see the settings and the store's checks above", data=data,
    )  # fmt: skip


def _unanswered(detail: str, hint: str, run_id: str, log: list[str] | None = None) -> ContextReport:
    data: dict[str, Any] = {"run_id": run_id} if run_id else {}
    if log:
        data["log"] = [redact(line) for line in log[-_LOG_LINES:]]
    check = Check(
        UNANSWERED, CONNECTION, "the path's connection resolves as a task sees it", Status.SKIP,
        redact(detail), redact(hint), data=data,
    )  # fmt: skip
    return ContextReport(NAME, (check,))
