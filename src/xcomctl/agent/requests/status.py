"""status: what this context resolves, whether its store answers, and what the metadata database says now."""

from __future__ import annotations

import datetime
import platform
import threading
import time
from typing import Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests import resolve
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import TimedOut
from xcomctl.checks.runner import within
from xcomctl.metadata.instances import failed_after_push
from xcomctl.metadata.risk import unfinished_runs
from xcomctl.model.redaction import redact
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import NO_DATABASE
from xcomctl.model.status import (
    EXAMPLES,
    STORE_TIMEOUT_S,
    DatabaseState,
    FailedTask,
    StatusAnswer,
    StatusQuery,
    StoreState,
)
from xcomctl.references import at_risk
from xcomctl.store.lookup import Lookup

#: A name that nothing has: that there is no such object is an answer too.
_NOTHING = "xcomctl-status/none"


def run(context: RequestContext) -> StatusAnswer:
    """Answer the request. The store is asked while the database is."""
    query = StatusQuery.from_json(context.params)
    context.progress("importing Airflow")
    resolution = resolve.run(context)
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
    )


class _Asked(threading.Thread):
    """Asks the store, in a thread of its own."""

    def __init__(self, base_path: Optional[str]) -> None:
        super().__init__(name="xcomctl-store", daemon=True)
        self._base_path = base_path
        self._state = StoreState(None, message="no base path resolves, so there is no store to ask")

    def run(self) -> None:
        """Open the file system, then ask; only the asking is timed."""
        if self._base_path is None:
            return
        try:
            lookup = Lookup(self._base_path)
            started = time.monotonic()
            within(STORE_TIMEOUT_S, lambda: lookup.info(_NOTHING))
            self._state = StoreState(True, round((time.monotonic() - started) * 1000, 1))
        except TimedOut:
            self._state = StoreState(False, message=f"no answer within {STORE_TIMEOUT_S:g} s")
        except AirflowUnusable as error:
            self._state = StoreState(False, message=redact(error.message))
        except Exception as error:
            self._state = StoreState(False, message=redact(f"{type(error).__name__}: {error}"))

    def state(self) -> StoreState:
        """What came of it."""
        self.join()
        return self._state


def _database(context: RequestContext, query: StatusQuery, base_path: Optional[str]) -> DatabaseState:
    try:
        with open_metadata() as metadata:
            connection, tables = metadata.connection, metadata.tables
            context.progress("runs that are not over")
            unfinished = len(unfinished_runs(connection, tables))
            references = aliases = runs = 0
            examples: list[AtRiskRun] = []
            for found in at_risk.unfinished(connection, tables, base_path) if base_path is not None else ():
                runs += 1
                references += found.references
                aliases += found.aliases
                if len(examples) < EXAMPLES:
                    examples.append(found)
            context.progress("failed tasks")
            since = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=query.look_back_s)
            failed = failed_after_push(connection, tables, since)
            return DatabaseState(
                unfinished_runs=unfinished,
                references=references,
                aliases=aliases,
                at_risk_runs=runs,
                at_risk=tuple(examples),
                failed_count=len(failed.with_push),
                failed=tuple(
                    FailedTask(each.dag_id, each.run_id, each.task_id, each.map_index, each.state, each.try_number)
                    for each in failed.with_push[: 4 * EXAMPLES]
                ),
                failed_unknown=failed.unknown,
                failed_more=failed.more,
                no_base_path=base_path is None,
                warnings=metadata.warnings,
            )
    except (RequestError, AirflowUnusable) as error:
        return DatabaseState(error=redact(error.message), missing=error.reason == NO_DATABASE)
