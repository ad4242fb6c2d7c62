"""The one screen: every context asked at once, the journal read once, and what follows from it."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xcomctl.assess import status_carrier
from xcomctl.assess import status_rows as rows
from xcomctl.assess.drift import drift
from xcomctl.assess.fleet import Context, Fleet
from xcomctl.assess.recent import Recent
from xcomctl.assess.resolution import Expected
from xcomctl.assess.status_next import next_step
from xcomctl.assess.status_signals import signals
from xcomctl.clients.airflow_api import AirflowApi, ApiError, TaskInstance
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.rollouts import rollouts
from xcomctl.errors import UserError
from xcomctl.journal.local import now
from xcomctl.model import requests
from xcomctl.model.preflight import ContextReport, PreflightAnswer
from xcomctl.model.settings import SETTINGS
from xcomctl.model.status import CONTEXTS, DatabaseState, FailedTask, StatusAnswer, StatusQuery, StatusReport
from xcomctl.model.verdicts import Check
from xcomctl.model.way_out import ANY_CARRIER

#: Logs that are read for their errors.
_MOST_LOGS = 20
#: What makes one error two texts: ids, numbers, what stands in quotes.
_VARIES = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|'[^']*'|\"[^\"]*\"|(?<![A-Za-z])\d+")
_RAISED = re.compile(r"^(?:\w+\.)*[A-Z]\w*(?:Error|Exception|Warning|Timeout)\b.*")


@dataclass(frozen=True)
class Seen:
    """What the contexts answered: ``None`` for one that did not, with the reason in ``problems``.

    ``rollouts`` are workloads behind them that are not through with the last change, each with what it waits for.
    """

    answers: Mapping[str, StatusAnswer | None]
    problems: Mapping[str, AgentError]
    database: DatabaseState | None
    rollouts: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> tuple[FailedTask, ...]:
        """Some of the instances that failed after a push."""
        return self.database.failed if self.database is not None else ()


def ask(fleet: Fleet, more: Mapping[str, Any], waiting: Callable[[str], None]) -> Seen:
    """Ask every context at once. ``more`` are parameters for each."""
    first = fleet.contexts[0]

    def one(context: Context) -> tuple[str, StatusAnswer | None, AgentError | None]:
        try:
            return context.name, _ask(context, more, waiting, database=context is first), None
        except AgentError as error:
            return context.name, None, error

    found = fleet.each(one)
    answers = {name: answer for name, answer, _ in found}
    problems = {name: error for name, _, error in found if error is not None}
    under_way = tuple(rollouts([context.reach for context in fleet.contexts]))
    return Seen(answers, problems, _database(fleet, answers, more, waiting), under_way)


def report(
    seen: Seen,
    expected: Expected,
    recent: Recent,
    *,
    asked: Expected | None = None,
    scan_problem: UserError | None = None,
    deployment: str | None = None,
    signatures: Mapping[str, int] | None = None,
    carrier: CarrierFiles | None = None,
    fail_on_warn: bool = False,
    options: str = "",
    carrier_option: str = ANY_CARRIER,
    logs: Check | None = None,
) -> StatusReport:
    """The screen. ``recent`` is what the journal says, ``options`` name the contexts in commands that are shown,
    ``carrier_option`` the file with the settings.

    ``expected`` is what is planned, ``asked`` the part of it that the command line insists on. ``scan_problem`` is why a
    scan that was asked for failed. ``carrier`` is the file that the contexts are deployed from, if it is named, ``logs`` the
    row of the deployment's Loki, if it has one.
    """
    answers, database = seen.answers, seen.database
    drifted = drift([_as_report(name, answer) for name, answer in answers.items()])
    checks = [
        *(rows.phase(name, answer, seen.problems.get(name), database, options) for name, answer in answers.items()),
        *(
            row
            for name, answer in answers.items()
            if answer is not None and (row := rows.running(name, answer, database)) is not None
        ),
        *(rows.rollout(name, problem) for name, problem in seen.rollouts),
        *([dataclasses.replace(drifted, id="drift", category=CONTEXTS)] if drifted is not None else []),
        *([status_carrier.carrier(carrier, answers, options)] if carrier is not None else []),
        *(rows.store(name, answer, options) for name, answer in answers.items() if answer is not None),
        rows.references(database, options),
        rows.at_risk(database, recent, options),
        rows.last_scan(recent, database, options, scan_problem),
        rows.failed(database, signatures, options),
        *signals(answers, database, recent, expected, asked or Expected(), options),
        *([logs] if logs is not None else []),
        *rows.journal(recent, options),
    ]
    step, because = next_step(checks, answers, database, expected, options, carrier_option)
    return StatusReport(
        at=now(),
        deployment=deployment,
        contexts=answers,
        checks=tuple(checks),
        next_step=step,
        because=because,
        journal=recent.to_json(),
        fail_on_warn=fail_on_warn,
    )


def _ask(context: Context, more: Mapping[str, Any], waiting: Callable[[str], None], *, database: bool) -> StatusAnswer:
    params = {**StatusQuery(database=database).to_json(), **more}

    def tell(message: Mapping[str, Any]) -> None:
        if message.get("message"):
            waiting(f"{context.name}: {message['message']}")

    return StatusAnswer.from_json(context.session.request(requests.STATUS, params, tell))


def _database(
    fleet: Fleet, answers: Mapping[str, StatusAnswer | None], more: Mapping[str, Any], waiting: Callable[[str], None]
) -> DatabaseState | None:
    """The database as the first context that has it sees it."""
    found = next((answer.database for answer in answers.values() if answer is not None and answer.database), None)
    for context in fleet.contexts[1:]:
        if found is not None and not found.missing:
            break
        if answers[context.name] is not None:
            try:
                found = _ask(context, {**more, "store": False}, waiting, database=True).database
            except AgentError:
                continue
    return found


def failed_logs(api: AirflowApi, failed: tuple[FailedTask, ...]) -> Counter[str]:
    """The errors of failed instances by their signatures, from the logs that the API gives."""
    found: Counter[str] = Counter()
    for each in failed[:_MOST_LOGS]:
        instance = TaskInstance(each.task_id, each.map_index, each.state, each.try_number, None, None)
        try:
            found[signature(api.task_log(each.dag_id, each.run_id, instance))] += 1
        except ApiError as error:
            found[f"log not read ({error.status or 'no answer'})"] += 1
    return found


def signature(log: str) -> str:
    """The last exception that a log tells of, without what differs from one time to the next."""
    lines = [line.strip() for line in log.splitlines()]
    raised = next((line for line in reversed(lines) if _RAISED.match(line)), None)
    if raised is None:
        return "no exception in the log"
    return _VARIES.sub("…", raised)[:160]


def _as_report(name: str, answer: StatusAnswer | None) -> ContextReport:
    if answer is None:
        return ContextReport(name, ())
    return ContextReport(
        name,
        (),
        PreflightAnswer(
            airflow=answer.airflow,
            line=answer.line,
            python=answer.python,
            hostname=answer.hostname,
            providers=answer.providers,
            settings={setting.name: getattr(answer.resolution, setting.name).to_json() for setting in SETTINGS},
            phase=answer.resolution.phase,
            target={},
        ),
    )
