"""``rehydrate``: references back into the database, announced and recorded; and whether ``inline`` is safe now."""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.assess import refs
from xcomctl.assess.fleet import Fleet
from xcomctl.change import gates, retrigger
from xcomctl.change.barrier import Barriers, Evaluated, stood_still
from xcomctl.change.observed import Standing, held, standing, versions
from xcomctl.change.steps import Asked, Steps
from xcomctl.change.windows import Observed, observed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.errors import UserError
from xcomctl.journal.interface import Where
from xcomctl.journal.local import entry_now, this_actor
from xcomctl.journal.lock import Lock
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.phases import Phase
from xcomctl.model.plan import digest, is_in_the_way
from xcomctl.model.redaction import redact
from xcomctl.model.references import covers
from xcomctl.model.refs import OUTSIDE, RefsQuery, RefTotals
from xcomctl.model.rehydrate import (
    ALIAS,
    ALL,
    CHANGED,
    DANGLING,
    DIFFERS,
    DOES_NOT_FIT,
    JSON_STRING,
    LOCKED,
    MAX_BYTES,
    MAX_VALUE_BYTES,
    OVER_MAX_BYTES,
    PATH_STRING,
    TOO_LARGE,
    UNDECODABLE,
    UNFINISHED,
    UNREAD,
    RehydrateAnswer,
    RehydrateQuery,
    Row,
)
from xcomctl.model.rehydrate import OUTSIDE as LEADS_OUT
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.retrigger import SuspectsQuery
from xcomctl.model.transitions import Direction, PhaseStep
from xcomctl.model.verdicts import Check, Status, Verdict
from xcomctl.report import units

ACTION = "rehydrate"
SCHEMA = "xcomctl.rehydrate/1"
VERIFY_SCHEMA = "xcomctl.rehydrate-verify/1"

#: Each time the lock is renewed it is one more object in the journal.
RENEW_EVERY_S = 20.0

Waiting = Callable[[str], None]


class TooMuch(UserError):
    """More bytes than may be written into the database; nothing was. ``enough`` is the option that would allow them."""

    def __init__(self, message: str, enough: str, otherwise: str) -> None:
        super().__init__(message, f"{enough}, {otherwise}", Verdict.REFUSED)
        self.enough = enough


class Rehydrate:
    """One call of the command for one deployment."""

    def __init__(
        self, fleet: Fleet, journal: Where, deployment: str | None, query: RehydrateQuery, options: str
    ) -> None:
        self._fleet, self._journal, self._deployment = fleet, journal, deployment
        self.query, self._options = query, options
        self._standing: Standing | None = None
        self._seen: Observed | None = None
        self._stopped: Evaluated | None = None
        #: Rows that were looked at, as far as that was told.
        self.looked_at = 0

    @property
    def whole(self) -> bool:
        """Whether all references are asked for, so that ``inline`` may be safe afterwards."""
        query = self.query
        return query.runs == ALL and not (query.dag_id or query.run_id or query.before or self._elsewhere)

    @property
    def _elsewhere(self) -> list[str]:
        """Base paths that resolve, and below which references are left as they are."""
        base_path = self.query.base_path
        paths = () if self._standing is None or base_path is None else self._standing.paths
        return [each for each in paths if not covers(str(base_path), each)]

    @property
    def hash(self) -> str:
        """What names this plan in the journal."""
        return digest({"action": ACTION, **self.query.to_json()})

    def lock(self) -> AbstractContextManager[Lock]:
        """The lock under which rows are written. Raises where another change is under way."""
        return opened(self._journal).lock(this_actor(), ACTION, self._deployment)

    def look(self, waiting: Waiting) -> Before:
        """What is there to do. Raises :class:`UserError` where that cannot be told, or more would be written than may be."""
        found = self._standing = standing(self._fleet, waiting, self.query.default_base_path)
        base_path = self.query.base_path or found.path or self.query.default_base_path
        self.query = replace(self.query, base_path=base_path)
        if self.query.write:
            waiting("whether this database is written to")
            params = replace(self.query, look=True).given()
            self._fleet.with_database(lambda session: session.request(requests.REHYDRATE, params), heavy=True)
        waiting("references, and their objects")
        query = RefsQuery(
            base_path=base_path,
            dag_id=self.query.dag_id,
            run_id=self.query.run_id,
            unfinished_only=self.query.runs == UNFINISHED,
            archives=False,
            only=(OUTSIDE,),
        )
        totals = refs.scan(self._fleet, query, {}, lambda item: None, waiting, heavy=True).totals
        before = Before(found.phases, totals, tuple(_notes(found, totals, self._elsewhere, self._options)))
        self._refuse(before)
        return before

    def with_readers(self, before: Before, waiting: Waiting, base_path: str = "") -> Before:
        """The same with who may have got path strings until now: that cannot be told once the references are gone.

        ``base_path`` is what was said of it, as an option. Raises as :meth:`look`.
        """
        if not before.rows:
            return before
        seen = self._seen = observed(self._fleet, opened(self._journal), self._deployment, waiting)
        if not seen.ever_handing:
            return before
        waiting("what may have got path strings")
        query = seen.asks(SuspectsQuery(self.query.base_path, dag_id=self.query.dag_id, run_id=self.query.run_id))
        found = self._fleet.with_database(lambda session: retrigger.look(session, query, waiting))
        notes = before.notes
        if found.runs:
            runs = units.count(len(found.runs), "run")
            again = f"xcomctl retrigger{base_path}{self._options}"
            notes = (*notes, f"{runs} may have got path strings: {again} afterwards")
        return replace(before, notes=notes, readers=len(found.runs), held=tuple(retrigger.to_hold(found, seen.held)))

    def _refuse(self, before: Before) -> None:
        totals = before.totals
        if totals.store_error:
            raise UserError(
                f"the store cannot be asked: {totals.store_error}",
                f"xcomctl status{self._options}",
                Verdict.INCONCLUSIVE,
            )
        # Of those that are old enough it may be less: then only the agent knows.
        if totals.reference_bytes > self.query.max_bytes and self.query.before is None:
            raise TooMuch(
                f"{units.count(totals.references, 'reference')} point to {units.size(totals.reference_bytes)}, and at most "
                f"{units.size(self.query.max_bytes)} are written into the database unless more is asked for",
                f"--max-bytes {totals.reference_bytes}",
                "or a part of it: --dag-id, --runs unfinished",
            )

    def refuse_unless_quiet(self, waiting: Waiting) -> None:
        """Refuse unless every component is stopped, nothing is queued or running, and nothing was since this was asked first.

        To be asked twice, a moment apart; :meth:`play` asks once more.
        """
        gate = self._quiet(waiting)
        if is_in_the_way(gate):
            verdict = Verdict.REFUSED if gate.status is Status.FAIL else Verdict.INCONCLUSIVE
            raise UserError(f"--quiesced needs everything to stand still: {gate.detail}", gate.hint, verdict)

    def _quiet(self, waiting: Waiting) -> Check:
        now = Barriers(self._fleet, self._journal, self._deployment, reads_only=True).evaluate_stopped(waiting)
        self._stopped = self._stopped or now
        return gates.barrier(stood_still(self._stopped, now), self._options)

    def announce(self, before: Before, held_lock: Lock) -> None:
        """Write into the journal what is about to be done, and who may have got path strings until now."""
        data: dict[str, Any] = {
            "query": self.query.given(),
            "references": before.totals.references,
            "object_bytes": before.totals.reference_bytes,
            "held": [each.to_json() for each in before.held],
        }
        if self._seen is not None:
            data["contexts"] = [{"name": name, "phase": phase} for name, phase in self._seen.contexts]
        if held_lock.took_over is not None:
            data["took_over"] = held_lock.took_over.to_json()
        known = {} if self._standing is None else versions(self._standing.answers)
        opened(self._journal).append(
            entry_now(ACTION, self._deployment, versions=known, plan=self.hash, before=dict(before.phases), data=data)
        )

    def play(
        self,
        each: Callable[[Row], None],
        waiting: Waiting,
        total: int | None = None,
        renew: Callable[[], None] = lambda: None,
    ) -> After:
        """Do it, or with ``write`` false all but the updates; ``each`` gets every row that is worth telling.

        Raises :class:`~xcomctl.deployment.agent_errors.AgentError`.
        """
        started = time.monotonic()
        pace = Pace(waiting, total, renew)
        answer = self._fleet.with_database(functools.partial(self._ask, each, pace), heavy=True)
        after = After(answer, time.monotonic() - started, None)
        if self.whole and self.query.write and self.query.base_path is not None and not answer.store_error:
            after = replace(after, left=held(self._fleet, self.query.base_path, waiting, store=False).blocking)
        if self._stopped is not None and self.query.write:
            gate = self._quiet(waiting)
            after = replace(after, disturbed=gate.detail if is_in_the_way(gate) else "")
        return after

    def record(self, after: After | None, verdict: Verdict) -> None:
        """Write into the journal how it ended; ``None`` where it was broken off."""
        data: dict[str, Any] = {"broken_off": True, "looked_at": self.looked_at}
        if after is not None:
            data = {"answer": after.answer.to_json(), "seconds": round(after.seconds, 1)}
            if after.left is not None:
                data["left_in_all"] = {"references": after.left.references, "aliases": after.left.aliases}
            if after.disturbed:
                data["disturbed"] = after.disturbed
        opened(self._journal).append(entry_now(ACTION, self._deployment, plan=self.hash, verdict=verdict, data=data))

    def _ask(self, each: Callable[[Row], None], pace: Pace, session: AgentSession) -> RehydrateAnswer:
        def tell(message: Mapping[str, Any]) -> None:
            self.looked_at = message.get("done") or self.looked_at
            pace.tell(message)

        stream = session.stream(requests.REHYDRATE, self.query.given(), tell)
        for record in stream:
            each(Row.from_json(record))
        return RehydrateAnswer.from_json(stream.result())


class Pace:
    """Tells how far it is, how fast, and how long it may still take; and looks now and then whether the lock is ours still.

    A thread keeps it; but who was suspended for longer than it lasts has lost it.
    """

    def __init__(
        self, waiting: Waiting, total: int | None, renew: Callable[[], None], renew_every_s: float = RENEW_EVERY_S
    ) -> None:
        self._waiting, self._total, self._renew = waiting, total, renew
        self._started = self._renewed = time.monotonic()
        self._renew_every_s = renew_every_s

    def tell(self, message: Mapping[str, Any]) -> None:
        """One message of the agent's."""
        done = message.get("done")
        if done is None:
            return
        now = time.monotonic()
        if now - self._renewed >= self._renew_every_s:
            self._renewed = now
            self._renew()
        took = max(now - self._started, 0.001)
        rate = done / took
        said = f"{done:,}{f' of {self._total:,}' if self._total else ''} rows, {rate:,.0f}/s"
        if self._total and done < self._total and rate:
            said += f", about {units.elapsed((self._total - done) / rate)} left"
        self._waiting(said)


def _notes(found: Standing, totals: RefTotals, elsewhere: Sequence[str], options: str) -> Iterator[str]:
    """What a person has to know before."""
    writing = [name for name, phase in found.phases.items() if phase == Phase.OFFLOAD.value]
    if writing:
        yield f"{', '.join(writing)}: offload, so new values go on to the store: xcomctl flip --to dual-read{options}"
    for name, why in found.problems.items():
        yield f"{name} did not answer: {why}"
    if elsewhere:
        yield f"only what lies below {totals.base_path} is rehydrated, while contexts resolve {', '.join(elsewhere)}"
    if totals.foreign:
        said = f"left alone below another base path: {units.count(totals.foreign, 'reference')}"
        other = next(iter(totals.foreign_bases), "URL")
        yield f"{said}; xcomctl rehydrate --base-path {shlex.quote(other)}{options}"
    if totals.pickled:
        yield f"{units.count(totals.pickled, 'pickled XCom')} cannot be looked into, and may hold references"
    yield from found.warnings


def verified(fleet: Fleet, journal: Where, deployment: str | None, asked: Asked, waiting: Waiting) -> tuple[Check, ...]:
    """Whether ``inline`` is safe now: the gates of the step there, and that this is the next step.

    Where another base path resolves than the one that is given, both are looked at. Raises :class:`UserError` where
    something cannot be asked.
    """
    found = standing(fleet, waiting, asked.planned.path)
    title = "every context is in dual-read"
    phase = found.phase
    steps = Steps(fleet, journal, deployment, found, replace(asked, reads_only=True), waiting)

    def elsewhere() -> Iterator[Check]:
        given = asked.given.path
        if given is None or steps.base_path is None or covers(steps.base_path, given):
            return
        options = f" --base-path {shlex.quote(redact(given))}{asked.options}"
        stored = held(fleet, given, waiting, store=False)
        gate = gates.references(stored, asked.keep_finished, options, asked.accepted)
        title = f"no row of xcom holds a reference below {redact(given)}"
        yield replace(gate, id="gate_references_elsewhere", title=title)

    if phase is Phase.INLINE:
        first = Check("gate_phase", gates.CATEGORY, title, Status.OK, "every context is in inline already")
        barrier = steps.passed(Phase.INLINE)  # before the look: what is older may still push a reference
        stored = None if steps.base_path is None else held(fleet, steps.base_path, waiting, store=False)
        return (
            first,
            barrier,
            gates.references(stored, asked.keep_finished, asked.options, asked.accepted),
            *elsewhere(),
        )
    if phase is not Phase.DUAL_READ:
        detail = found.problem if phase is None else f"they are in {phase.value}"
        status = Status.SKIP if found.problems else Status.FAIL
        hint = f"xcomctl {'status' if found.problems else 'plan --to inline'}{asked.options}"
        return (Check("gate_phase", gates.CATEGORY, title, status, detail, hint),)
    step = PhaseStep(Phase.DUAL_READ, Phase.INLINE, Direction.DOWN)
    return (
        Check("gate_phase", gates.CATEGORY, title, Status.OK, units.count(len(found.phases), "context")),
        *steps.look(step, steps.wanted(Phase.INLINE)).gates,
        *elsewhere(),
    )


def verdict_of(checks: tuple[Check, ...]) -> Verdict:
    """Safe, not safe, or not known."""
    if any(check.status is Status.FAIL for check in checks):
        return Verdict.FAILED
    return Verdict.INCONCLUSIVE if any(check.status is Status.SKIP for check in checks) else Verdict.OK


@dataclass(frozen=True)
class Spelled:
    """Options of commands to type: ``which`` ask for the same rows, ``base_path`` (among these) says below which path,
    ``contexts`` name the contexts, ``carrier`` the file to edit."""

    which: str = ""
    base_path: str = ""
    contexts: str = ""
    carrier: str = ""


def same_again(query: RehydrateQuery, spelled: Spelled) -> str:
    """The command for the same rows within the same bounds."""
    return f"xcomctl rehydrate{spelled.which}{_bounds(query)}{spelled.contexts}"


def next_steps(after: After, query: RehydrateQuery, spelled: Spelled, readers: int = 0) -> list[str]:
    """What to type next. ``readers`` may have got path strings before these were rehydrated."""
    first = (
        [f"xcomctl retrigger{spelled.base_path}{spelled.contexts}  # what may have got path strings before"]
        if readers and query.write
        else []
    )
    return [*first, *_of_rows(after, query, spelled)]


def _of_rows(after: After, query: RehydrateQuery, spelled: Spelled) -> list[str]:
    options = spelled.contexts
    if after.disturbed:
        return [f"xcomctl status{options}  # what was up: its tasks may have read strings as something else meanwhile"]
    # Whatever was left then, a scan found nothing afterwards.
    clean = after.left is not None and after.verdict is Verdict.OK
    left = {} if clean else after.answer.left
    rehydrate, same = f"xcomctl rehydrate{spelled.which}", same_again(query, spelled)
    found: list[str] = []
    if after.answer.store_error or left.get(UNREAD):
        found.append(f"xcomctl status{options}  # the store; then call again: what was done stays")
    elif not query.write:
        found.append(same)
    elif left.get(CHANGED) or left.get(LOCKED):
        found.append(f"{same}  # again, for what changed or was locked meanwhile")
    if left.get(TOO_LARGE):
        found.append(f"{rehydrate} --max-value-bytes BYTES{options}  # for the values that are larger")
    if left.get(OVER_MAX_BYTES):
        found.append(f"{rehydrate} --max-bytes BYTES{options}  # for the rest")
    if left.get(DANGLING):
        found.append(f"xcomctl refs --dangling{options}  # clear the tasks that pushed them, so that they push again")
    if left.get(UNDECODABLE) or left.get(LEADS_OUT):
        found.append(
            f"xcomctl refs{options}  # clear the tasks that pushed what is damaged, or leads out of the base path"
        )
    if left.get(ALIAS):
        found.append(
            f"xcomctl refs --aliases{options}  # clear these tasks: they get the value then; or --accept DAG.TASK"
        )
    if left.get(JSON_STRING):
        found.append(f"{rehydrate} --quiesced{options}  # with every component stopped")
    if any(left.get(why) for why in (DOES_NOT_FIT, PATH_STRING, DIFFERS)):
        found.append(f"xcomctl refs{options}  # have these tasks return something else, or stay in dual-read")
    if found:
        return found
    if not clean:  # a part of them; or what is left was not there before
        return [f"xcomctl rehydrate --verify{spelled.base_path}{options}"]
    stopped = " --fleet-stopped" if query.no_readers else ""
    return [f"xcomctl flip --to inline{stopped}{spelled.carrier}{options}"]


def _bounds(query: RehydrateQuery) -> str:
    """The bounds that are not those of every call, as options."""
    said = f" --max-bytes {query.max_bytes}" if query.max_bytes != MAX_BYTES else ""
    return said + (f" --max-value-bytes {query.max_value_bytes}" if query.max_value_bytes != MAX_VALUE_BYTES else "")


def record(
    before: Before, after: After | UserError, deployment: str | None, query: RehydrateQuery, steps: Sequence[str]
) -> dict[str, Any]:
    """Everything but the rows, as plain JSON values; ``docs/rehydrate-report.md`` says what they mean.

    ``after`` is the error where it was broken off.
    """
    verdict = after.verdict
    ended = after if isinstance(after, After) else None
    left = None if ended is None else ended.left
    return {
        "deployment": deployment,
        "dry_run": not query.write,
        "verdict": verdict.value,
        "exit_code": verdict.exit_code,
        "error": redact(after.message) if isinstance(after, UserError) else "",
        "phases": dict(before.phases),
        "notes": [redact(note) for note in before.notes],
        "readers": before.readers,
        "query": query.given(),
        "answer": None if ended is None else ended.answer.to_json(),
        "seconds": None if ended is None else round(ended.seconds, 1),
        "left_in_all": None
        if left is None
        else {"references": left.references, "aliases": left.aliases, "pickled": left.pickled},
        "disturbed": "" if ended is None else redact(ended.disturbed),
        "next_steps": list(steps),
    }
