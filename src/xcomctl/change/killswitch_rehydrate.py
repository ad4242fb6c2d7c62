"""References back into the database as a step of the kill-switch: after the hard revert, and on the way from ``dual-read``."""

from __future__ import annotations

from collections.abc import Sequence

from xcomctl.change.killswitch import Begin, Outcome, Step, Work, default_base_path
from xcomctl.change.killswitch_hard import look
from xcomctl.change.rehydrate import Rehydrate, TooMuch
from xcomctl.change.retrigger import held_before, to_hold
from xcomctl.deployment.agent_errors import NoStepPod
from xcomctl.errors import UserError
from xcomctl.journal.errors import LockLost
from xcomctl.model.killswitch import LATE, REHYDRATE, WAIT, Way
from xcomctl.model.redaction import redact
from xcomctl.model.rehydrate import ALL, UNFINISHED, WORDS, RehydrateQuery, Row
from xcomctl.model.rehydrated import After, Before
from xcomctl.model.retrigger import HeldBefore
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units

#: Rows that are named.
_ROWS = 20


class Back(Step):
    """Writes what references point to back into their rows.

    On the way from ``dual-read`` nothing may be left. Under ``inline`` nothing reads with the backend any more, and what is
    left is cleared, with its producers, by the step that follows; so is everything where the store does not answer. While
    the DAGs stand still no more is moved than may be: then finished runs keep their references.
    """

    asks_contexts = True

    def __init__(self, id: str, title: str) -> None:
        self.id = id
        self.title = title

    def prepare(self, work: Work) -> list[str]:
        """How much it is."""
        work.stored, work.runs, work.unstored = None, ALL, ""
        kept: list[str] = []
        try:
            try:
                work.stored = self._command(work).look(work.waiting)
            except TooMuch as error:
                if work.way is not Way.HARD:
                    part = f"or a part at a time before: xcomctl rehydrate --dag-id DAG{work.wanted.options}"
                    raise TooMuch(error.message, error.enough, part) from error
                work.runs = UNFINISHED
                kept = [f"finished runs keep their references: {error.message} (--max-bytes)"]
                work.stored = self._command(work).look(work.waiting)
        except NoStepPod:
            raise  # the store may well give them
        except UserError as error:
            if work.way is not Way.HARD:
                raise
            work.unstored = redact(error.message)
            return [*kept, f"nothing is rehydrated: {work.unstored}"]
        totals = work.stored.totals
        rows = units.count(totals.references, "reference")
        return [*kept, f"{rows}, {units.size(totals.reference_bytes)} of objects, go back into the database"]

    def asks(self, work: Work) -> bool:
        """Whether there is any."""
        return work.stored is not None and bool(work.stored.rows)

    def perform(self, work: Work, begin: Begin) -> Outcome:
        """Write them; who may have read them as path strings is in the journal before the first of them is gone."""
        stored = work.stored
        if stored is None:
            return Outcome("the store does not give them: what pushed them has to run again", notes=(work.unstored,))
        if not stored.rows:
            return Outcome("no row holds a reference")
        contexts = [{"name": name} for name in work.view.sees.phases]
        held = [each.to_json() for each in self._held(work, stored)]
        begin(data={"contexts": contexts, "held": held, "references": stored.totals.references})
        rows: list[Row] = []

        def each(row: Row) -> None:
            if row.left and len(rows) < _ROWS:
                rows.append(row)

        try:
            after = self._command(work, stored.totals.base_path).play(each, work.waiting, stored.rows, work.held.renew)
        except (LockLost, NoStepPod):
            raise
        except UserError as error:
            if work.way is not Way.HARD:
                raise
            return Outcome("not rehydrated: what pushed them has to run again", notes=(redact(error.message),))
        return self._outcome(work, after, rows)

    def _held(self, work: Work, stored: Before) -> Sequence[HeldBefore]:
        """The runs in which something started under ``inline`` while they held references: on the way from ``dual-read``
        before this kill-switch began, else since it wrote ``inline``."""
        if work.way is Way.EXIT and self.id == REHYDRATE:
            return self._command(work, stored.totals.base_path).with_readers(stored, work.waiting).held
        return to_hold(look(work), held_before(work.begun.entries))

    def _command(self, work: Work, base_path: str | None = None) -> Rehydrate:
        query = RehydrateQuery(
            base_path=base_path or work.wanted.base_path,
            default_base_path=default_base_path(work),
            write=True,
            runs=work.runs,
            no_readers=(work.way is Way.HARD or self.id == LATE) and _no_readers(work),
            max_bytes=work.wanted.max_bytes,
        )
        return Rehydrate(work.agents.fleet(), work.where, work.deployment, query, work.wanted.options)

    def _outcome(self, work: Work, after: After, rows: list[Row]) -> Outcome:
        answer = after.answer
        said = f"{units.count(answer.rows, 'reference')} rehydrated, {units.size(answer.bytes)}"
        notes = ["finished runs keep their references"] if work.runs == UNFINISHED else []
        notes += [f"{row.dag_id} {row.run_id} {row.task_id} {row.key}: {row.detail or WORDS[row.why]}" for row in rows]
        data = {"answer": answer.to_json(), "seconds": round(after.seconds, 1)}
        if answer.store_error:
            notes.append(redact(answer.store_error))
        if after.verdict is Verdict.OK:
            return Outcome(said, notes=tuple(notes), data=data)
        left = units.count(answer.left_rows, "row")
        if work.way is Way.HARD:
            return Outcome(f"{said}; {left} left to be pushed again", notes=tuple(notes), data=data)
        hint = (
            f"xcomctl rehydrate{work.wanted.options}  # names what is left, and what to do about it; then call again. What may "
            f"stay is accepted by xcomctl flip --to inline alone"
        )
        return Outcome(f"{said}; {left} left, which block inline", after.verdict, tuple(notes), hint, data=data)


def _no_readers(work: Work) -> bool:
    """Whether it was seen that nothing older than ``inline`` is left, and nobody went on without."""
    waited = work.begun.done(WAIT)
    return waited is not None and work.begun.stands(WAIT) and "past_barrier" not in waited.data


#: Before ``inline`` is written, or after it in the hard one; and after it on the way from ``dual-read``.
STEPS: tuple[Step, ...] = (
    Back(REHYDRATE, "Write what references point to back into the database"),
    Back(LATE, "Look once more for what a late process wrote"),
)
