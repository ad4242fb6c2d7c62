"""The sizes of XComs at the desk: one measurement in the first context that can answer, and what it comes to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from xcomctl import __version__
from xcomctl.assess.fleet import Fleet, told
from xcomctl.assess.recent import PREFLIGHT
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.journal.interface import Where
from xcomctl.journal.local import now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import Phase
from xcomctl.model.plan import VALUES, StepFactsAnswer, StepFactsQuery
from xcomctl.model.preflight import METADATA, PreflightOptions
from xcomctl.model.redaction import redact, redact_mapping
from xcomctl.model.settings import RUNBOOK_THRESHOLD
from xcomctl.model.size import ACTION, SizeAnswer, SizeQuery, SizeReport
from xcomctl.model.verdicts import Check, Status, Verdict

#: Pre-flight's checks of values that could not make the trip: JSON in strings (F4), keys (F5), schemes (F38).
TRIP_CHECKS = ("metadata_json_strings", "metadata_keys", "metadata_schemes")
#: The same, where there is a base path: strings of a task's own under it (F7).
OWN_PATHS = "metadata_own_paths"
#: Values that fit only in the store, among the newest objects (F37).
FITS = "size_fits_only_in_store"
_FITS_TITLE = "every value in the store would fit in the database"
#: What stands for a base path where there is none yet; none of the checks opens it.
_SOME_PATH = "s3://xcomctl_none@none/xcom"

Waiting = Callable[[str], None]


@dataclass(frozen=True)
class Spelled:
    """Options to be put behind commands that are printed: what names the contexts, what of their XComs was measured and
    from where, the deployment with its journal, and the journal alone."""

    contexts: str = ""
    which: str = ""
    remark: str = ""
    record: str = ""
    journal: str = ""


@dataclass(frozen=True)
class Tripped:
    """What could not make the trip: the checks, when they were made (ISO 8601), and by what."""

    checks: tuple[Check, ...]
    at: str
    source: str


def measure(fleet: Fleet, query: SizeQuery, waiting: Waiting) -> tuple[SizeAnswer, str]:
    """Ask for the sizes, beside a component's pod where that is one (F43); the answer, and the context that gave it.

    Raises :class:`~xcomctl.deployment.agent_errors.AgentError`.
    """

    def ask(session: AgentSession) -> tuple[SizeAnswer, str]:
        answer = session.request(requests.SIZE, query.to_json(), told(waiting))
        return SizeAnswer.from_json(answer), redact(session.reach.name)

    return fleet.with_database(ask, heavy=True)


def trip(fleet: Fleet, answer: SizeAnswer, waiting: Waiting) -> Tripped:
    """Look for what could not make the trip either way, by pre-flight's checks. What cannot be asked is a skip."""
    base_path = answer.base_path
    options = PreflightOptions(
        phase=Phase.OFFLOAD.value,
        planned=True,
        expect_path=base_path or _SOME_PATH,
        expect_threshold=answer.suggested or RUNBOOK_THRESHOLD,
        only=(*TRIP_CHECKS, *((OWN_PATHS,) if base_path else ())),
    )

    def ask(session: AgentSession) -> tuple[Check, ...]:
        stream = session.stream(requests.PREFLIGHT, options.to_json(), told(waiting))
        checks = tuple(Check.from_json(entry) for entry in stream if entry["id"] in options.only)
        stream.result()
        if answer.offloaded is None or not answer.offloaded.references:
            return checks
        asked = StepFactsQuery(values=VALUES, base_path=base_path)
        facts = session.request(requests.STEP_FACTS, asked.to_json(), told(waiting))
        return (*checks, _fits(StepFactsAnswer.from_json(facts)))

    try:
        checks = fleet.with_database(ask, heavy=True)
    except AgentError as error:
        title = "what could not make the trip was looked for"
        checks = (Check("size_trip", METADATA, title, Status.SKIP, redact(error.message), redact(error.hint)),)
    return Tripped(checks, answer.at, "this measurement")


def tripped_before(where: Where, deployment: str | None) -> Tripped | None:
    """What the newest pre-flight in the journal that counted such values found; ``None`` where none did.

    Raises :class:`~xcomctl.journal.errors.JournalError`.
    """
    found: Tripped | None = None
    for entry in opened(where).entries():
        if entry.action != PREFLIGHT or entry.deployment != deployment:
            continue
        counted = {
            each["id"]: each for each in entry.data.get("checks") or ()
            if each.get("id") in (*TRIP_CHECKS, OWN_PATHS) and isinstance(each.get("count"), int)
        }  # fmt: skip
        if counted:
            checks = tuple(
                Check(
                    name,
                    METADATA,
                    "",
                    Status(each["status"]),
                    f"{each['count']:,} found",
                    data={"count": each["count"]},
                )
                for name, each in counted.items()
            )
            found = Tripped(checks, entry.at, "a pre-flight in the journal")
    return found


def _fits(facts: StepFactsAnswer) -> Check:
    data = {"count": facts.misfit_count, "looked_at": facts.looked_at, "references": facts.references}
    if facts.column != "jsonb":
        return Check(FITS, METADATA, _FITS_TITLE, Status.OK, f"the column ({facts.column}) holds any value", data=data)
    seen = f"of the newest {facts.looked_at:,} objects of {facts.references:,}"
    if facts.unread:
        return Check(
            FITS, METADATA, _FITS_TITLE, Status.SKIP, f"{facts.unread:,} objects could not be read: {facts.unread_why}",
            "xcomctl refs --dangling", data=data,
        )  # fmt: skip
    if facts.misfit_count:
        named = "; ".join(f"{each.dag_id}.{each.task_id} {each.key!r} {each.reason}" for each in facts.misfits[:3])
        detail = f"{facts.misfit_count:,} {seen} hold what fits only in the store: {named}"
        return Check(
            FITS, METADATA, _FITS_TITLE, Status.WARN, redact(detail), "change what these tasks return", data=data
        )
    return Check(FITS, METADATA, _FITS_TITLE, Status.OK, f"{seen} none holds what fits only in the store", data=data)


def report(
    query: SizeQuery,
    answer: SizeAnswer,
    context: str,
    deployment: str | None,
    tripped: Tripped | None,
    options: Spelled,
    *,
    fail_on_warn: bool = False,
) -> SizeReport:
    """The measurement as it is shown and recorded. ``tripped`` is ``None`` where nobody looked."""
    # What an earlier pre-flight found is shown, and judged there.
    found = verdict(answer, tripped.checks if tripped and tripped.at == answer.at else ())
    shown = (
        query if query.database_url is None else dataclasses.replace(query, database_url=host_of(query.database_url))
    )
    return SizeReport(
        at=answer.at,
        verdict=found.value,
        exit_code=0 if found is Verdict.WARNINGS and not fail_on_warn else found.exit_code,
        context=context,
        deployment=deployment,
        query=shown.to_json(),
        answer=answer,
        checks=tripped.checks if tripped else (),
        checks_at=tripped.at if tripped else None,
        checks_from=tripped.source if tripped else "",
        next_steps=tuple(next_steps(answer, query, tripped is not None, options)),
    )


def host_of(url: str) -> str:
    """The host in the URL of a database, and no more: what stands before it may be a password, however it is spelled. Not
    even that, where one may stand behind it."""
    if "pass" in url.partition("?")[2].lower():
        return "another database"
    behind = url.rpartition("@")[2] if "@" in url else url.partition("//")[2] or url
    return behind.partition("/")[0].partition("?")[0] or "another database"


def verdict(answer: SizeAnswer, checks: Sequence[Check]) -> Verdict:
    """What a measurement amounts to: sizes that could not be known make it inconclusive, oddities are warnings."""
    away = answer.offloaded is not None and (answer.offloaded.store_error or answer.offloaded.unasked)
    away = away or (answer.sampled is not None and not answer.sampled.rows)
    if away or any(check.status is Status.SKIP for check in checks):
        return Verdict.INCONCLUSIVE
    unread = answer.accuracy is not None and answer.accuracy.unread
    odd = answer.warnings or answer.pickled or unread or (answer.offloaded is not None and answer.offloaded.dangling)
    found = any(check.status is not Status.OK for check in checks)
    if odd or found or any(effect.below_floor or effect.uncertain for effect in answer.thresholds):
        return Verdict.WARNINGS
    return Verdict.OK


def next_steps(answer: SizeAnswer, query: SizeQuery, tripped: bool, options: Spelled) -> Iterator[str]:
    """What to type next."""
    if answer.suggested is None:
        return
    if query.sample is not None:
        yield f"xcomctl size{options.which}{options.contexts}  # everything, at a quiet hour or from a replica"
    elif not all(each.effect.exact for each in answer.suggestions) and answer.suggested not in query.thresholds:
        again = f"xcomctl size --threshold {answer.suggested}{options.which}{options.contexts}"
        yield f"{again}  # measures every value near it exactly{options.remark}"
    if not tripped:
        yield f"xcomctl size --trip{options.contexts}  # counts values that could not make the trip either way"
    yield f"xcomctl rehearse --airflow {answer.airflow} --threshold {answer.suggested}{options.journal}"
    yield f"xcomctl decide --out docs/decisions/offload.md{options.record}"


def record(found: SizeReport, where: Where) -> str:
    """Append the measurement to the journal, where ``decide`` finds it; the journal's name.

    Raises :class:`~xcomctl.journal.errors.JournalError`.
    """
    journal = opened(where)
    journal.append(
        JournalEntry(
            action=ACTION,
            actor=this_actor(),
            at=now(),
            deployment=found.deployment,
            versions={"xcomctl": __version__},
            verdict=Verdict(found.verdict),
            data=redact_mapping(found.to_json()),
        )
    )
    return journal.name
