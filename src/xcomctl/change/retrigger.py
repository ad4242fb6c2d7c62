"""Re-trigger: find the task instances that may have got path strings, clear them, wait until their runs are green.

Three steps, each by itself, so that the hard kill-switch and the rehearsal use the same ones: :func:`look` says what has to
run again and changes nothing, :func:`clear` clears it run by run, :func:`watch` waits. What was cleared and has started
since is found no more: its start lies in no window. So whoever was killed in between begins again with :func:`look`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.assess.verify import Runs
from xcomctl.change.clearing import Way
from xcomctl.clients.airflow_api import ApiError
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.errors import UserError
from xcomctl.journal.interface import Journal
from xcomctl.journal.local import entry_now
from xcomctl.journal.lock import Lock
from xcomctl.model import requests
from xcomctl.model.journal_entry import JournalEntry, parse_time
from xcomctl.model.killswitch import ACTION as KILLSWITCH
from xcomctl.model.killswitch import LATE, REHYDRATE
from xcomctl.model.retrigger import HeldBefore, SuspectRun, SuspectsAnswer, SuspectsQuery
from xcomctl.model.retriggered import Cleared, Found, Outcome, Watched
from xcomctl.model.verdicts import Verdict

ACTION = "retrigger"
#: What is about to be cleared; then two entries for each run: announced, and done.
PLAN, RUN = "retrigger.plan", "retrigger.run"
#: What rehydrates references, and says before whose, in ``data.held``.
REHYDRATES = ("rehydrate", f"{KILLSWITCH}.{REHYDRATE}", f"{KILLSWITCH}.{LATE}")
_POLL_S = 1.0
#: Failures of the API in a row after which it is not asked again.
_FAILURES = 4


def look(
    session: AgentSession,
    query: SuspectsQuery,
    waiting: Callable[[str], None] = lambda what: None,
    kill: Collection[str] = (),
) -> Found:
    """What has to run again, as a context with the metadata database sees it; nothing is changed.

    Ask through ``fleet.with_database(lambda session: look(session, …))``. Raises
    :class:`~xcomctl.deployment.agent_errors.AgentError`.
    """
    stream = session.stream(
        requests.SUSPECTS, query.to_json(), lambda message: waiting(str(message.get("message") or ""))
    )
    runs = tuple(SuspectRun.from_json(record) for record in stream)
    return Found(runs, SuspectsAnswer.from_json(stream.result()), frozenset(kill))


def held_before(entries: Iterable[JournalEntry]) -> tuple[HeldBefore, ...]:
    """The runs with suspects whose references were rehydrated, as announced before, and until when each held some.

    That is known where what announced it has come to an end, whichever: a run that still holds some counts by these.
    """
    found: dict[tuple[str, str], HeldBefore] = {}
    announced: dict[tuple[str, str | None], set[tuple[str, str]]] = {}
    for entry in entries:
        if entry.action not in REHYDRATES:
            continue
        if entry.verdict is not None:
            for key in announced.pop((entry.action, entry.plan), ()):
                found[key] = replace(found[key], until=entry.at)
            continue
        for each in map(HeldBefore.from_json, entry.data.get("held") or ()):
            key = each.dag_id, each.run_id
            first = min(each.first, found.get(key, each).first, key=parse_time)
            found[key] = replace(each, first=first, until=None)
            announced.setdefault((entry.action, entry.plan), set()).add(key)
    return tuple(found.values())


def to_hold(found: Found, known: Sequence[HeldBefore]) -> list[HeldBefore]:
    """What :func:`held_before` has to be told before references are rehydrated, besides what it knows (``known``).

    The runs that were found, as far as they hold some; the one that held some before all others, for those that read
    another run's; and those of a rehydrate that did not come to its end.
    """
    if not found.runs:
        return [each for each in known if each.until is None]
    over = {(each.dag_id, each.run_id) for each in known if each.until is not None}
    runs = (
        HeldBefore(run.dag_id, run.run_id, run.first)
        for run in found.runs
        if run.first is not None and (run.references or run.aliases or run.key not in over)
    )
    first = [] if found.answer.first is None else [found.answer.first]
    pending = (each for each in known if each.until is None)
    return list({(each.dag_id, each.run_id): each for each in (*first, *pending, *runs)}.values())


@dataclass(frozen=True)
class Steps:
    """Where each step is recorded, the lock under which it is taken, and the contexts of this Airflow.

    Each context by its name, with the phase that it was seen in; ``None`` where that is not told.
    """

    journal: Journal
    deployment: str | None
    lock: Lock
    contexts: tuple[tuple[str, str | None], ...] = ()

    def append(self, action: str, plan: str, verdict: Verdict | None, **more: Any) -> None:
        """Append one entry. Raises ``JournalError``."""
        _append(self.journal, self.deployment, action, plan, verdict, **more)


def clear(
    found: Found, way: Way, steps: Steps, waiting: Callable[[str], None] = lambda what: None
) -> Iterator[tuple[SuspectRun, Cleared]]:
    """Clear run after run, each announced in the journal before and recorded after it; what became of each, as it is done.

    A run of which something began to run since the look is left as it is (``Cleared.running``). Raises
    :class:`~xcomctl.errors.UserError` for what cannot be asked for, ``LockLost`` for a lock that is not ours any more.
    """
    plan = found.plan
    runs = found.clearable
    if runs:
        steps.append(PLAN, plan, None, data=_announced(found, steps))
    for run in runs:
        steps.lock.renew()
        waiting(f"{run.dag_id} {run.run_id}")
        named: Mapping[str, Any] = {"dag_id": run.dag_id, "run_id": run.run_id, "way": way.name}
        states = {each.name: each.state for each in run.to_clear}
        steps.append(RUN, plan, None, before={"state": run.state, "instances": states}, data=named)
        cleared = way.clear(run, found.kill)
        done = {**named, "running": list(cleared.running), "warnings": list(cleared.warnings)}
        verdict = Verdict.INCONCLUSIVE if cleared.running else Verdict.OK
        after = {"state": cleared.run_state, "instances": dict.fromkeys(cleared.instances)}
        steps.append(RUN, plan, verdict, before={"state": run.state, "instances": states}, after=after, data=done)
        yield run, cleared


def _announced(found: Found, steps: Steps) -> dict[str, Any]:
    return {
        "contexts": [{"name": name, "phase": phase} for name, phase in steps.contexts],
        "runs": len(found.clearable),
        "instances": sum(len(run.to_clear) for run in found.clearable),
        "held": [list(run.key) for run in found.held],
        "kill": sorted(found.kill),
        "windows": [each.to_json() for each in found.answer.windows],
        **({} if steps.lock.took_over is None else {"took_over": steps.lock.took_over.to_json()}),
    }


def unfinished(journal: Journal, deployment: str | None, contexts: Sequence[str]) -> list[tuple[str, str]]:
    """DAG and run id of the runs that a re-trigger which did not come to its end has announced, or cleared.

    Where no deployment is named, entries of several Airflows may lie side by side. Raises
    :class:`~xcomctl.errors.UserError` if it was one of other contexts than these: its runs are not waited for here, nor
    may it be taken for done.
    """
    runs: dict[tuple[str, str], None] = {}
    of: list[str] = []
    for entry in journal.entries():
        if entry.deployment != deployment:
            continue
        if entry.action == ACTION:
            runs.clear()
        elif entry.action == PLAN:
            of = of if runs else sorted({str(each["name"]) for each in entry.data.get("contexts") or ()})
        elif entry.action == RUN:
            runs[str(entry.data.get("dag_id")), str(entry.data.get("run_id"))] = None
    if runs and deployment is None and of and of != sorted(contexts):
        raise UserError(
            f"a re-trigger of other contexts has not come to its end: {', '.join(of)}",
            "name the same contexts to go on with it; for another Airflow -D NAME, or --journal FILE of its own",
            Verdict.REFUSED,
        )
    return list(runs)


def left_paused(runs: Iterable[tuple[str, str]], paused: Mapping[str, bool], states: Runs) -> set[tuple[str, str]]:
    """Those that are not over and go on only once their DAG is unpaused: nobody needs to wait for them.

    ``paused`` tells of each DAG whether it is. Raises as :func:`watch`.
    """
    waiting = [key for key in runs if paused.get(key[0])]
    return {(each.dag_id, each.run_id) for each in watch(waiting, states, 0.0) if each.verdict is Verdict.INCONCLUSIVE}


def watch(
    runs: Iterable[tuple[str, str]], states: Runs, timeout_s: float, waiting: Callable[[str], None] = lambda what: None
) -> list[Watched]:
    """The runs once all are over, or as they are when the time is. A few failures of the API in a row end nothing.

    Raises :class:`~xcomctl.errors.UserError` where they cannot be asked for.
    """
    deadline = time.monotonic() + timeout_s
    left = list(dict.fromkeys(runs))
    seen: dict[tuple[str, str], Watched] = {}
    failures = 0
    while True:
        try:
            for dag_id, run_id in left:
                seen[dag_id, run_id] = Watched(dag_id, run_id, states.state(dag_id, run_id).run_state)
            failures = 0
        except ApiError as error:
            failures += 1
            if failures > _FAILURES or time.monotonic() >= deadline:
                raise
            waiting(f"{error.message}; asking again")
        else:
            left = [key for key in left if seen[key].verdict is Verdict.INCONCLUSIVE]
            if not left or time.monotonic() >= deadline:
                return list(seen.values())
            dag_id, run_id = left[0]
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            waiting(f"{dag_id} {run_id}, which is {seen[left[0]].state}{more}")
        time.sleep(min(_POLL_S * 2**failures, max(0.0, deadline - time.monotonic())))


def record(
    plan: str,
    verdict: Verdict,
    outcome: Outcome,
    journal: Journal,
    deployment: str | None,
    held: Sequence[tuple[str, str]] = (),
) -> None:
    """Append the end of a re-trigger: what it announced is done with. ``held`` runs were not cleared, for what runs there.

    Raises ``JournalError``.
    """
    _append(
        journal,
        deployment,
        ACTION,
        plan,
        verdict,
        data={
            "runs": [{"dag_id": each.dag_id, "run_id": each.run_id, "state": each.state} for each in outcome.watched],
            "held": [list(key) for key in held],
            "paused": [list(key) for key in outcome.paused],
        },
    )


def _append(
    journal: Journal, deployment: str | None, action: str, plan: str, verdict: Verdict | None, **more: Any
) -> None:
    journal.append(entry_now(action, deployment, plan=plan, verdict=verdict, **more))
