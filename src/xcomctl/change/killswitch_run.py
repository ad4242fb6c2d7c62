"""One call of the kill-switch: decide, under the lock play what is left to do, say what to type next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.change import killswitch_hard, killswitch_rehydrate, killswitch_revert, killswitch_wait
from xcomctl.change.agents import Agents
from xcomctl.change.killswitch import Player, Step, Wanted, Work, begin_anew
from xcomctl.change.killswitch_decision import Decision, decide
from xcomctl.change.killswitch_view import View
from xcomctl.errors import UserError
from xcomctl.journal.interface import Journal, Where
from xcomctl.journal.local import this_actor
from xcomctl.journal.lock import Lock
from xcomctl.journal.open import opened
from xcomctl.model.killswitch import ACTION, DEPLOY, REVERT, UNPAUSE, Begun, Way, remaining, unfinished
from xcomctl.model.killswitch_report import TO_DO, KillswitchReport, Played, recommend
from xcomctl.model.verdicts import Verdict
from xcomctl.report.progress import Progress

#: Every step by its id.
STEPS: Mapping[str, Step] = {
    step.id: step
    for module in (killswitch_revert, killswitch_wait, killswitch_rehydrate, killswitch_hard)
    for step in module.STEPS
}


@dataclass(frozen=True)
class Desk:
    """The person's side: ``confirm`` raises where nobody says yes, ``show`` takes lines."""

    confirm: Callable[[str], None]
    show: Callable[[str], None]
    progress: Progress


@dataclass(frozen=True)
class Switch:
    """A kill-switch of one deployment."""

    agents: Agents
    where: Where
    deployment: str | None
    view: View
    wanted: Wanted
    desk: Desk

    def preview(
        self, *, hard: bool, announce: Callable[[Decision, Sequence[str]], None], to_inline: bool = False
    ) -> KillswitchReport:
        """What would be done; nothing is changed, and no lock is taken. Raises :class:`UserError` as :meth:`play`."""
        decision = self._decide(hard=hard, to_inline=to_inline)
        if decision.way is None:
            return self._report(decision, (), Verdict.OK)
        _takes(decision.way, self.wanted, to_inline)
        begun = decision.resumes or begin_anew(decision.way, self.view, self.deployment, {})
        work = self._work(begun)
        steps = self._steps(begun, decision.resumes is not None)
        announce(decision, [step.title for step in steps])
        for step in (step for step in steps if step.previewed):
            for line in step.prepare(work):
                self.desk.show(line)
        report = replace(self._report(decision, _to_do(steps), Verdict.OK), dry_run=True, rollback=_rollback(work))
        if not to_inline or decision.way is not Way.SOFT:
            return report
        then = self.then_exit(report, Verdict.OK)
        announce(Decision(decision.recommendation, Way.EXIT), [step.title for step in then.steps])
        return then

    def play(
        self, *, hard: bool, announce: Callable[[Decision, Sequence[str]], None], to_inline: bool = False
    ) -> KillswitchReport:
        """Play it. ``announce`` gets what was decided and the titles of the steps, before anything is asked.

        Raises :class:`UserError` where no kill-switch is to be played, where another change is under way, and for a
        journal that cannot be used.
        """
        with self._journal.lock(this_actor(), ACTION, self.deployment) as held:
            decision = self._decide(hard=hard, to_inline=to_inline)
            if decision.way is None:
                return self._report(decision, (), Verdict.OK)
            _takes(decision.way, self.wanted, to_inline)
            taken: dict[str, Any] = {} if held.took_over is None else {"took_over": held.took_over.words}
            begun = decision.resumes or begin_anew(decision.way, self.view, self.deployment, {**self._carrier, **taken})
            steps = self._steps(begun, decision.resumes is not None)
            announce(decision, [step.title for step in steps])
            work = self._work(begun, held)
            player = self._player(work)
            if decision.resumes is None:
                self.desk.confirm(f"begin the {begun.way.value} kill-switch?")
                self._journal.append(begun.first)
            else:
                player.record(ACTION, None, data={"resumes": begun.since, "left": [step.id for step in steps], **taken})
            played, verdict = player.play(steps)
            ended = verdict is Verdict.OK or player.over
            if ended:
                player.record(ACTION, verdict, data={"steps": [each.to_json() for each in played]})
            report = replace(self._report(decision, tuple(played), verdict), ended=ended, rollback=_rollback(work))
            # All is done, and will be undone by whoever deploys next (F42).
            flips_again = verdict is Verdict.OK and rolled_back_alone(work.begun)
            return replace(report, flips_again=True, verdict=Verdict.FAILED) if flips_again else report

    def then_exit(self, soft: KillswitchReport, verdict: Verdict) -> KillswitchReport:
        """The way on to ``inline`` of which nothing was done yet, after a soft one."""
        steps = _to_do([STEPS[step] for step in Way.EXIT.steps])
        found = self._report(Decision(recommend(self.view.sees), Way.EXIT), steps, verdict)
        return replace(found, dry_run=soft.dry_run, before=soft)

    def abandon(self) -> KillswitchReport:
        """End one that was begun without going on with it: DAGs are put back as they were, nothing else.

        Raises :class:`UserError` as :meth:`play`, and where none was begun that has not ended.
        """
        with self._journal.lock(this_actor(), ACTION, self.deployment) as held:
            begun = self._unfinished()
            if begun is None:
                raise UserError("no kill-switch was begun that has not ended", "xcomctl journal", Verdict.REFUSED)
            player = self._player(self._work(begun, held))
            steps = [STEPS[UNPAUSE]] if killswitch_hard.holds_pauses(begun) else []
            played, verdict = player.play(steps)
            if verdict is Verdict.OK:
                player.record(ACTION, Verdict.REFUSED, data={"abandoned": True})
            decision = Decision(recommend(self.view.sees), begun.way, begun)
            return replace(self._report(decision, tuple(played), verdict), abandoned=verdict is Verdict.OK)

    def _decide(self, *, hard: bool, to_inline: bool) -> Decision:
        emergency = self.wanted.emergency is not None
        return decide(self.view.sees, self._unfinished(), hard=hard, to_inline=to_inline, emergency=emergency)

    @property
    def _journal(self) -> Journal:
        return opened(self.where)

    def _unfinished(self) -> Begun | None:
        found = unfinished(self._journal.entries(), self.deployment)
        if found is not None and self.deployment is None:
            self._is_ours(found)
        return found

    def _is_ours(self, begun: Begun) -> None:
        """Refuse one of another Airflow: without a name they share a journal. A context, or the carrier, is the same."""
        first = begun.first
        contexts = set(first.before or {})
        seen = {*self.view.sees.phases, *self.view.sees.silent}
        if contexts & seen or (self._carrier and first.data.get("carrier") == self._carrier["carrier"]):
            return
        raise UserError(
            f"a kill-switch, begun at {begun.since} for {', '.join(sorted(contexts))}, has not ended, and none of these is seen",
            "name what it was begun for to go on with it; for another Airflow name its deployment (-D), or a journal of its "
            "own (--journal FILE)",
            Verdict.REFUSED,
        )

    @property
    def _carrier(self) -> dict[str, Any]:
        carrier = self.wanted.carrier
        return {} if carrier is None else {"carrier": carrier.resolved}

    def _steps(self, begun: Begun, again: bool) -> list[Step]:
        left = remaining(begun, self.view.sees.resolves(begun.way.target)) if again else begun.way.steps
        return [STEPS[step] for step in left]

    def _work(self, begun: Begun, lock: Lock | None = None) -> Work:
        return Work(begun.way, self.agents, self.view, self.wanted, self.where, self.deployment, begun, lock)

    def _player(self, work: Work) -> Player:
        return Player(work, self.desk.confirm, self.desk.show, self.desk.progress)

    def _report(self, decision: Decision, played: tuple[Played, ...], verdict: Verdict) -> KillswitchReport:
        return KillswitchReport(
            sees=self.view.sees,
            recommendation=decision.recommendation,
            way=decision.way,
            verdict=verdict,
            steps=played,
            resumes=None if decision.resumes is None else decision.resumes.since,
        )


def rolled_back_alone(begun: Begun) -> bool:
    """Whether a release was rolled back, and no call has edited what it is deployed from."""
    edited = begun.done(REVERT)
    return any("release" in each.data for each in begun.begun(DEPLOY)) and (
        edited is None or "carrier" not in edited.data
    )


def _rollback(work: Work) -> dict[str, Any] | None:
    asked, found = work.wanted.emergency, work.rollback
    return found.to_json(asked) if asked is not None and found is not None else None


def _takes(way: Way, wanted: Wanted, to_inline: bool) -> None:
    """Refuse what was said to a hard one, where another one is played: nobody may believe that it has an effect."""
    if way is Way.HARD:
        return
    said = (
        ("--only-at-risk", wanted.only_at_risk),
        ("--past-barrier", wanted.past_barrier is not None),
        ("--clear", bool(wanted.clear) and not to_inline),
    )
    without = [option for option, given in said if given]
    if without:
        message = f"{' and '.join(without)} means nothing on the {way.value} way, which is the one to go"
        raise UserError(message, "leave it out; or --hard, for a backend that cannot be imported", Verdict.REFUSED)


def _to_do(steps: Sequence[Step]) -> tuple[Played, ...]:
    return tuple(Played(step.id, step.title, TO_DO) for step in steps)
