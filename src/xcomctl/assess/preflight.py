"""The pre-flight at the desk: every context asked at once, their answers put together, the result recorded."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from xcomctl import __version__
from xcomctl.assess.drift import drift
from xcomctl.deployment.agent_errors import AgentError, RequestFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.interface import Reach
from xcomctl.errors import UserError
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model import requests
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.preflight import (
    CONTEXT,
    CatalogueAnswer,
    ContextReport,
    PreflightAnswer,
    PreflightOptions,
    PreflightReport,
)
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Check, Status
from xcomctl.report.progress import Progress

#: The check that stands for a context which did not answer, or not to the end.
ANSWERS = "context_answers"
_ANSWERS_TITLE = "the context answers"
#: Contexts that are asked at the same time.
_AT_ONCE = 8


#: Asks a context that no agent reaches: gets what to call with what it waits for, gives the context's report.
Ask = Callable[[Callable[[str], None]], ContextReport]


class UsageError(UserError):
    """The command line asks for checks that there are not."""


class Preflight:
    """One run over all contexts. ``log`` gets what the contexts log: the context's name and a line.

    ``others`` are contexts that no agent reaches (a task): by their names, what asks them.
    """

    def __init__(
        self,
        options: PreflightOptions,
        reaches: Sequence[Reach],
        progress: Progress,
        log: Callable[[str, str], None],
        *,
        others: Mapping[str, Ask] | None = None,
        fail_on_warn: bool = False,
    ) -> None:
        self._options = options
        self._reaches = reaches
        self._progress = progress
        self._log = log
        self._others = others or {}
        self._fail_on_warn = fail_on_warn
        self._sessions: list[AgentSession] = []

    def run(self) -> PreflightReport:
        """Ask every context. Raises :class:`UsageError`; a context that cannot be asked is part of the report."""
        names = _apart([redact(reach.name) for reach in self._reaches])
        jobs = [functools.partial(self._ask, *each) for each in zip(names, self._reaches, strict=True)]
        jobs += [functools.partial(self._ask_other, name, ask) for name, ask in self._others.items()]
        contexts = [jobs[0]()] if len(jobs) == 1 else self._all_at_once(jobs)
        drifted = drift(contexts)
        return PreflightReport(
            options=self._options,
            contexts=tuple(contexts),
            fleet=(drifted,) if drifted is not None else (),
            fail_on_warn=self._fail_on_warn,
            next_steps=_next_steps(contexts),
            at=now(),
            versions=_versions(contexts),
        )

    def _all_at_once(self, jobs: Sequence[Callable[[], ContextReport]]) -> list[ContextReport]:
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="xcomctl-context") as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                # A worker may wait for its far side for long: end that, and it stops waiting.
                for session in self._sessions:
                    if session.pid is not None:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(session.pid, signal.SIGTERM)
                raise

    def _ask(self, name: str, reach: Reach) -> ContextReport:
        checks: list[Check] = []
        try:
            with self._progress.step(name, f"Pre-flight in {name}") as step:
                step.waiting("its agent")
                session = AgentSession(reach, log=functools.partial(self._log, name))
                self._sessions.append(session)
                with session:
                    stream = session.stream(
                        requests.PREFLIGHT,
                        self._options.to_json(),
                        lambda message: step.waiting(str(message.get("message") or "")),
                    )
                    checks.extend(Check.from_json(entry) for entry in stream)
                    answer = PreflightAnswer.from_json(stream.result())
                step.note(_short(checks))
        except AgentError as error:
            if isinstance(error, RequestFailed) and error.reason == requests.USAGE:
                raise UsageError(error.message, error.hint) from error
            return ContextReport(name, (*checks, _unanswered(error)))
        return ContextReport(name, tuple(checks), answer)

    def _ask_other(self, name: str, ask: Ask) -> ContextReport:
        try:
            with self._progress.step(name, f"Pre-flight in {name}") as step:
                return ask(step.waiting)
        except UserError as error:
            return ContextReport(name, (_unanswered(error),))


def catalogue(reach: Reach) -> CatalogueAnswer:
    """Every check that there is. Needs no Airflow. Raises :class:`AgentError`."""
    with AgentSession(reach) as session:
        return CatalogueAnswer.from_json(session.request(requests.PREFLIGHT_LIST))


def record(report: PreflightReport, deployment: str | None, path: Path | None) -> Path:
    """Append the pre-flight to the journal, where a later gate looks for it; its path.

    Raises :class:`~xcomctl.journal.local.JournalError`.
    """
    journal = LocalJournal(path)
    journal.append(
        JournalEntry(
            action="preflight",
            actor=this_actor(),
            at=now(),
            deployment=deployment,
            versions=report.versions,
            verdict=report.verdict,
            data={
                "options": report.options.to_json(),
                "contexts": [_recorded(context) for context in report.contexts],
                "checks": [
                    {"context": context.name, "id": check.id, "status": check.status.value}
                    for context in report.contexts
                    for check in context.checks
                ]
                + [{"context": None, "id": check.id, "status": check.status.value} for check in report.fleet],
            },
        )
    )
    return journal.path


def _apart(names: Sequence[str]) -> list[str]:
    """The names, told apart by a number where two are the same (as they may be without their secrets)."""
    return [
        f"{name} ({names[: index + 1].count(name)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def _recorded(context: ContextReport) -> dict[str, Any]:
    answer = context.answer
    if answer is None:
        return {"name": context.name}
    return {"name": context.name, "phase": answer.phase, "target": dict(answer.target)}


def _unanswered(error: UserError) -> Check:
    return Check(
        ANSWERS, CONTEXT, _ANSWERS_TITLE, Status.SKIP, redact(error.message), redact(error.hint),
        data={"log": [redact(line) for line in error.log]} if error.log else {},
    )  # fmt: skip


def _short(checks: Sequence[Check]) -> str:
    bad = sum(check.status is Status.FAIL for check in checks)
    return f"{len(checks)} checks, {bad} failed"


def _versions(contexts: Sequence[ContextReport]) -> dict[str, str]:
    for context in contexts:
        if context.answer is not None:
            answer = context.answer
            return {
                "xcomctl": __version__,
                "airflow": answer.airflow,
                "common_io": answer.providers.get("common.io", ""),
                "python": answer.python,
            }
    return {"xcomctl": __version__}


def _next_steps(contexts: Sequence[ContextReport]) -> tuple[str, ...]:
    """What mends the fails: each hint once."""
    hints = [check.hint for each in contexts for check in each.checks if check.status is Status.FAIL and check.hint]
    return tuple(dict.fromkeys(hints))
