"""The pre-flight at the desk: every context asked at once, their answers put together, the result recorded."""

from __future__ import annotations

import dataclasses
import functools
import sys
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from xcomctl import __version__
from xcomctl.assess.drift import CHECK_ID as DRIFT
from xcomctl.assess.drift import TITLE as DRIFT_TITLE
from xcomctl.assess.drift import drift
from xcomctl.assess.fleet import all_at_once, apart
from xcomctl.deployment.agent_errors import AgentError, RequestFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.deployment.step_pod import StepPodReach
from xcomctl.errors import UserError
from xcomctl.journal.interface import Where
from xcomctl.journal.local import now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.preflight import (
    CONFIG,
    CONTEXT,
    METADATA,
    CatalogueAnswer,
    CatalogueEntry,
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

#: Asks a context that no agent reaches: gets what to call with what it waits for, gives the context's report.
Ask = Callable[[Callable[[str], None]], ContextReport]


class UsageError(UserError):
    """The command line asks for checks that there are not."""


class Preflight:
    """One run over all contexts. ``log`` gets what the contexts log: the context's name and a line.

    ``options`` are what is asked of contexts that an agent reaches, ``None`` for nothing; ``others`` are the contexts
    that no agent reaches (a task): by their names, what asks them. ``entries`` are all checks that there are.
    """

    def __init__(
        self,
        options: PreflightOptions | None,
        reaches: Sequence[Reach],
        progress: Progress,
        log: Callable[[str, str], None],
        *,
        entries: Sequence[CatalogueEntry] = (),
        others: Mapping[str, Ask] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._options = options
        self._reaches = dict(zip(apart([redact(reach.name) for reach in reaches]), reaches, strict=True))
        self._progress = progress
        self._log = log
        self._metadata = {METADATA, *(entry.id for entry in entries if entry.category == METADATA)}
        self._others = others or {}
        self._sessions: list[AgentSession] = []
        # Whoever waits for something else than an agent looks at it.
        self._stop = stop or threading.Event()

    def run(self) -> list[ContextReport]:
        """Ask every context. Raises :class:`UsageError`; a context that cannot be asked is part of the report.

        The metadata database is the same for all: the first context that has it answers for it.
        """
        jobs: list[Callable[[], ContextReport]] = []
        if self._options is not None:
            for position, (name, reach) in enumerate(self._reaches.items()):
                asked = self._options if position == 0 else _without(self._options, self._metadata)
                if asked is not None:
                    jobs.append(functools.partial(self._ask, name, reach, asked))
        jobs += [functools.partial(self._ask_other, name, ask) for name, ask in self._others.items()]
        contexts = all_at_once(jobs, self._give_up)
        if self._options is not None and len(self._reaches) > 1 and _lacks_database(contexts[0]):
            contexts = self._with_metadata_of_another(contexts, _only(self._options, self._metadata))
        return contexts

    def _with_metadata_of_another(
        self, contexts: list[ContextReport], options: PreflightOptions | None
    ) -> list[ContextReport]:
        first, *rest = self._reaches
        for name in rest if options is not None else ():
            assert options is not None
            found = self._ask(name, self._reaches[name], options)
            if found.answer is not None and not _lacks_database(found):
                return _moved(contexts, first, found)
        return contexts

    def _give_up(self) -> None:
        self._stop.set()
        for session in list(self._sessions):
            session.abandon()

    def _ask(self, name: str, reach: Reach, options: PreflightOptions) -> ContextReport:
        checks: list[Check] = []
        try:
            with self._progress.step(name, f"Pre-flight in {name}") as step:
                step.waiting("its agent")
                session = AgentSession(reach, log=functools.partial(self._log, name))
                self._sessions.append(session)
                if self._stop.is_set():
                    raise AgentError("the run was ended before this context was asked")
                with session:
                    stream = session.stream(
                        requests.PREFLIGHT,
                        dataclasses.replace(options, step_pod=isinstance(reach, StepPodReach)).to_json(),
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


def report_of(
    options: PreflightOptions, contexts: Sequence[ContextReport], *, fail_on_warn: bool = False
) -> PreflightReport:
    """The contexts' answers put together; ``options`` are what was asked for as a whole."""
    drifted = drift(contexts) if _is_drift_asked_for(options) else None
    return PreflightReport(
        options=options,
        contexts=tuple(contexts),
        fleet=(drifted,) if drifted is not None else (),
        fail_on_warn=fail_on_warn,
        next_steps=_next_steps(
            [*(check for each in contexts for check in each.checks), *([drifted] if drifted else [])]
        ),
        at=now(),
        versions=_versions(contexts),
    )


def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every check that there is. Asked of an agent, like all about checks; it needs no Airflow. Raises :class:`AgentError`."""
    with AgentSession(LocalReach(Path(sys.executable), label="xcomctl's own Python")) as session:
        found = CatalogueAnswer.from_json(session.request(requests.PREFLIGHT_LIST)).checks
    last = max(index for index, entry in enumerate(found) if entry.category == CONFIG)
    return (
        *found[: last + 1],
        CatalogueEntry(DRIFT, CONFIG, DRIFT_TITLE, "several contexts", False),
        *found[last + 1 :],
    )


def record(report: PreflightReport, deployment: str | None, where: Where) -> str:
    """Append the pre-flight to the journal, where a later gate looks for it; its name.

    Raises :class:`~xcomctl.journal.errors.JournalError`.
    """
    journal = opened(where)
    outcomes = [(context.name, check) for context in report.contexts for check in context.checks]
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
                    {"context": name, "id": check.id, "status": check.status.value, **_counted(check)}
                    for name, check in [*outcomes, *((None, check) for check in report.fleet)]
                ],
            },
        )
    )
    return journal.name


def _counted(check: Check) -> dict[str, Any]:
    """How many a check found, of those that count something."""
    return {"count": check.data["count"]} if "count" in check.data else {}


def _is_drift_asked_for(options: PreflightOptions) -> bool:
    names = {DRIFT, CONFIG}
    return not names & set(options.skip) and (not options.only or bool(names & set(options.only)))


def _only(options: PreflightOptions, names: Collection[str]) -> PreflightOptions | None:
    """The same, of these checks and categories alone; ``None`` where none of them was asked for."""
    chosen = tuple(name for name in options.only if name in names) if options.only else (METADATA,)
    return dataclasses.replace(options, only=chosen) if chosen else None


def _without(options: PreflightOptions, names: Collection[str]) -> PreflightOptions | None:
    """The same without these checks and categories; ``None`` when nothing else was asked for."""
    if not options.only:
        return dataclasses.replace(options, skip=tuple(dict.fromkeys((*options.skip, METADATA))))
    chosen = tuple(name for name in options.only if name not in names)
    return dataclasses.replace(options, only=chosen) if chosen else None


def _moved(contexts: Sequence[ContextReport], source: str, found: ContextReport) -> list[ContextReport]:
    """The reports with the metadata checks of ``found`` instead of those that one context could not answer."""
    moved = []
    for report in contexts:
        checks = report.checks
        if report.name == source:
            checks = tuple(check for check in checks if check.category != METADATA)
        if report.name == found.name:
            checks = (*checks, *(check for check in found.checks if check.category == METADATA))
        if checks or report.answer is None:
            moved.append(dataclasses.replace(report, checks=checks))
    return moved if any(report.name == found.name for report in moved) else [*moved, found]


def _lacks_database(context: ContextReport) -> bool:
    """Whether this context could not answer for the metadata database, and another one might."""
    found = [check for check in context.checks if check.category == METADATA]
    if not found:
        return context.answer is None  # it died before, or was never reached
    return any(check.data.get("no_database") for check in found)


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


def _next_steps(checks: Sequence[Check]) -> tuple[str, ...]:
    """What mends the fails: each line of their hints once."""
    lines = [line for check in checks if check.status is Status.FAIL for line in check.hint.splitlines()]
    return tuple(dict.fromkeys(lines))
