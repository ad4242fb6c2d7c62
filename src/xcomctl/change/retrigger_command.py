"""The steps of :mod:`xcomctl.change.retrigger` as one command takes them, and what it has to say."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from xcomctl.assess.fleet import Fleet
from xcomctl.assess.verify import AgentRuns, ApiRuns
from xcomctl.change import retrigger
from xcomctl.change.clearing import way_for
from xcomctl.change.pauses import AgentPauses
from xcomctl.change.retrigger import ACTION, Steps
from xcomctl.change.windows import Observed, observed
from xcomctl.clients.airflow_api import AirflowApi
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.errors import UserError
from xcomctl.journal.interface import Journal
from xcomctl.journal.local import this_actor
from xcomctl.journal.lock import Lock
from xcomctl.model.retrigger import OTHER, SCHEMA, SuspectRun, SuspectsQuery
from xcomctl.model.retriggered import Cleared, Found, Outcome, Watched
from xcomctl.model.verdicts import Verdict


class Retrigger:
    """One call of the command. ``notes`` are sentences about what the look rests on, once there was one."""

    def __init__(
        self,
        fleet: Fleet,
        journal: Journal,
        deployment: str | None,
        api: AirflowApi | None = None,
        through: str | None = None,
    ) -> None:
        self._fleet, self._journal, self._deployment = fleet, journal, deployment
        self._api, self._through = api, through
        self._found: Found | None = None
        self._session: AgentSession | None = None
        self._observed = Observed(())
        self._before: list[tuple[str, str]] = []
        self._cleared: list[tuple[SuspectRun, Cleared]] = []
        self._refused: tuple[str, str] | None = None
        self.outcome = Outcome()
        self.notes: tuple[str, ...] = ()

    def lock(self) -> AbstractContextManager[Lock]:
        """The lock, for as long as something is looked at that is then changed."""
        return self._journal.lock(this_actor(), ACTION, self._deployment)

    @property
    def found(self) -> Found:
        """What the look found."""
        assert self._found is not None
        return self._found

    def look(self, query: SuspectsQuery, kill: Sequence[str], waiting: Callable[[str], None]) -> None:
        """Ask every context for its phase, and one for the suspects. Raises :class:`UserError`, refuses what would mix."""
        before = retrigger.unfinished(self._journal, self._deployment, self._contexts)
        self._observed = observed(self._fleet, self._journal, self._deployment, waiting)
        if any(window.end is None for window in query.windows) and not self._observed.handing:
            raise UserError(
                "no context hands path strings over now, so --since needs its end: what ran again would be found again",
                "--until TIME: when the deploy that ended it was up everywhere",
                Verdict.REFUSED,
            )
        asked = self._observed.asks(query)
        self._session, self._found = self._fleet.with_database(
            lambda session: (session, retrigger.look(session, asked, waiting, kill))
        )
        self._before = before
        _, said = way_for(self.found.clearable, self._session, self._api, self._through)
        stored = bool(self.found.answer.stored)
        again = still(self.found.clearable, self._observed.handing, producers=query.producers, stored=stored)
        self.notes = tuple(filter(None, (*self._observed.silent, said, again[0] if again else "")))
        self._refused = again

    @property
    def _contexts(self) -> tuple[str, ...]:
        return tuple(context.name for context in self._fleet.contexts)

    def refuse(self) -> None:
        """Raise :class:`UserError` where clearing would mend nothing."""
        if self._refused:
            raise UserError(*self._refused, Verdict.REFUSED)

    def clear(self, lock: Lock, waiting: Callable[[str], None]) -> None:
        """Clear what was found. Raises :class:`UserError`; what was cleared until then is recorded."""
        assert self._session is not None
        way, _ = way_for(self.found.clearable, self._session, self._api, self._through)
        steps = Steps(self._journal, self._deployment, lock, self._observed.contexts)
        for each in retrigger.clear(self.found, way, steps, waiting):
            self._cleared.append(each)

    def watch(self, timeout_s: float, waiting: Callable[[str], None]) -> None:
        """Wait for the runs that were cleared, those of an earlier call that did not come to its end among them."""
        assert self._session is not None
        done = [run for run, cleared in self._cleared if not cleared.running]
        paused = {run.key for run in done if run.paused}
        keys = dict.fromkeys([*self._before, *(run.key for run in done)])
        states = ApiRuns(self._api) if self._api is not None else AgentRuns(self._session)
        if self._before:
            paused |= retrigger.left_paused(self._before, AgentPauses(self._fleet).states(), states)
        watched = retrigger.watch([key for key in keys if key not in paused], states, timeout_s, waiting)
        # A run of an earlier call may have been deleted since: nobody waits for that one any more.
        ours = {run.key for run in done}
        there = (each for each in watched if each.state is not None or (each.dag_id, each.run_id) in ours)
        self.outcome = Outcome(tuple(self._cleared), tuple(there), tuple(sorted(paused)))

    @property
    def began(self) -> bool:
        """Whether something was announced, by this call or by one that did not come to its end."""
        return bool(self._cleared or self._before)

    def record(self) -> None:
        """Append the end to the journal. Raises ``JournalError``."""
        held = [run.key for run in self.found.held]
        retrigger.record(self.found.plan, self.verdict, self.outcome, self._journal, self._deployment, held)

    @property
    def verdict(self) -> Verdict:
        """What it came to."""
        return self.outcome.verdict(self.found)

    def next_steps(self, options: str, contexts: str, *, dry_run: bool) -> list[str]:
        """Commands to type next. ``options`` make the same choice again, ``contexts`` name the same contexts."""
        steps = [
            f"airflow dags unpause {shlex.quote(dag_id)}"
            for dag_id in sorted({dag_id for dag_id, _ in self.outcome.paused})
        ]
        if dry_run and self.found.clearable:
            steps.append(f"xcomctl retrigger{options}")
        elif not dry_run and self.verdict is Verdict.INCONCLUSIVE:
            steps.append(f"xcomctl retrigger{options}  # once what runs has ended")
        return [*steps, *(verify_step(each, contexts) for each in self._not_green())]

    def _not_green(self) -> list[Watched]:
        return [each for each in self.outcome.watched if each.verdict is Verdict.FAILED and each.state is not None]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values: what was found, and what became of it."""
        found = self.found
        return {
            "schema": SCHEMA,
            "plan": found.plan,
            "windows": [each.to_json() for each in found.answer.windows],
            "runs": [_run(run, found) for run in found.runs],
            "confs": [each.to_json() for each in found.answer.confs],
            "unknown_starts": found.answer.unknown,
            "warnings": [*found.answer.warnings, *self.notes],
            "cleared": [
                {
                    "dag_id": run.dag_id,
                    "run_id": run.run_id,
                    "instances": list(cleared.instances),
                    "running": list(cleared.running),
                    "warnings": list(cleared.warnings),
                }
                for run, cleared in self.outcome.cleared
            ],
            "watched": [
                {"dag_id": each.dag_id, "run_id": each.run_id, "state": each.state, "verdict": each.verdict.value}
                for each in self.outcome.watched
            ],
            "paused": [{"dag_id": dag_id, "run_id": run_id} for dag_id, run_id in self.outcome.paused],
        }


def still(
    runs: Iterable[SuspectRun], handing: Sequence[str], *, producers: bool, stored: bool = True
) -> tuple[str, str] | None:
    """Why clearing these runs now would hand over path strings once more, and what to do; ``None`` if it would not.

    ``handing`` are sentences about contexts that hand them over. With ``producers`` a run's own references come anew as
    values; what another run's are for its readers does not change. ``stored``: whether any run holds a reference or an
    alias; what is rehydrated is read as a value in any phase.
    """
    if not handing or not stored:
        return None
    said = f"{', '.join(handing)}: what is cleared now gets path strings again"
    hint = "go to dual-read first, where every reference resolves"
    runs = list(runs)
    others = sorted({f"{run.dag_id}.{each.task_id}" for run in runs for each in run.to_clear if each.role == OTHER})
    if others:
        return f"{said} ({', '.join(others)} from other runs)", hint
    if not producers and any(run.references or run.aliases for run in runs):
        back = "or write the values back: xcomctl rehydrate"
        return said, f"{hint}, {back}; where the store has them no more --producers: what pushed them runs again too"
    return None


def verify_step(run: Watched, contexts: str) -> str:
    """The command to look at a run. Run ids hold what a shell takes for itself."""
    return f"xcomctl verify -d {shlex.quote(run.dag_id)} -r {shlex.quote(run.run_id)}{contexts}"


def _run(run: SuspectRun, found: Found) -> dict[str, Any]:
    return {**run.to_json(), "held_by": [each.name for each in run.held_by(found.kill)]}
