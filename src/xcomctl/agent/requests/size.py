"""size: how large the XComs are, and what thresholds would do."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import re
import time
from collections.abc import Iterator
from typing import Any, Callable, Optional
from urllib.parse import unquote

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of, database_problem
from xcomctl.airflow_compat import configuration, database, loading
from xcomctl.checks.runner import without_secrets
from xcomctl.metadata import revisions
from xcomctl.metadata.disk import on_disk
from xcomctl.metadata.reading import cancellable, limit_statements, read_only
from xcomctl.metadata.tables import Tables, tables
from xcomctl.model.phases import Line, Phase, phase_of
from xcomctl.model.refs import RefsQuery
from xcomctl.model.requests import REFERENCE
from xcomctl.model.settings import settings_from
from xcomctl.model.size import SizeAnswer, SizeQuery
from xcomctl.references.objects import Scan
from xcomctl.sizing.answer import Summary
from xcomctl.sizing.measure import Measured, Measuring


def run(context: RequestContext) -> SizeAnswer:
    """Answer the request."""
    query = SizeQuery.from_json(context.params)
    loading.airflow()
    line = loading.line()
    settings = settings_from(line=line, **configuration.resolve_settings())
    phase = phase_of(settings).phase
    resolved = settings.threshold if phase is Phase.OFFLOAD else None
    now = datetime.datetime.now(datetime.timezone.utc)
    engine = database.engine() if query.database_url is None else database.engine_at(query.database_url)
    schema = tables(line, database.schema())
    base_path = _base_path(context, query)
    started = time.monotonic()
    with _counted(engine) as statements:
        with _open(engine, context, query) as connection:
            warning = revisions.warning(revisions.current(connection, database.schema()))
            measuring = Measuring(connection, schema, query, now, base_path, context.progress)
            found = measuring.inline()
            if warning is not None:
                found.warnings.append(warning)
            summary = Summary(found, measuring.floor(), line is Line.AF2)
            if query.sample is None:
                # Objects would move them: their references are read behind this connection.
                few = summary.suggested(query.quantile) if measuring.is_small and not found.references else ()
                found.near = measuring.doubt.near([*query.thresholds, *few])
            found.accuracy = measuring.doubt.accuracy(found.sizes, found.share)
            context.progress("the table's size on disk")
            disk = on_disk(connection, schema)
        # Behind the transaction, which would stand idle and keep its snapshot while the store lists its keys.
        _with_objects(context, query, engine, schema, base_path, measuring, found)
        dialect = engine.dialect.name
        return SizeAnswer(
            at=now.isoformat(),
            airflow=loading.version(),
            line=line.value,
            dialect=dialect,
            phase=phase.value,
            base_path=base_path,
            threshold=resolved,
            exact=line is Line.AF2,
            table_bytes=disk.table,
            database_bytes=disk.database,
            sampled=summary.sampled(None if measuring.is_empty else query.sample, _method(dialect)),
            statements=statements(),
            seconds=round(time.monotonic() - started, 2),
            warnings=tuple(found.warnings),
            **summary.fields(query.quantile, query.thresholds, resolved),
        )


def _method(dialect: str) -> str:
    """How a sample is drawn there."""
    if dialect == "postgresql":
        return "pages of the table, drawn by PostgreSQL (TABLESAMPLE SYSTEM)"
    return "all XComs of some runs, drawn by their number"


def _base_path(context: RequestContext, query: SizeQuery) -> Optional[str]:
    """The base path, ``None`` where none resolves: then no reference can be told. Refuses a given one that is none."""
    try:
        return base_path_of(context)
    except RequestError:
        if query.base_path is not None:
            raise
        return None


@contextlib.contextmanager
def _open(engine: Any, context: RequestContext, query: SizeQuery) -> Iterator[Any]:
    """A connection that sees one state of the table (SQLite: nearly), whose statements end in time."""
    deadline = _Deadline(context.check, query.timeout_s)
    with _in_sentences(context, query, deadline), read_only(engine, snapshot=True) as connection:
        limit_statements(connection, query.timeout_s)
        if connection.dialect.name == "sqlite":
            deadline.start()
        with cancellable(connection, deadline):
            yield connection


@contextlib.contextmanager
def _in_sentences(context: RequestContext, query: SizeQuery, deadline: Optional[_Deadline] = None) -> Iterator[None]:
    """What the database says when it ends a statement, or cannot be asked."""
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        context.check()
        if (deadline is not None and deadline.passed) or _is_timeout(error):
            raise RequestError(
                f"the database did not answer a statement within {query.timeout_s:g} s (--timeout)",
                "a longer --timeout, --sample 5%, or a replica of the database: --database-url",
            ) from error
        if query.database_url is None:
            raise RequestError(database_problem(error), "airflow db check") from error
        # Drivers quote what they take for the host, which may be the end of a password.
        problem = without_secrets(database_problem(error), _secrets(query.database_url))
        raise RequestError(problem, "is it the URL of a replica? --database-url, XCOMCTL_DATABASE_URL") from None


def _secrets(url: str) -> list[str]:
    """Whatever of a URL may be a part of its password, the longest first."""
    login = url.partition("//")[2].rpartition("@")[0]
    found = [login.partition(":")[2], *re.findall(r"pass\w*=([^&]*)", url, re.IGNORECASE)]
    parts = {part for each in found for part in (each, unquote(each), *re.split(r"[@/:?#]", each))}
    return sorted((part for part in parts if part), key=len, reverse=True)


class _Deadline:
    """Called every now and then: raises when the person has gone, or (SQLite has no clock of its own) it takes too long."""

    def __init__(self, check: Callable[[], None], seconds: float) -> None:
        self._check, self._seconds = check, seconds
        self._end: Optional[float] = None

    def start(self) -> None:
        self._end = time.monotonic() + self._seconds

    @property
    def passed(self) -> bool:
        return self._end is not None and time.monotonic() > self._end

    def __call__(self) -> None:
        self._check()
        if self.passed:
            raise TimeoutError


def _is_timeout(error: Any) -> bool:
    """PostgreSQL's ``query_canceled``; MySQL's and MariaDB's numbers for a statement that took too long."""
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    number = error.orig.args[0] if getattr(error.orig, "args", None) else None
    return code == "57014" or number in (3024, 1969)


@contextlib.contextmanager
def _counted(engine: Any) -> Iterator[Callable[[], int]]:
    """Counts the statements that are run."""
    import sqlalchemy as sa

    count = 0

    def seen(*_: Any) -> None:
        nonlocal count
        count += 1

    sa.event.listen(engine, "before_cursor_execute", seen)
    try:
        yield lambda: count
    finally:
        sa.event.remove(engine, "before_cursor_execute", seen)


def _with_objects(
    context: RequestContext,
    query: SizeQuery,
    engine: Any,
    schema: Tables,
    base_path: Optional[str],
    measuring: Measuring,
    found: Measured,
) -> None:
    """The references and the sizes of their objects, which are counted with the values."""
    if base_path is None or not (found.references or found.some_references):
        return
    if not query.store:
        many = f"about {round(found.references / found.share):,}" if found.share < 1 else f"{found.references:,}"
        found.warnings.append(f"{many} references were not looked at, nor their objects (--no-store)")
        return
    context.progress("references and their objects")

    @contextlib.contextmanager
    def connection() -> Iterator[Any]:
        with read_only(engine) as opened:
            limit_statements(opened, query.timeout_s)
            yield opened

    refs = RefsQuery(dag_id=query.dag_id, archives=False, only=(REFERENCE,))
    scan = Scan(refs, base_path, connection, [schema], seen=context.check)
    with _in_sentences(context, query):
        there = measuring.objects(scan.items())
    others = found.references - there.references
    if query.sample is None and others > 0:
        found.warnings.append(
            f"{others:,} strings under the base path are no reference of their own task, and not counted: xcomctl refs"
        )
    if there.references or scan.totals.store_error:
        found.offloaded = dataclasses.replace(there, store_error=scan.totals.store_error)
