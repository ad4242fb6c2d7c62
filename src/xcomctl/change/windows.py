"""What was seen of the phases of a deployment's contexts: now, and by every command that the journal has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from xcomctl.assess.fleet import Context, Fleet
from xcomctl.assess.verify import observed_before
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.journal.interface import Journal
from xcomctl.journal.local import now
from xcomctl.model import requests
from xcomctl.model.barrier import HostingProcess
from xcomctl.model.barrier_evidence import BarrierAnswer, BarrierQuery
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Phase
from xcomctl.model.redaction import redact
from xcomctl.model.suspects import HANDS_PATHS_OVER, Observation

#: Components whose rows in ``job`` tell how long they live, and whose forks tasks are.
_SCHEDULERS = frozenset({"scheduler", "standalone", "dags backfill"})
_RESOLVES = (Phase.OFFLOAD.value, Phase.DUAL_READ.value)


@dataclass(frozen=True)
class Observed:
    """``present`` are those of now. ``handing`` are sentences about contexts that hand paths over now, ``silent`` about those that did not answer."""

    observations: tuple[Observation, ...]
    present: tuple[Observation, ...] = ()
    handing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


def observed(
    fleet: Fleet, journal: Journal, deployment: str | None, waiting: Callable[[str], None] = lambda what: None
) -> Observed:
    """The phases that every context has now or had before. Raises ``JournalError`` where the journal cannot be read."""

    before = observed_before(journal, deployment, {context.name for context in fleet.contexts})

    def one(context: Context) -> tuple[list[Observation], list[Observation], str]:
        past = [each for each in before if each.context == context.name]
        try:
            query = BarrierQuery(database=False).to_json()
            answer = BarrierAnswer.from_json(context.session.request(requests.BARRIER, query))
        except AgentError as error:
            said = f"{context.name} did not answer, so its phase is not known: {redact(error.message)}"
            return past, [], said
        at = now()
        present = [Observation(at, phase, context.name, source) for phase, source in _phases(answer).items()]
        seen = with_lives([*past, *present], answer.processes)
        return seen[: len(past)], seen[len(past) :], ""

    waiting("what resolves in every context")
    answers = fleet.each(one)
    present = tuple(each for _, seen, _ in answers for each in seen)
    return Observed(
        (*(each for past, _, _ in answers for each in past), *present),
        present,
        tuple(f"{each.context} is {each.phase}" for each in present if each.phase in HANDS_PATHS_OVER),
        tuple(said for _, _, said in answers if said),
    )


def _phases(answer: BarrierAnswer) -> dict[str, str]:
    """The phases of what starts tasks there, with whose they are: of the running processes where these can be asked."""
    running = {each.phase: f"running {each.component}" for each in answer.processes if each.phase is not None}
    differing = {phase: who for phase, who in running.items() if phase != answer.phase}
    return differing or {answer.phase: "now"}


def with_lives(seen: Sequence[Observation], processes: Sequence[HostingProcess]) -> list[Observation]:
    """What was seen of one context, oldest first, with the lives of what hosts tasks there, unless a scheduler does. Pure.

    What handed paths over was gone when the last of the present processes started, if all of these are known to resolve;
    else when the context was seen to resolve next.
    """
    if not processes or any(each.component in _SCHEDULERS for each in processes):
        return list(seen)
    starts = [each.started for each in processes if each.started is not None]
    good = len(starts) == len(processes) and all(each.phase in _RESOLVES for each in processes)
    handing = {each.at for each in seen if each.phase not in _RESOLVES}
    resolved = [each.at for each in seen if each.at not in handing]
    newest = max(starts, key=parse_time) if good else None

    def of(each: Observation) -> Observation:
        since = min((at for at in starts if parse_time(at) <= each.moment), key=parse_time, default=None)
        if newest is not None and parse_time(newest) > each.moment:
            return replace(each, apart=True, since=since, until=newest)
        until = next((at for at in resolved if parse_time(at) > each.moment), None)
        return replace(each, apart=True, since=since, until=until)

    return [of(each) for each in seen]
