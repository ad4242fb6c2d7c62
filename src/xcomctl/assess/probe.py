"""The round-trip probe at the desk: every context asked at once, and through a real run where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xcomctl import __version__
from xcomctl.assess.fleet import Context, Fleet
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model import requests
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.probe import ProbeAnswer, ProbeDifference, ProbeQuery, ProbeReport
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Verdict
from xcomctl.report.progress import Progress

ACTION = "probe"

#: The worst comes first: a fail outweighs what could not be measured.
_WORST = (Verdict.FAILED, Verdict.INCONCLUSIVE)


def probe(fleet: Fleet, query: ProbeQuery, progress: Progress) -> list[ProbeReport]:
    """Put both corpora through in every context; a context that cannot be asked is part of the result."""

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
            return ProbeReport(context.name, None, tuple(found), silent=redact(f"{error.message}{hint}"))
        return ProbeReport(context.name, answer, tuple(found))

    return fleet.each(one)


def verdict(reports: Sequence[ProbeReport]) -> Verdict:
    """The worst of the contexts'."""
    seen = {report.verdict for report in reports}
    return next((each for each in _WORST if each in seen), Verdict.OK)


def record(reports: Sequence[ProbeReport], deployment: str | None, path: Path | None) -> None:
    """Append the probe to the journal, where ``status`` looks for it. Raises ``JournalError``."""
    first = next((report.answer for report in reports if report.answer is not None), None)
    versions = {"xcomctl": __version__}
    if first is not None:
        versions |= {"airflow": first.airflow, "common_io": first.common_io}
    LocalJournal(path).append(
        JournalEntry(
            action=ACTION,
            actor=this_actor(),
            at=now(),
            deployment=deployment,
            versions=versions,
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
                    }
                    for report in reports
                ],
            },
        )
    )


def lines(names: Sequence[str], query: ProbeQuery, through_run: str) -> list[str]:
    """The plan in words, for ``--dry-run``."""
    said = [f"would put values through the XCom classes in: {'; '.join(redact(name) for name in names)}"]
    if query.store:
        said.append(
            "would write objects below the base path where the phase reads from the store, and remove them again"
        )
    if through_run:
        said.append(f"would trigger one or two runs of the probe DAG through {through_run}; they stay behind")
    return [*said, "would record the result in the journal; nothing else is written"]
