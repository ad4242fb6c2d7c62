"""The kill-switch, step by step: each is shown, asked for and journaled, and calling again goes on where it stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Protocol

from xcomctl.change.agents import Agents
from xcomctl.change.carrier_edit import NOTHING
from xcomctl.change.emergency import Emergency, Rollback
from xcomctl.change.killswitch_view import View
from xcomctl.change.observed import versions
from xcomctl.change.pauses import PauseWay
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.errors import UserError
from xcomctl.journal.interface import Journal, Where
from xcomctl.journal.local import entry_now, now
from xcomctl.journal.lock import Lock
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.killswitch import ACTION, DEPLOY, REVERT, Begun, Way
from xcomctl.model.killswitch_report import DONE, FAILED, TO_DO, Played
from xcomctl.model.plan import digest
from xcomctl.model.redaction import redact
from xcomctl.model.refs import AtRiskQuery, AtRiskRun
from xcomctl.model.rehydrate import ALL, MAX_BYTES
from xcomctl.model.rehydrated import Before
from xcomctl.model.retriggered import Found
from xcomctl.model.verdicts import Verdict
from xcomctl.report.progress import Progress

#: DAGs and instances that are named in one line.
_NAMED = 10


@dataclass(frozen=True)
class Wanted:
    """What the person asked for.

    ``carrier`` is ``None`` where the settings are written by hand. ``given`` and ``planned`` are as in
    :func:`~xcomctl.change.carrier_edit.wanted_for`, ``fix`` as in ``edit_for``. ``deploy`` is a command, ``None`` to wait for somebody's deploy; ``emergency`` is a release to roll back instead.
    ``timeout_s`` bounds each wait. ``only_at_risk`` pauses the DAGs alone whose unfinished runs hold references. ``clear``
    are tasks (``DAG.TASK``) that may be killed. ``past_barrier`` is why to go on although not everything can be seen.
    ``max_bytes`` is how much may be written back into the database. ``options`` name the contexts in commands that are printed. ``pauses`` is the REST API where one is named, ``base_path`` where references lie if it is not what resolves.
    """

    carrier: CarrierFiles | None = None
    fix: bool = False
    given: SettingsEntry = NOTHING
    planned: SettingsEntry = NOTHING
    deploy: str | None = None
    emergency: Emergency | None = None
    timeout_s: float = 3600.0
    only_at_risk: bool = False
    clear: tuple[str, ...] = ()
    past_barrier: str | None = None
    max_bytes: int = MAX_BYTES
    pauses: PauseWay | None = None
    base_path: str | None = None
    options: str = ""


@dataclass
class Work:
    """What every step works with.

    ``begun`` grows with each entry that is written. ``lock`` is ``None`` where nothing is changed. ``found`` is what a step
    found out while it was prepared, ``stored`` what stands to be rehydrated as it was then (``None``: it cannot be, and ``unstored`` says why), of these ``runs``, ``edited`` whether the carrier was edited by this call, ``rollback`` what an emergency is about to do, ``over`` whether every run that was cleared is over.
    """

    way: Way
    agents: Agents
    view: View
    wanted: Wanted
    where: Where
    deployment: str | None
    begun: Begun
    lock: Lock | None = None
    found: Found | None = None
    stored: Before | None = None
    runs: str = ALL
    unstored: str = ""
    edited: bool = False
    rollback: Rollback | None = None
    over: bool = False
    waiting: Callable[[str], None] = lambda what: None

    @property
    def journal(self) -> Journal:
        """Where each step is written down."""
        return opened(self.where)

    @property
    def held(self) -> Lock:
        """The lock under which changes are made."""
        assert self.lock is not None  # nothing is changed without one
        return self.lock

    @property
    def first_edited_at(self) -> datetime:
        """Since when something may have run with the target's settings: since the carrier was first edited."""
        begun = self.begun.begun(REVERT)
        return parse_time(begun[0].at) if begun else self.edited_at

    @property
    def edited_at(self) -> datetime:
        """Since when a process that starts may have the target's settings: since the last deploy of one's own began, else
        since the carrier was last edited."""
        begun, done = self.begun.begun(DEPLOY) or self.begun.begun(REVERT), self.begun.done(REVERT)
        at = begun[-1].at if begun else done.at if done is not None else self.begun.since
        return parse_time(at)


class Begin(Protocol):
    """Announces a step, in the journal and before its first change; renews the lock. Raises what these raise."""

    def __call__(
        self,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the entry."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended. ``detail`` is a sentence, ``notes`` are more, ``hint`` is what mends a failure."""

    detail: str
    verdict: Verdict = Verdict.OK
    notes: tuple[str, ...] = ()
    hint: str = ""
    after: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


class Step(Protocol):
    """One step. ``prepare`` tells what it would do, in lines, and changes nothing; ``perform`` does it.

    ``asks`` is whether somebody has to say yes before. Both raise :class:`~xcomctl.errors.UserError`.
    """

    id: str
    title: str
    #: Whether what it would do can be told before the steps ahead of it are done.
    previewed: ClassVar[bool] = False
    #: Whether ``prepare`` asks contexts, which takes its time.
    asks_contexts: ClassVar[bool] = False

    def prepare(self, work: Work) -> list[str]:
        """What it would do now."""

    def asks(self, work: Work) -> bool:
        """Whether it would change something."""

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Do it."""


class _NotDone(Exception):
    """Ends a step as failed, for whoever watches it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


class Player:
    """Plays steps under a lock that is held, and writes down each of them."""

    def __init__(
        self, work: Work, confirm: Callable[[str], None], show: Callable[[str], None], progress: Progress
    ) -> None:
        self._work = work
        self._confirm, self._show, self._progress = confirm, show, progress

    def play(self, steps: Sequence[Step]) -> tuple[list[Played], Verdict]:
        """Play them in their order, up to the first that fails; what became of each, and what it comes to.

        An entry that cannot be written, a lock that was lost, and somebody who does not say yes fail a step too.
        """
        played: list[Played] = []
        for position, step in enumerate(steps):
            try:
                outcome = self._one(step)
            except UserError as error:
                self._note_failure(step, error)
                played.append(Played(step.id, step.title, FAILED, redact(error.message), hint=redact(error.hint)))
                return [*played, *_to_do(steps[position + 1 :])], error.verdict
            good = outcome.verdict is Verdict.OK
            played.append(
                Played(step.id, step.title, DONE if good else FAILED, outcome.detail, outcome.notes, outcome.hint)
            )
            if not good:
                return [*played, *_to_do(steps[position + 1 :])], outcome.verdict
        return played, Verdict.OK

    @property
    def over(self) -> bool:
        """Whether every run that was cleared is over, so that there is nothing to go on with."""
        return self._work.over

    def record(self, action: str, verdict: Verdict | None, **more: Any) -> None:
        """Append an entry of this kill-switch. Raises ``JournalError``."""
        work = self._work
        entry = entry_now(
            action,
            work.deployment,
            versions=versions(work.view.seen.answers),
            plan=work.begun.plan,
            verdict=verdict,
            **more,
        )
        work.journal.append(entry)
        work.begun = replace(work.begun, entries=(*work.begun.entries, entry))

    def _one(self, step: Step) -> Outcome:
        work = self._work
        for line in self._prepared(step):
            self._show(line)
        if step.asks(work):
            self._confirm(f"{step.title}?")
        work.held.renew()

        def begin(
            before: Mapping[str, Any] | None = None,
            after: Mapping[str, Any] | None = None,
            data: Mapping[str, Any] | None = None,
        ) -> None:
            work.held.renew()
            self.record(f"{ACTION}.{step.id}", None, before=before, after=after, data=dict(data or {}))

        try:
            with self._progress.step(step.id, step.title) as handle:
                work.waiting = handle.waiting
                outcome = step.perform(work, begin)
                if outcome.verdict is not Verdict.OK:
                    raise _NotDone(outcome)
                handle.note(outcome.detail)
        except _NotDone as ended:
            outcome = ended.outcome
        data = {"detail": redact(outcome.detail), "notes": [redact(note) for note in outcome.notes], **outcome.data}
        self.record(f"{ACTION}.{step.id}", outcome.verdict, after=outcome.after, data=data)
        return outcome

    def _prepared(self, step: Step) -> list[str]:
        if not step.asks_contexts:
            return step.prepare(self._work)
        with self._progress.step(f"{step.id}.look", f"{step.title}: a look") as handle:
            self._work.waiting = handle.waiting
            return step.prepare(self._work)

    def _note_failure(self, step: Step, error: UserError) -> None:
        """That a step which had begun did not come to its end; if that cannot be written, the first error matters more."""
        if self._work.begun.begun(step.id):
            with contextlib.suppress(UserError):
                self.record(f"{ACTION}.{step.id}", error.verdict, data={"detail": redact(error.message)})


def begin_anew(way: Way, view: View, deployment: str | None, data: Mapping[str, Any]) -> Begun:
    """A kill-switch that begins now; its first entry has not been written yet."""
    at = now()
    plan = {"way": way.value, "target": way.target.value, "steps": list(way.steps), "sees": view.sees.to_json(), **data}
    plan_hash = digest({"at": at, **plan})
    entry = entry_now(
        ACTION,
        deployment,
        at=at,
        versions=versions(view.seen.answers),
        before={name: list(phases) for name, phases in view.sees.phases.items()},
        after={name: [way.target.value] for name in view.sees.phases},
        plan=plan_hash,
        data={**plan, "contexts": [{"name": name, "phase": each} for name, phases in view.sees.phases.items() for each in phases]},
    )  # fmt: skip
    return Begun(way, plan_hash, at, (entry,))


def at_risk(work: Work, base_path: str | None, *, unfinished_only: bool) -> list[AtRiskRun]:
    """The runs that hold references under a base path. Raises as :meth:`~xcomctl.assess.fleet.Fleet.with_database`."""
    query = AtRiskQuery(base_path=base_path, unfinished_only=unfinished_only)
    params = {**query.to_json(), "default_base_path": default_base_path(work)}
    return work.agents.fleet().with_database(
        lambda session: [AtRiskRun.from_json(each) for each in session.stream(requests.AT_RISK, params)]
    )


def default_base_path(work: Work) -> str | None:
    """For a context that resolves none any more."""
    return work.view.sees.base_path or work.view.sees.held_under or work.wanted.planned.path


def _to_do(steps: Sequence[Step]) -> list[Played]:
    return [Played(step.id, step.title, TO_DO) for step in steps]


def named(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}" if names else "nothing"
