"""rehydrate: references back into their rows."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections import Counter
from typing import Any, Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import Metadata, base_path_of, database_problem, open_metadata
from xcomctl.airflow_compat import database, schemes
from xcomctl.metadata import revisions, swap
from xcomctl.metadata.expressions import column_kind
from xcomctl.metadata.paged import Which
from xcomctl.metadata.xcoms import count_pickled
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Line
from xcomctl.model.references import normalized_base
from xcomctl.model.rehydrate import MOST_JOBS, UNFINISHED, RehydrateAnswer, RehydrateQuery, Row
from xcomctl.model.requests import REFUSED, USAGE
from xcomctl.rehydrate.convert import Column
from xcomctl.rehydrate.run import Bounds, Done, Rehydration, StoreGivenUp

#: The desk is told so often, in seconds: few large values take as long as many small ones.
_TELL_EVERY_S = 0.5
#: Rows that the column changed are named up to this many of a kind: with JSONB it may be all of them.
_EXAMPLES = 20


def run(context: RequestContext) -> RehydrateAnswer:
    """Answer the request."""
    query = RehydrateQuery.from_json(context.params)
    if not 1 <= query.jobs <= MOST_JOBS:
        raise RequestError(f"rows in work at a time: 1 to {MOST_JOBS}", "--jobs N", USAGE)
    base_path = normalized_base(base_path_of(context))
    with open_metadata() as metadata:
        _refuse(metadata, query)
        if query.look:
            return RehydrateAnswer(base_path, query.write)
        column = Column(
            line=metadata.tables.line,
            is_jsonb=column_kind(metadata.tables, metadata.connection.dialect.name) == "jsonb",
            base_path=base_path,
            no_readers=query.no_readers,
            unreadable=schemes.unreadable if metadata.tables.line is Line.AF3 else lambda scheme: None,
        )
        pickled = count_pickled(
            metadata.connection, metadata.tables, query.dag_id, query.run_id, query.runs == UNFINISHED
        )
    which = Which(query.dag_id, query.run_id, query.runs == UNFINISHED, _time(query.before))
    engine = database.engine()
    jobs, warnings = _fitting(engine, query.jobs)
    bounds = Bounds(query.max_bytes, query.max_value_bytes, jobs)
    work = Rehydration(engine, metadata.tables, column, which, bounds, query.write)
    told = _Told(context, base_path, query.write)
    store_error = ""
    try:
        with contextlib.closing(work.rows()) as rows:
            for done in rows:
                told.take(done)
    except StoreGivenUp as error:
        store_error = str(error)
    except Exception as error:
        if not _is_of_database(error):
            raise
        raise RequestError(database_problem(error), "airflow db check; then call again: what was done stays") from error
    return told.answer(work, pickled, store_error, (*metadata.warnings, *warnings))


def _fitting(engine: Any, jobs: int) -> tuple[int, tuple[str, ...]]:
    """How many rows the pool of connections allows at a time, beside the one that reads pages; and a word if it is less."""
    most = swap.connections(engine)
    if most is None or jobs < most:
        return jobs, ()
    allowed = max(1, most - 1)
    names = "[database] sql_alchemy_pool_size and sql_alchemy_max_overflow"
    return allowed, (f"{allowed} rows at a time, not {jobs}: {names} allow no more connections",)


def _refuse(metadata: Metadata, query: RehydrateQuery) -> None:
    """Refuse to write into what was not tried."""
    if not query.write:
        return
    connection = metadata.connection
    why = swap.refusal(connection) or revisions.refusal(revisions.current(connection, database.schema()))
    if why is not None:
        raise RequestError(why, "xcomctl rehydrate --dry-run reads it all the same", REFUSED)


class _Told:
    """Counts what became of rows, and tells the desk."""

    def __init__(self, context: RequestContext, base_path: str, write: bool) -> None:
        self._context = context
        self._base_path, self._write = base_path, write
        self._told_at = time.monotonic()
        self._seen = self._rows = self._bytes = self._largest = self._gone = 0
        self._left: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()

    def take(self, done: Done) -> None:
        """One row. A safe point."""
        self._seen += 1
        if done.why:
            self._left[done.why] += 1
            self._emit(done, done.why, done.detail)
        elif done.gone:
            self._gone += 1
        else:
            self._rows += 1
            self._bytes += done.bytes
            self._largest = max(self._largest, done.bytes)
            for change in sorted(done.column_changes):
                self._changes[change] += 1
                if self._changes[change] <= _EXAMPLES:
                    self._emit(done, change, "")
        if time.monotonic() - self._told_at >= _TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._context.progress(f"{self._bytes} bytes", self._seen)
        else:
            self._context.check()

    def answer(self, work: Rehydration, pickled: int, store_error: str, warnings: tuple[str, ...]) -> RehydrateAnswer:
        """What it came to."""
        return RehydrateAnswer(
            base_path=self._base_path,
            write=self._write,
            references=self._seen,
            rows=self._rows,
            bytes=self._bytes,
            largest_bytes=self._largest,
            left=dict(self._left),
            gone=self._gone,
            changed_by_column=dict(self._changes),
            pickled=pickled,
            verified_by=work.verified_by if self._write else (),
            requests=work.requests,
            store_error=store_error,
            warnings=warnings,
        )

    def _emit(self, done: Done, why: str, detail: str) -> None:
        row = done.row
        self._context.emit(
            Row(why, row.dag_id, row.run_id, row.task_id, row.map_index, row.key, row.text, detail, row.run_state)
        )


def _time(text: Optional[str]) -> Optional[datetime.datetime]:
    if text is None:
        return None
    try:
        return parse_time(text)  # in UTC: SQLite and MySQL compare without a zone
    except ValueError:
        raise RequestError(f"'before' is no time with a zone: {text!r}") from None


def _is_of_database(error: Any) -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, SQLAlchemyError)
