"""reference_objects: stored URLs with their objects, or objects with their rows, in one pass over both."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import base_path_of, open_metadata
from xcomctl.airflow_compat import configuration, database, loading
from xcomctl.metadata import archives
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.xcoms import count_pickled
from xcomctl.model.refs import RefsQuery, RefTotals
from xcomctl.references.objects import Scan

PROGRESS_EVERY = 1000


def run(context: RequestContext) -> RefTotals:
    """Answer the request."""
    query = RefsQuery.from_json(context.params)
    base_path = base_path_of(context)
    loading.airflow()
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen % PROGRESS_EVERY == 0:
            context.progress("rows and objects", done=seen)

    with open_metadata() as metadata:
        places = [metadata.tables]
        if query.archives:
            places += archives.find(metadata.connection, metadata.tables, database.schema())
        context.progress("the database's sort")
        state_store = configuration.backend_option("common.io", "state_store_objectstorage_path")
        scan = Scan(query, base_path, _connection, places, state_store, count)
        for item in scan.items():
            context.emit(item)
        context.check()
        pickled = count_pickled(metadata.connection, metadata.tables, query.dag_id, query.run_id, query.unfinished_only)
    totals = scan.totals
    return dataclasses.replace(totals, pickled=pickled, warnings=(*metadata.warnings, *totals.warnings))


@contextlib.contextmanager
def _connection() -> Iterator[Any]:
    with read_only(database.engine()) as connection:
        yield connection
