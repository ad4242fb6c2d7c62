"""What was seen of the phases of a deployment's contexts: now, and by every command that the journal has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from xcomctl.assess.fleet import Context, Fleet
from xcomctl.assess.verify import observed_before
from xcomctl.change.retrigger import held_before
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.journal.interface import Journal
from xcomctl.journal.local import now
from xcomctl.model import requests
from xcomctl.model.barrier import HostingProcess
from xcomctl.model.barrier_evidence import BarrierAnswer, BarrierQuery
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.phases import Phase
from xcomctl.model.redaction import redact
from xcomctl.model.retrigger import HeldBefore, SuspectsQuery
from xcomctl.model.suspects import HANDS_PATHS_OVER, Observation

#: Components whose rows in ``job`` tell how long they live, and whose forks tasks are.
_SCHEDULERS = frozenset({"scheduler", "standalone", "dags backfill"})
_RESOLVES = (Phase.OFFLOAD.value, Phase.DUAL_READ.value)


@dataclass(frozen=True)
class Observed:
    """``present`` are those of now, of ``names``. ``handing`` are sentences about contexts that hand paths over now,
    ``silent`` about those that did not answer. ``held`` are the runs whose references were rehydrated since."""

    observations: tuple[Observation, ...]
    present: tuple[Observation, ...] = ()
    handing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    held: tuple[HeldBefore, ...] = ()

    @property
    def ever_handing(self) -> bool:
        """Whether a context was seen to hand paths over, now or before."""
        return any(each.phase in HANDS_PATHS_OVER for each in self.observations)

    @property
    def contexts(self) -> tuple[tuple[str, str | None], ...]:
        """Every context with the phases that it has now, ``None`` for one that did not answer; for the journal.

        That ends a window for good: what starts from now on is not found again.
        """
        seen = [(each.context, each.phase) for each in self.present]
        return (*seen, *((name, None) for name in self.names if name not in dict(seen)))

    def asks(self, query: SuspectsQuery) -> SuspectsQuery:
        """The question for suspects, with what was seen."""
        return replace(query, observations=self.observations, held=self.held)


def observed(
    fleet: Fleet, journal: Journal, deployment: str | None, waiting: Callable[[str], None] = lambda what: None
) -> Observed:
    """The phases that every context has now or had before. Raises ``JournalError`` where the journal cannot be read."""
    names = tuple(context.name for context in fleet.contexts)
    before = observed_before(journal, deployment, names)
    ours = (each for each in journal.entries() if each.deployment == deployment)
    # Where no deployment is named, several Airflows may share a journal.
    held = held_before(each for each in ours if deployment is not None or _is_of(each, names))

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
        names,
        held,
    )


def _is_of(entry: JournalEntry, names: tuple[str, ...]) -> bool:
    """Whether it is not of other contexts."""
    of = {each.get("name") for each in entry.data.get("contexts") or () if isinstance(each, Mapping)}
    return not of or bool(of & set(names))


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
