"""The round-trip probe at the desk: every context asked at once, and through a real run where that is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xcomctl import __version__
from xcomctl.assess.fleet import Context, Fleet
from xcomctl.clients.airflow_api import without_login
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.deployments import ApiEntry, Deployment
from xcomctl.deployment.reach.interface import Reach
from xcomctl.journal.interface import Where
from xcomctl.journal.local import now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import Phase
from xcomctl.model.probe import SCHEMA, ProbeAnswer, ProbeDifference, ProbeQuery, ProbeReport, next_steps
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Verdict
from xcomctl.report.probe_checks import checks_of
from xcomctl.report.progress import Progress

ACTION = "probe"

#: The worst comes first: a fail outweighs what could not be measured.
_WORST = (Verdict.FAILED, Verdict.INCONCLUSIVE)
#: The name of the run among the contexts, where no context was asked.
_TASKS = "tasks"


@dataclass(frozen=True)
class ThroughRun:
    """How the probe goes through a real run: by this API, or by the first context that has the metadata database."""

    api: ApiEntry | None
    timeout_s: float
    once: bool


def with_plan(query: ProbeQuery, deployment: Deployment | None, *, planned: bool) -> ProbeQuery:
    """The query with what a deployment plans wherever it says nothing: if something is planned, or a phase is wanted
    that has a store."""
    if deployment is None or not (planned or query.phase in (Phase.DUAL_READ.value, Phase.OFFLOAD.value)):
        return query
    settings = deployment.settings
    threshold = query.threshold
    if threshold is None and query.phase != Phase.DUAL_READ.value:
        threshold = settings.threshold
    return dataclasses.replace(
        query,
        path=settings.path if query.path is None else query.path,
        threshold=threshold,
        compression=settings.compression if query.compression is None else query.compression,
    )


def execute(
    reaches: Sequence[Reach],
    query: ProbeQuery,
    run: ThroughRun | None,
    progress: Progress,
    log: Callable[[str, str], None],
) -> list[ProbeReport]:
    """Probe in every context, then through a run. Without a context there is the run alone."""
    if not reaches:
        assert run is not None and run.api is not None
        return [_with_run(ProbeReport(_TASKS, None), None, run, progress)]
    with Fleet(reaches, log) as fleet:
        reports = probe(fleet, query, progress)
        if run is not None:  # it is of the whole deployment, and stands with the first context
            reports[0] = _with_run(reports[0], fleet, run, progress)
    return reports


def probe(fleet: Fleet, query: ProbeQuery, progress: Progress) -> list[ProbeReport]:
    """Put the corpora through in every context; a context that cannot be asked is part of the result."""

    def one(context: Context) -> ProbeReport:
        found: list[ProbeDifference] = []
        try:
            with progress.step(context.name, f"Probe in {context.name}") as step:
                step.waiting("its agent")

                def tell(message: Mapping[str, Any]) -> None:
                    done = f" {message['done']} of {message['total']}" if message.get("total") else ""
                    step.waiting(f"{message.get('message') or ''}{done}")

                stream = context.session.stream(requests.PROBE, query.to_json(), tell)
                found.extend(ProbeDifference.from_json(record) for record in stream)
                answer = ProbeAnswer.from_json(stream.result())
                step.note(f"{sum(answer.counts.values())} values, {len(found)} come back otherwise")
        except AgentError as error:
            hint = f" ({error.hint})" if error.hint else ""
            silent = redact(f"{error.message}{hint}")
            return ProbeReport(context.name, None, tuple(found), silent=silent, classes=query.classes)
        return ProbeReport(context.name, answer, tuple(found), classes=query.classes)

    return fleet.each(one)


def _with_run(report: ProbeReport, fleet: Fleet | None, run: ThroughRun, progress: Progress) -> ProbeReport:
    from xcomctl.assess import probe_run  # with the client of the REST API, which nobody else needs

    with progress.step("run", "Probe through the tasks of a real run") as step:
        return dataclasses.replace(
            report, run=probe_run.through(fleet, run.api, run.timeout_s, step.waiting, once=run.once)
        )


def verdict(reports: Sequence[ProbeReport]) -> Verdict:
    """The worst of the contexts'."""
    seen = {report.verdict for report in reports}
    return next((each for each in _WORST if each in seen), Verdict.OK)


def document(reports: Sequence[ProbeReport]) -> dict[str, Any]:
    """All of it as plain JSON values; ``docs/probe-report.md`` says what they mean."""
    found = verdict(reports)
    return {
        "schema": SCHEMA,
        "at": now(),
        "verdict": found.value,
        "exit_code": found.exit_code,
        "versions": _versions(reports),
        "contexts": [report.to_json() for report in reports],
        "checks": [{**check.to_json(), "context": report.context} for report in reports for check in checks_of(report)],
        "next_steps": list(next_steps(each for report in reports for each in report.all_differences)),
    }


def record(reports: Sequence[ProbeReport], deployment: str | None, where: Where) -> None:
    """Append the probe to the journal, where ``status`` looks for it. Raises ``JournalError``."""
    opened(where).append(
        JournalEntry(
            action=ACTION,
            actor=this_actor(),
            at=now(),
            deployment=deployment,
            versions=_versions(reports),
            verdict=verdict(reports),
            data={
                "contexts": [
                    {
                        "name": report.context,
                        "phase": report.answer.phase if report.answer is not None else None,
                        "target_phase": report.answer.target_phase if report.answer is not None else None,
                        "control_flow": report.control_flow,
                        "data": report.data,
                        "differences": len(report.all_differences),
                        "run": report.run.run_id if report.run is not None else None,
                    }
                    for report in reports
                ],
            },
        )
    )


def _versions(reports: Sequence[ProbeReport]) -> dict[str, str]:
    first = next((report.answer for report in reports if report.answer is not None), None)
    known = {} if first is None else {"airflow": first.airflow, "common_io": first.common_io}
    return {"xcomctl": __version__, **known}


def lines(reaches: Sequence[Reach], query: ProbeQuery, run: ThroughRun | None) -> list[str]:
    """The plan in words, for ``--dry-run``."""
    said = []
    if reaches:
        said.append(
            f"would put values through the XCom classes in: {'; '.join(redact(reach.name) for reach in reaches)}"
        )
    if reaches and query.store:
        said.append(
            "would write objects below the base path where the phase reads from the store, and remove them again"
        )
    if run is not None:
        through = redact(without_login(run.api.url)) if run.api is not None else redact(reaches[0].name)
        runs = "a run" if run.once else "one or two runs"
        said.append(f"would trigger {runs} of the probe DAG through {through}; what they push stays with them")
    return [*said, "would record the result in the journal; nothing else is written"]
