"""Verification at the desk: layer A over every context, layer B over one real run, and what to do next."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from xcomctl import __version__
from xcomctl.assess import resolution
from xcomctl.assess.drift import drift
from xcomctl.assess.fleet import Context, Fleet
from xcomctl.assess.resolution import Expected
from xcomctl.clients.airflow_api import FINISHED_RUN_STATES, AirflowApi, ApiError, ApiUnreachable
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.errors import UserError
from xcomctl.journal.interface import Journal, Where
from xcomctl.journal.local import now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model import requests, way_out
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.redaction import redact
from xcomctl.model.status import StatusAnswer, StatusQuery
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import (
    KILL_SWITCH,
    RUN,
    RunReviewAnswer,
    RunReviewQuery,
    RunStateAnswer,
    VerifiedContext,
    VerifyReport,
)
from xcomctl.report.progress import Progress

ACTION = "verify"
_POLL_S = 1.0
#: Failures in a row after which the API is not asked again, and the HTTP statuses that may pass.
_FAILURES = 4
_SERVERS_FAULT = 500
#: What was seen of phases before now: the latest so many.
_MOST_OBSERVATIONS = 500


class Runs(Protocol):
    """A way to start a run and to see how far it is. Each raises :class:`UserError`."""

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run."""

    def state(self, dag_id: str, run_id: str) -> RunStateAnswer:
        """How far it is."""


class ApiRuns:
    """Through Airflow's REST API."""

    def __init__(self, api: AirflowApi) -> None:
        self._api = api

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """See :class:`Runs`."""
        dag = self._api.dag(dag_id)
        if dag is None:
            raise UserError(f"Airflow knows no DAG {dag_id}", _export(dag_id))
        if dag.get("is_paused"):
            raise UserError(f"the DAG {dag_id} is paused: a run of it would wait", f"airflow dags unpause {dag_id}")
        self._api.trigger(dag_id, run_id, conf)

    def state(self, dag_id: str, run_id: str) -> RunStateAnswer:
        """See :class:`Runs`."""
        counts: dict[str, int] = {}
        for each in self._api.task_instances(dag_id, run_id):
            counts[each.state or "no state yet"] = counts.get(each.state or "no state yet", 0) + 1
        run = self._api.run(dag_id, run_id)
        began, ended = (None if at is None else at.isoformat() for at in (run.start_date, run.end_date))
        return RunStateAnswer(run.state, counts, began, ended)


class AgentRuns:
    """Through an agent in a context that has the metadata database."""

    def __init__(self, session: AgentSession) -> None:
        self._session = session

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> None:
        """See :class:`Runs`."""
        params = {"dag_id": dag_id, "run_id": run_id, "conf": dict(conf)}
        answer = requests.TriggerAnswer.from_json(self._session.request(requests.TRIGGER, params))
        if not answer.known:
            raise UserError(f"Airflow knows no DAG {dag_id}", _export(dag_id))
        if answer.paused:
            raise UserError(f"the DAG {dag_id} is paused: a run of it would wait", f"airflow dags unpause {dag_id}")

    def state(self, dag_id: str, run_id: str) -> RunStateAnswer:
        """See :class:`Runs`."""
        return RunStateAnswer.from_json(self._session.request(requests.RUN_STATE, {"dag_id": dag_id, "run_id": run_id}))


def _export(dag_id: str) -> str:
    return f"check the id; the reference DAG comes with xcomctl dags export {dag_id} DAGS_FOLDER"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a run that verify has triggered goes on."""


def new_run_id() -> str:
    """The id of a run that verify triggers."""
    return f"xcomctl-verify-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def watch(runs: Runs, dag_id: str, run_id: str, timeout_s: float, waiting: Callable[[str], None]) -> RunStateAnswer:
    """Wait until the run is over, at most so many seconds; how far it is then. Raises :class:`UserError`.

    A web server that restarts, or a proxy that has a bad moment, ends nothing: a few failures in a row do.
    """
    deadline = time.monotonic() + timeout_s
    failures = 0
    while True:
        try:
            seen = runs.state(dag_id, run_id)
        except ApiError as error:
            failures += 1
            passing = isinstance(error, ApiUnreachable) or (error.status or 0) >= _SERVERS_FAULT
            if not passing or failures > _FAILURES or time.monotonic() >= deadline:
                raise
            waiting(f"{run_id}: {error.message}; asking again")
            time.sleep(_POLL_S * 2**failures)
            continue
        failures = 0
        if seen.run_state is None:
            raise UserError(f"the DAG {dag_id!r} has no run {run_id!r}", "check both ids: they are matched exactly")
        if seen.run_state in FINISHED_RUN_STATES or time.monotonic() >= deadline:
            return seen
        states = ", ".join(f"{count} {state}" for state, count in sorted(seen.instances.items()))
        waiting(f"{run_id}: {seen.run_state}; {states or 'no task yet'}")
        time.sleep(_POLL_S)


def triggered(
    runs: Runs, dag_id: str, run_id: str, conf: Mapping[str, Any], timeout_s: float, waiting: Callable[[str], None]
) -> RunStateAnswer:
    """Start a run, and :func:`watch` it. Raises :class:`UserError`, and :class:`Interrupted` for Ctrl-C."""
    waiting(f"a run of {dag_id}")
    try:
        runs.trigger(dag_id, run_id, conf)
        return watch(runs, dag_id, run_id, timeout_s, waiting)
    except KeyboardInterrupt:
        raise Interrupted(f"the run {run_id} of {dag_id}, if it was triggered already, goes on") from None


def layer_a(
    fleet: Fleet, expected: Expected, asked: Expected, progress: Progress
) -> tuple[list[VerifiedContext], tuple[Check, ...]]:
    """Every context's resolution, and whether they agree. ``asked`` is the part of it that counts in whatever phase."""

    def one(context: Context) -> tuple[VerifiedContext, StatusAnswer | None]:
        try:
            with progress.step(context.name, f"Resolution in {context.name}") as step:
                step.waiting("its agent")
                query = StatusQuery(database=False, store=False)
                answer = StatusAnswer.from_json(context.session.request(requests.STATUS, query.to_json()))
        except AgentError as error:
            return VerifiedContext(context.name, None, (resolution.unanswered(error),)), None
        checks = list(resolution.checks(answer.resolution, expected, asked))
        running = resolution.running(answer)
        checks += [running] if running is not None else []
        common_io = answer.providers.get("common.io", "")
        phases = resolution.phases(answer)
        return VerifiedContext(
            context.name, answer.resolution, tuple(checks), answer.airflow, common_io, phases
        ), answer

    both = fleet.each(one)
    drifted = drift([resolution.as_report(each, answer) for each, answer in both])
    return [each for each, _ in both], (drifted,) if drifted is not None else ()


@dataclass(frozen=True)
class Reviewed:
    """What layer B found."""

    checks: tuple[Check, ...]
    answer: RunReviewAnswer | None = None


def layer_b(fleet: Fleet, query: RunReviewQuery, waiting: Callable[[str], None]) -> Reviewed:
    """The run as the first context with the metadata database sees it; unmeasured when none answers."""

    def ask(session: AgentSession) -> Reviewed:
        stream = session.stream(
            requests.RUN_REVIEW, query.to_json(), lambda message: waiting(str(message.get("message") or ""))
        )
        checks = tuple(Check.from_json(record) for record in stream)
        return Reviewed(checks, RunReviewAnswer.from_json(stream.result()))

    try:
        return fleet.with_database(ask)
    except AgentError as error:
        return Reviewed((unmeasured("run_review", "the run can be looked at", error.message, error.hint),))


def unmeasured(check_id: str, title: str, why: str, hint: str = "") -> Check:
    """A check that stands for what could not be looked at."""
    return Check(check_id, RUN, title, Status.SKIP, redact(why), redact(hint))


def observed_before(journal: Journal, deployment: str | None, names: Collection[str]) -> list[Observation]:
    """What the journal's entries saw of these contexts' phases, oldest first. Raises ``JournalError``.

    Of contexts by these names alone: what some other Airflow resolves tells nothing about this one's schedulers.
    """
    found: deque[Observation] = deque(maxlen=_MOST_OBSERVATIONS)
    for entry in journal.entries():
        if entry.deployment != deployment:
            continue
        for context in entry.data.get("contexts") or ():
            if isinstance(context, Mapping) and isinstance(context.get("phase"), str) and context.get("name") in names:
                found.append(Observation(entry.at, context["phase"], str(context["name"]), entry.action))
    return list(found)


def observed_now(contexts: Iterable[VerifiedContext]) -> list[Observation]:
    """The contexts' phases at this moment."""
    at = now()
    return [Observation(at, phase, each.name, source) for each in contexts for phase, source in each.phases.items()]


def with_next_steps(
    report: VerifyReport,
    options: str,
    handed_over: Sequence[str] = (),
    planned_path: str | None = None,
    carrier: str = way_out.ANY_CARRIER,
) -> VerifyReport:
    """The report with what to do: on a kill-switch the lines to set, the command to look, what to clear.

    ``options`` name the contexts, in the hints of the checks too, and ``carrier`` the file with the settings.
    ``planned_path`` is the base path that has to resolve; without it, it is one that resolves in some context.
    """
    report = _spelled(report, options)
    lines: list[str] = []
    if report.verdict == KILL_SWITCH:
        worst = _worst_phase(report.contexts)
        resolved = (str(each.resolution.path.value or "") for each in report.contexts if each.resolution)
        path = planned_path or next(filter(None, resolved), None)
        broken = any(
            each.resolution.class_path is None and each.resolution.backend.value == OBJECT_STORAGE_BACKEND
            for each in report.contexts
            if each.resolution is not None
        )
        lines += [way_out.hard_step(options, carrier)] if broken else way_out.steps(worst, path, options, carrier)
        if report.run:
            lines += way_out.clear_steps(report.run["dag_id"], report.run["run_id"], handed_over, options)
    hints = [check.hint for check in report.checks if check.status in (Status.FAIL, Status.SKIP) and check.hint]
    if report.run and report.verdict == KILL_SWITCH:
        lines.append(way_out.pull_step(report.run["dag_id"], report.run["run_id"], options))
    return replace(report, next_steps=way_out.once([*lines, *hints]))


def _spelled(report: VerifyReport, options: str) -> VerifyReport:
    """The report with hints that can be typed as they stand."""

    def spelled(checks: Sequence[Check]) -> tuple[Check, ...]:
        return tuple(replace(check, hint=way_out.with_contexts(check.hint, options)) for check in checks)

    contexts = tuple(replace(each, checks=spelled(each.checks)) for each in report.contexts)
    return replace(report, contexts=contexts, fleet=spelled(report.fleet), run_checks=spelled(report.run_checks))


def _worst_phase(contexts: Sequence[VerifiedContext]) -> str:
    """The phase to leave: one that hands paths over before one that does not."""
    phases = [each.resolution.phase for each in contexts if each.resolution is not None]
    return next(
        (phase for phase in ("misconfigured", "unknown", "inline", "offload", "dual-read") if phase in phases),
        "offload",
    )


def record(report: VerifyReport, deployment: str | None, where: Where) -> None:
    """Append the verification to the journal. Raises ``JournalError``."""
    first = next((each for each in report.contexts if each.resolution is not None), None)
    versions = {"xcomctl": __version__}
    if first is not None:
        versions |= {"airflow": first.airflow, "common_io": first.common_io}
    opened(where).append(
        JournalEntry(
            action=ACTION,
            actor=this_actor(),
            at=now(),
            deployment=deployment,
            versions=versions,
            verdict=report.as_verdict,
            data={
                "verdict": report.verdict,
                "run": dict(report.run),
                "contexts": [
                    {"name": each.name, **({} if phase is None else {"phase": phase})}
                    for each in report.contexts
                    for phase in each.phases or (None,)
                ],
                "checks": [{"id": check.id, "status": check.status.value} for check in report.checks],
            },
        )
    )
