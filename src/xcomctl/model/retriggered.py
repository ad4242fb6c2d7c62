"""A re-trigger at the desk: what a look found, and what became of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from xcomctl.model.retrigger import SuspectRun, SuspectsAnswer, plan_hash
from xcomctl.model.verdicts import Verdict


@dataclass(frozen=True)
class Found:
    """What a look found. ``runs`` have something to clear or to show.

    ``kill`` are the tasks (``DAG.TASK``) that may be killed where they run.
    """

    runs: tuple[SuspectRun, ...]
    answer: SuspectsAnswer
    kill: frozenset[str] = frozenset()

    @property
    def clearable(self) -> tuple[SuspectRun, ...]:
        """The runs of which something is cleared now."""
        return tuple(run for run in self.runs if run.to_clear and not run.held_by(self.kill))

    @property
    def held(self) -> tuple[SuspectRun, ...]:
        """The runs that have to wait for something that runs: look again once it has ended."""
        return tuple(run for run in self.runs if run.held_by(self.kill))

    @property
    def plan(self) -> str:
        """The hash of what is cleared."""
        return plan_hash(self.clearable)


@dataclass(frozen=True)
class Cleared:
    """What became of a run. ``instances`` were cleared, by name; ``run_state`` is the run's state then, ``None`` where that
    is not told. ``running`` are those that run now and may not be killed: then nothing was cleared."""

    instances: tuple[str, ...]
    run_state: Optional[str] = None
    running: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watched:
    """A run as it was seen last. ``state`` is ``None`` for one that is not there any more."""

    dag_id: str
    run_id: str
    state: Optional[str]

    @property
    def verdict(self) -> Verdict:
        """Green is ok; over and not green has failed; of what is not over nothing is known."""
        if self.state == "success":
            return Verdict.OK
        return Verdict.FAILED if self.state in ("failed", None) else Verdict.INCONCLUSIVE


@dataclass(frozen=True)
class Outcome:
    """What a re-trigger came to. ``paused`` are runs that were cleared and wait for their DAG to be unpaused."""

    cleared: tuple[tuple[SuspectRun, Cleared], ...] = ()
    watched: tuple[Watched, ...] = ()
    paused: tuple[tuple[str, str], ...] = ()

    def verdict(self, found: Found) -> Verdict:
        """A run that is not green has failed; one that could not be cleared, or seen in time, is inconclusive."""
        verdicts = {each.verdict for each in self.watched}
        if Verdict.FAILED in verdicts:
            return Verdict.FAILED
        left = found.held or self.paused or any(cleared.running for _, cleared in self.cleared)
        return Verdict.INCONCLUSIVE if left or Verdict.INCONCLUSIVE in verdicts else Verdict.OK
