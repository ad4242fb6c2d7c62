"""What a plan rests on, asked in the order in which it has to be: the contexts, the barrier, and only then the references.

A scan of references made before the barrier was passed would miss what an old process still wrote behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from xcomctl.assess import refs, status
from xcomctl.assess.fleet import Fleet
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.errors import UserError
from xcomctl.model import requests
from xcomctl.model.phases import Line, Phase, path_problem
from xcomctl.model.plan import StepFactsAnswer, StepFactsQuery
from xcomctl.model.preflight import METADATA, PreflightOptions
from xcomctl.model.redaction import redact
from xcomctl.model.refs import OUTSIDE, AtRiskQuery, AtRiskRun, RefItem, RefsQuery, RefTotals
from xcomctl.model.requests import ALIAS, Resolution
from xcomctl.model.status import StatusAnswer, one_path
from xcomctl.model.verdicts import Check
from xcomctl.report.text import printable

Waiting = Callable[[str], None]


@dataclass(frozen=True)
class Standing:
    """Where the contexts are. ``answers`` has ``None`` for one that did not answer, ``problems`` why. ``warnings`` are
    about the metadata database; ``held_under`` is the path under which every reference of unfinished runs resolves, if there
    is one."""

    answers: Mapping[str, StatusAnswer | None]
    problems: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    held_under: str | None = None

    @property
    def answered(self) -> Mapping[str, StatusAnswer]:
        """The contexts that did."""
        return {name: answer for name, answer in self.answers.items() if answer is not None}

    @property
    def phases(self) -> Mapping[str, str]:
        """What each context resolves."""
        return {name: answer.resolution.phase for name, answer in self.answered.items()}

    @property
    def phase(self) -> Phase | None:
        """The phase of all contexts; ``None`` where they do not agree, or one of them did not answer.

        Those with another base path do not agree, whatever their phase: each resolves what the other writes as a string.
        """
        phases = set(self.phases.values())
        return Phase(phases.pop()) if len(phases) == 1 and len(self._paths) < 2 and not self.problems else None

    @property
    def _paths(self) -> set[str]:
        """The base paths of the contexts in which one is of any effect."""
        found = (answer.resolution for answer in self.answered.values())
        return {str(each.path.value) for each in found if each.phase != Phase.INLINE.value}

    @property
    def paths(self) -> tuple[str, ...]:
        """The base paths that resolve somewhere, whatever the phase there."""
        found = (answer.resolution.path.value for answer in self.answered.values())
        return tuple(dict.fromkeys(str(each) for each in found if each is not None and path_problem(str(each)) is None))

    @property
    def problem(self) -> str:
        """Why there is no one phase, in a sentence."""
        if self.problems:
            return "; ".join(f"{name} did not answer: {printable(why)}" for name, why in self.problems.items())
        beneath = {
            name: f" below {redact(str(answer.resolution.path.value))}" for name, answer in self.answered.items()
        }
        several = len(self._paths) > 1
        said = (f"{name} is {phase}{beneath[name] if several else ''}" for name, phase in self.phases.items())
        return f"the contexts do not agree: {'; '.join(said)}"

    @property
    def line(self) -> Line:
        """The line of Airflow. Raises ``UserError`` where no context answered."""
        return Line(self.any.line)

    @property
    def any(self) -> StatusAnswer:
        """An answer, for what is the same in every context. Raises ``UserError`` where none answered."""
        for answer in self.answered.values():
            return answer
        raise UserError(f"nothing is known of this Airflow: {self.problem}", "xcomctl status")

    @property
    def resolution(self) -> Resolution:
        """What they resolve, as the first one that answered does. Raises as :attr:`any`."""
        return self.any.resolution

    @property
    def path(self) -> str | None:
        """The base path that resolves, ``None`` for one that is none."""
        value = self.resolution.path.value
        return str(value) if value is not None and path_problem(str(value)) is None else None


@dataclass(frozen=True)
class Held:
    """What the metadata database holds under a base path. ``store`` tells whether the store was asked as well.

    ``runs`` are the unfinished runs that hold references or aliases, and some of the finished ones, of which there are
    ``finished_runs``. ``outside`` counts rows of ``xcom`` whose path leads out of the base path, ``aliases`` counts those of each run by the task (``DAG.TASK``) that passed them on.
    """

    totals: RefTotals
    runs: tuple[AtRiskRun, ...]
    finished_runs: int
    store: bool
    aliases: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    outside: int = 0

    @property
    def blocking(self) -> RefTotals:
        """The totals of what a reader can come by: nobody reads aliases in archives."""
        aliases = sum(sum(tasks.values()) for tasks in self.aliases.values())
        return replace(self.totals, aliases=aliases, outside=self.outside)

    @property
    def unfinished(self) -> tuple[AtRiskRun, ...]:
        """The runs that are not over."""
        return tuple(run for run in self.runs if not run.finished)

    @property
    def finished(self) -> tuple[AtRiskRun, ...]:
        """Some of those that are."""
        return tuple(run for run in self.runs if run.finished)


#: Finished runs that are kept by name.
_NAMED = 20


def versions(answers: Mapping[str, StatusAnswer | None]) -> dict[str, str]:
    """What an entry of the journal says of versions, besides xcomctl's own."""
    first = next((answer for answer in answers.values() if answer is not None), None)
    if first is None:
        return {}
    return {"airflow": first.airflow, "common_io": first.providers.get("common.io", "not installed")}


def standing(fleet: Fleet, waiting: Waiting, default_path: str | None = None) -> Standing:
    """Ask every context what it resolves and whether its store answers."""
    seen = status.ask(fleet, {} if default_path is None else {"default_base_path": default_path}, waiting)
    problems = {name: error.message for name, error in seen.problems.items()}
    database = seen.database
    if database is None:
        return Standing(seen.answers, problems)
    return Standing(seen.answers, problems, database.warnings, one_path(database))


def held(fleet: Fleet, base_path: str, waiting: Waiting, *, store: bool) -> Held:
    """What is stored under a base path, and by which runs. ``store``: ask for the sizes of objects and what is missing.

    Raises :class:`~xcomctl.deployment.agent_errors.AgentError`.
    """
    waiting("references")
    # Totals travel, and aliases; these, and rows whose path leads out of the base path, are few, or a sign of their own.
    query = RefsQuery(base_path=base_path, store=store, only=(OUTSIDE, ALIAS))

    aliases: dict[tuple[str, str], Counter[str]] = {}
    outside = 0

    def count(item: RefItem) -> None:
        nonlocal outside
        outside += item.kind == OUTSIDE and item.source == "xcom"
        if item.kind == ALIAS and item.source == "xcom" and item.dag_id and item.run_id:
            aliases.setdefault((item.dag_id, item.run_id), Counter())[f"{item.dag_id}.{item.task_id}"] += 1

    totals = refs.scan(fleet, query, {}, count, waiting).totals
    waiting("the runs that hold them")
    runs: list[AtRiskRun] = []
    finished = 0

    def keep(run: AtRiskRun) -> None:
        nonlocal finished
        finished += run.finished
        if not run.finished or finished <= _NAMED:
            runs.append(run)

    refs.at_risk(fleet, AtRiskQuery(base_path=base_path), {}, keep, waiting)
    return Held(totals, tuple(runs), finished, store, aliases, outside)


def facts(fleet: Fleet, query: StepFactsQuery, waiting: Waiting) -> StepFactsAnswer:
    """What a step depends on besides. Raises :class:`~xcomctl.deployment.agent_errors.AgentError`."""

    def tell(message: Mapping[str, Any]) -> None:
        if message.get("message"):
            waiting(str(message["message"]))

    answer = fleet.with_database(lambda session: session.request(requests.STEP_FACTS, query.given(), tell))
    return StepFactsAnswer.from_json(answer)


def value_checks(fleet: Fleet, options: PreflightOptions, waiting: Waiting) -> tuple[Check, ...]:
    """The pre-flight's scans of what is stored, from the first context that has the metadata database.

    Raises :class:`AgentError` where none can be asked.
    """

    def tell(message: Mapping[str, Any]) -> None:
        if message.get("message"):
            waiting(str(message["message"]))

    found: list[Check] = []
    first: AgentError | None = None
    for context in fleet.contexts:
        try:
            stream = context.session.stream(requests.PREFLIGHT, options.to_json(), tell)
            found = [check for check in map(Check.from_json, stream) if check.category == METADATA]
            stream.result()
        except AgentError as error:
            first = first or error
            continue
        if found and not any(check.data.get("no_database") for check in found):
            return tuple(found)
    if not found and first is not None:
        raise first
    return tuple(found)
