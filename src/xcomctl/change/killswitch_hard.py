"""What the hard kill-switch does around the revert and the rehydrate: pause before; afterwards clear, unpause and watch."""

from __future__ import annotations

import functools
import time

from xcomctl.assess.verify import AgentRuns, observed_before
from xcomctl.change import retrigger
from xcomctl.change.clearing import AgentWay
from xcomctl.change.killswitch import Begin, Outcome, Step, Work, at_risk, default_base_path, named
from xcomctl.change.pauses import AgentPauses, PauseWay, to_restore
from xcomctl.change.retrigger import held_before
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.journal.local import now
from xcomctl.model import retriggered
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.killswitch import CLEAR, PAUSE, UNPAUSE, WATCH, Begun, Way
from xcomctl.model.phases import Phase
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.retrigger import SuspectRun, SuspectsQuery, span
from xcomctl.model.retriggered import Cleared, Found
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units

_POLL_S = 5.0


class Pause(Step):
    """Pauses the DAGs, so that schedulers queue nothing more of them."""

    id = PAUSE
    title = "Pause the DAGs"
    previewed = True
    asks_contexts = True

    def prepare(self, work: Work) -> list[str]:
        """The DAGs that are not paused."""
        chosen = _to_pause(work, _pauses(work).states())
        said = f"pause {units.count(len(chosen), 'DAG')}: {named(chosen)}" if chosen else "no DAG has to be paused"
        return [said, *_of_backfills(work)]

    def asks(self, work: Work) -> bool:
        """It changes something."""
        return True

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Pause them; what they were is in the journal before the first one is."""
        way = _pauses(work)
        states = way.states()
        chosen = _to_pause(work, states)
        paused = sorted(name for name, is_paused in states.items() if is_paused)
        begin(before={"paused": paused, "unpaused": chosen}, after={"paused": sorted({*paused, *chosen})})
        gone = way.set(chosen, True) if chosen else ()
        notes = [*_of_backfills(work), *(f"{name} is not there any more" for name in gone)]
        return Outcome(f"{units.count(len(chosen) - len(gone), 'DAG')} paused", notes=tuple(notes))


class Clear(Step):
    """Clears what pushed references, what may have got path strings, and what is downstream of either."""

    id = CLEAR
    title = "Clear producers and suspects"
    asks_contexts = True

    def prepare(self, work: Work) -> list[str]:
        """The runs, and what of them."""
        found = work.found = look(work)
        lines = [_run_line(run) for run in found.runs if run.to_clear] or ["nothing has to run again"]
        others = sum(not run.to_clear for run in found.runs)
        if others:
            said = f"{units.count(others, 'other run')} may have read these references"
            lines.append(f"{said}: xcomctl retrigger lists them, with what to name to clear them")
        return lines

    def asks(self, work: Work) -> bool:
        """Whether anything has to run again."""
        return work.found is not None and bool(work.found.clearable or work.found.held)

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Clear run after run, those last of which something had to end first."""
        deadline = time.monotonic() + work.wanted.timeout_s
        found = work.found or look(work)
        begin(data={"plan": found.plan, "runs": [list(run.key) for run in found.runs]})
        cleared: list[str] = []
        notes: list[str] = list(found.answer.warnings)
        while True:
            outcomes = work.agents.fleet().with_database(functools.partial(_clear, work, found))
            cleared += [
                f"{run.dag_id} {run.run_id}: {named(done.instances)}" for run, done in outcomes if done.instances
            ]
            notes += [warning for _, done in outcomes for warning in done.warnings]
            running = [run for run, done in outcomes if done.running]
            if not found.held and not running:
                break
            if time.monotonic() >= deadline:
                left = [_run_line(run) for run in (*found.held, *running)]
                hint = "--clear DAG.TASK kills what runs; or wait, and call again"
                return Outcome("something that has to run again still runs", Verdict.INCONCLUSIVE, tuple(left), hint)
            work.waiting("what runs and has to run again")
            time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
            found = look(work)
        kept = _finished_with_references(work)
        said = f"{units.count(len(cleared), 'run')} cleared"
        if kept:
            said += (
                f"; {units.count(len(kept), 'finished run')} still {'holds' if len(kept) == 1 else 'hold'} references"
            )
            notes += [f"keeps references: {run.dag_id} {run.run_id} ({run.references:,})" for run in kept]
        data = {"finished_with_references": [[run.dag_id, run.run_id, run.references] for run in kept]}
        return Outcome(said, notes=(*cleared, *notes), data=data)


class Unpause(Step):
    """Puts DAGs back as they were before."""

    id = UNPAUSE
    title = "Unpause the DAGs that were not paused before"

    def prepare(self, work: Work) -> list[str]:
        """Nothing that the journal does not say."""
        return []

    def asks(self, work: Work) -> bool:
        """It changes something."""
        return True

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Unpause them, and say what somebody else did meanwhile."""
        way = _pauses(work)
        before = (entry.before or {} for entry in work.begun.round.begun(UNPAUSE))
        done = [str(name) for states in before for name in states.get("paused", ())]
        found = to_restore(_paused_by_us(work.begun), _paused_at_first(work.begun), way.states(), done)
        begin(before={"paused": list(found.unpaused)}, after={"unpaused": list(found.unpaused)})
        gone = (*found.gone, *(way.set(found.unpaused, False) if found.unpaused else ()))
        notes = [f"{name} was unpaused by somebody else meanwhile" for name in found.unpaused_before]
        notes += [
            f"{name} was paused before, and somebody unpaused it: left as it is" for name in found.unpaused_by_others
        ]
        notes += [f"{name} is not there any more" for name in gone]
        return Outcome(f"{units.count(len(found.unpaused), 'DAG')} unpaused", notes=tuple(notes))


class Watch(Step):
    """Waits until the runs that were cleared are green."""

    id = WATCH
    title = "Watch until green"

    def prepare(self, work: Work) -> list[str]:
        """Nothing is changed."""
        return []

    def asks(self, work: Work) -> bool:
        """Nothing is changed."""
        return False

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Look at them until all are over, or the time is."""
        paused = _paused_at_first(work.begun)
        cleared = _cleared_runs(work)
        waiting = [run for run in cleared if run[0] in paused]
        watched = work.agents.fleet().with_database(
            lambda session: retrigger.watch(
                (run for run in cleared if run not in waiting), AgentRuns(session), work.wanted.timeout_s, work.waiting
            )
        )
        bad = [each for each in watched if each.verdict is not Verdict.OK]
        verdicts = {each.verdict for each in bad}
        verdict = next((each for each in (Verdict.FAILED, Verdict.INCONCLUSIVE) if each in verdicts), Verdict.OK)
        if cleared:
            # Else they would be taken for those of a re-trigger that did not come to its end.
            ended = retriggered.Outcome(watched=tuple(watched), paused=tuple(waiting))
            retrigger.record(work.begun.plan, verdict, ended, work.journal, work.deployment)
        notes = [f"{each.dag_id} {each.run_id} is {each.state or 'gone'}" for each in bad]
        notes += [f"{dag_id} {run_id} waits: its DAG was paused before" for dag_id, run_id in waiting]
        said = f"{len(watched) - len(bad)} of {units.count(len(watched), 'cleared run')} green"
        if not bad:
            return Outcome(said, notes=tuple(notes))
        work.over = all(each.verdict is Verdict.FAILED for each in bad)
        hint = "look at their logs" if work.over else "call again to go on watching"
        return Outcome(said, verdict, tuple(notes), hint)


#: Around the steps of the revert, and of the rehydrate.
STEPS: tuple[Step, ...] = (Pause(), Clear(), Unpause(), Watch())


def holds_pauses(begun: Begun) -> bool:
    """Whether DAGs may be paused that were not before."""
    return bool(begun.round.begun(PAUSE)) and begun.round.done(UNPAUSE) is None


# --- pauses -------------------------------------------------------------------------------------------------------------


def _pauses(work: Work) -> PauseWay:
    return work.wanted.pauses or AgentPauses(work.agents.fleet())


def _to_pause(work: Work, states: dict[str, bool]) -> list[str]:
    unpaused = sorted(name for name, is_paused in states.items() if not is_paused)
    if not work.wanted.only_at_risk:
        return unpaused
    held = {run.dag_id for run in at_risk(work, work.wanted.base_path, unfinished_only=True)}
    return [name for name in unpaused if name in held]


def _of_backfills(work: Work) -> list[str]:
    """A 2.x backfill is seen in the metadata database alone."""
    found = AgentPauses(work.agents.fleet()).backfills()
    return [f"a backfill of {name} is under way, and goes on although the DAG is paused: end it" for name in found]


def _paused_by_us(begun: Begun) -> set[str]:
    return {str(name) for entry in begun.round.begun(PAUSE) for name in (entry.before or {}).get("unpaused", ())}


def _paused_at_first(begun: Begun) -> set[str]:
    entries = begun.round.begun(PAUSE)
    return {str(name) for name in (entries[0].before or {}).get("paused", ())} if entries else set()


# --- what runs, and what has to run again -------------------------------------------------------------------------------


def look(work: Work) -> Found:
    """Who started since the edit, or while a context was misconfigured before, and what pushed the references."""
    names = set(work.view.sees.phases)
    because = "the kill-switch wrote inline into the carrier"
    query = SuspectsQuery(
        base_path=work.wanted.base_path,
        default_base_path=default_base_path(work),
        observations=tuple(observed_before(work.journal, work.deployment, names)),
        windows=(span(work.first_edited_at, parse_time(now()), Phase.INLINE.value, because),),
        producers=work.way is Way.HARD,
        held=held_before(work.begun.entries),
    )
    return work.agents.fleet().with_database(
        lambda session: retrigger.look(session, query, work.waiting, work.wanted.clear)
    )


def _clear(work: Work, found: Found, session: AgentSession) -> list[tuple[SuspectRun, Cleared]]:
    names = tuple((context.name, None) for context in work.agents.fleet().contexts)
    steps = retrigger.Steps(work.journal, work.deployment, work.held, names)
    return list(retrigger.clear(found, AgentWay(session), steps, work.waiting))


def _cleared_runs(work: Work) -> list[tuple[str, str]]:
    """The runs of which something was cleared since this kill-switch began, by whichever call of it."""
    found: dict[tuple[str, str], None] = {}
    for entry in work.journal.entries():
        if entry.action == retrigger.RUN and entry.deployment == work.deployment and entry.at >= work.begun.since:
            found[str(entry.data.get("dag_id")), str(entry.data.get("run_id"))] = None
    return list(found)


def _finished_with_references(work: Work) -> list[AtRiskRun]:
    return [run for run in at_risk(work, work.wanted.base_path, unfinished_only=False) if run.finished]


def _run_line(run: SuspectRun) -> str:
    state = run.state or "no state"
    return f"clear in {run.dag_id} {run.run_id} ({state}): {named([each.name for each in run.to_clear])}"
