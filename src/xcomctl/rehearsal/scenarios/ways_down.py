"""The kill-switch as ``xcomctl killswitch`` plays it, with every question answered by yes and a restart as the deploy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from xcomctl.change import killswitch_view
from xcomctl.change.agents import Agents
from xcomctl.change.killswitch import Wanted
from xcomctl.change.killswitch_run import Desk, Switch
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.model.killswitch import REVERT
from xcomctl.model.verdicts import Verdict
from xcomctl.rehearsal.sandbox.deploys import deploying
from xcomctl.rehearsal.scenarios.interface import RUN_TIMEOUT_S, Stage
from xcomctl.rehearsal.timeline import CurrentStep
from xcomctl.report.progress import StepHandle


def soft(stage: Stage, step: CurrentStep) -> None:
    """``offload → dual-read``: one deploy."""
    _play(stage, step, hard=False)


def hard(stage: Stage, step: CurrentStep) -> None:
    """At once to ``inline``, and to the end: until every run that was cleared is green.

    The hold point opens while the DAGs are paused: what is held has to wait for the end all the same.
    """
    _play(stage, step, hard=True)


def out(stage: Stage, step: CurrentStep) -> None:
    """``dual-read → inline`` by daylight: wait, rehydrate, revert, look again."""
    _play(stage, step, hard=False, to_inline=True)


def _play(stage: Stage, step: CurrentStep, *, hard: bool, to_inline: bool = False) -> None:
    reached: list[str] = []

    def begins(id: str) -> None:
        if id == REVERT and id not in reached:
            stage.moved_s, stage.moved_at = stage.timeline.now(), datetime.now(UTC)
            if hard:
                stage.hold(False)
        reached.append(id)

    settings = SettingsEntry(stage.base_path, stage.threshold)
    with (
        Agents(lambda: [stage.sandbox.reach()], lambda name, line: None) as agents,
        deploying(stage.sandbox.folder, lambda: stage.restart(step.waiting)) as command,
    ):
        wanted = Wanted(
            carrier=CarrierFiles((stage.sandbox.airflow.carrier,)),
            planned=settings,
            deploy=command,
            timeout_s=RUN_TIMEOUT_S,
            base_path=stage.base_path,
        )
        view = killswitch_view.look(agents, {"base_path": stage.base_path}, step.waiting)
        desk = Desk(confirm=lambda question: None, show=lambda line: None, progress=_Told(step, begins))
        switch = Switch(agents, stage.journal, None, view, wanted, desk)
        report = switch.play(hard=hard, to_inline=to_inline, announce=lambda decision, titles: None)
    ended = "; ".join(f"{each.title}: {each.detail or each.status}" for each in report.steps)
    step.require(
        f"{step.id}_done",
        "The kill-switch came to its end",
        report.verdict is Verdict.OK,
        ended,
        data={"steps": [each.to_json() for each in report.steps]},
    )


@dataclass(frozen=True)
class _Told:
    """The kill-switch's progress as what the rehearsal's step waits for."""

    within: CurrentStep
    begins: Callable[[str], None]

    @contextmanager
    def step(self, id: str, title: str) -> Iterator[StepHandle]:
        """See :class:`~xcomctl.report.progress.Progress`."""
        self.begins(id)
        self.within.waiting(title)
        yield _Handle(self.within, title)

    def close(self) -> None:
        """See :class:`~xcomctl.report.progress.Progress`."""


@dataclass(frozen=True)
class _Handle:
    within: CurrentStep
    title: str

    def waiting(self, what: str) -> None:
        """See :class:`~xcomctl.report.progress.StepHandle`."""
        self.within.waiting(f"{self.title}: {what}" if what else self.title)

    def note(self, text: str) -> None:
        """See :class:`~xcomctl.report.progress.StepHandle`. How each step ended is in the kill-switch's own report."""
