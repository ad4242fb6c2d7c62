"""status: what this context resolves, whether its store answers, and what the metadata database says now."""

from __future__ import annotations

import datetime
import platform
import threading
from typing import Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests import resolve
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import TimedOut
from xcomctl.checks.runner import within
from xcomctl.checks.running_phases import unlike
from xcomctl.metadata.instances import failed_after_push
from xcomctl.model.redaction import redact
from xcomctl.model.requests import NO_DATABASE
from xcomctl.model.status import (
    EXAMPLES,
    OPEN_TIMEOUT_S,
    STORE_TIMEOUT_S,
    DatabaseState,
    FailedTask,
    StatusAnswer,
    StatusQuery,
    StoreState,
)
from xcomctl.references.unfinished import held
from xcomctl.store import bucket
from xcomctl.store.bucket import Presence
from xcomctl.store.opened import Store


def run(context: RequestContext) -> StatusAnswer:
    """Answer the request. The store is asked while the database is."""
    query = StatusQuery.from_json(context.params)
    context.progress("importing Airflow")
    resolution = resolve.run(context)
    processes, running = unlike(resolution)
    try:
        base_path: Optional[str] = base_path_of(context)
    except RequestError:
        base_path = None
    asked = _Asked(base_path if query.store else None)
    asked.start()
    database = _database(context, query, base_path) if query.database else None
    context.progress("the store")
    return StatusAnswer(
        airflow=loading.version(),
        line=loading.line().value,
        python=platform.python_version(),
        hostname=platform.node(),
        providers={name: version for name, version in loading.providers().items() if name == "common.io"},
        resolution=resolution,
        store=asked.state(),
        database=database,
        processes=processes,
        running=running,
    )


class _Asked(threading.Thread):
    """Asks the store for the bucket, in a thread of its own; creates nothing."""

    def __init__(self, base_path: Optional[str]) -> None:
        super().__init__(name="xcomctl-store", daemon=True)
        self._base_path = base_path
        self._state = StoreState(None, message="no base path resolves, so there is no store to ask")

    def run(self) -> None:
        """Open the file system, then ask; only the asking is timed."""
        if self._base_path is not None:
            try:
                self._state = _ask(self._base_path)
            except AirflowUnusable as error:
                self._state = StoreState(False, message=redact(error.message))
            except Exception as error:
                self._state = StoreState(False, message=redact(f"cannot be asked: {type(error).__name__}: {error}"))

    def state(self) -> StoreState:
        """What came of it."""
        self.join()
        return self._state


def _ask(base_path: str) -> StoreState:
    try:
        store = within(OPEN_TIMEOUT_S, lambda: _opened(base_path))
    except TimedOut:
        return StoreState(None, message=f"not asked: its client is not ready within {OPEN_TIMEOUT_S:g} s")
    try:
        place = within(STORE_TIMEOUT_S, lambda: bucket.place(store))
    except TimedOut:
        return StoreState(False, message=f"does not answer within {STORE_TIMEOUT_S:g} s")
    if place.presence is Presence.THERE:
        return StoreState(True, place.tried.latency_ms)
    said = {
        Presence.MISSING: f"answers, but there is no bucket {place.name!r}",
        Presence.REFUSED: "refuses",
        Presence.FAILED: "does not answer",
    }[place.presence]
    return StoreState(False, place.tried.latency_ms, redact(f"{said}: {place.tried.message}"))


def _opened(base_path: str) -> Store:
    """The store with its client: making one takes longer than most stores take to answer."""
    store = Store(base_path)
    if store.is_s3:
        store.fs.connect()
    return store


def _database(context: RequestContext, query: StatusQuery, base_path: Optional[str]) -> DatabaseState:
    try:
        with open_metadata() as metadata:
            connection, tables = metadata.connection, metadata.tables
            context.progress("runs that are not over")
            found = held(connection, tables, base_path, EXAMPLES)
            context.progress("failed tasks")
            since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=query.look_back_s)
            failed = failed_after_push(connection, tables, since)
            return DatabaseState(
                unfinished_runs=found.runs,
                references=found.references,
                aliases=found.aliases,
                at_risk_runs=found.at_risk_runs,
                at_risk=found.at_risk,
                failed_count=len(failed.with_push),
                failed=tuple(
                    FailedTask(each.dag_id, each.run_id, each.task_id, each.map_index, each.state, each.try_number)
                    for each in failed.with_push[: 4 * EXAMPLES]
                ),
                failed_unknown=failed.unknown,
                failed_more=failed.more,
                base_path=base_path,
                elsewhere=found.elsewhere,
                warnings=metadata.warnings,
            )
    except (RequestError, AirflowUnusable) as error:
        return DatabaseState(error=redact(error.message), missing=error.reason == NO_DATABASE)
