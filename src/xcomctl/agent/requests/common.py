"""What several requests need: the base path, and the metadata database with its tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.airflow_compat import configuration, database, loading
from xcomctl.metadata import revisions
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.tables import Tables, tables
from xcomctl.model.phases import path_problem


@dataclass(frozen=True)
class Metadata:
    """The metadata database, open for reading."""

    connection: Any
    tables: Tables
    warnings: tuple[str, ...]


@contextlib.contextmanager
def open_metadata() -> Iterator[Metadata]:
    """The metadata database for the length of a request; an unknown schema is a warning."""
    line = loading.line()
    schema = database.schema()
    engine = database.engine()
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(read_only(engine))
        except Exception as error:
            raise RequestError(database_problem(error), "airflow db check") from error
        warning = revisions.warning(revisions.current(connection, schema))
        yield Metadata(connection, tables(line, schema), (warning,) if warning is not None else ())


def database_problem(error: BaseException) -> str:
    """The sentence for a metadata database that cannot be used; drivers say it in several lines."""
    lines = str(error).strip().splitlines()
    return f"the metadata database cannot be read: {type(error).__name__}: {lines[0] if lines else 'no reason given'}"


def base_path_of(context: RequestContext) -> str:
    """The parameter ``base_path``, or what this context resolves, or where it resolves none ``default_base_path``.

    Refuses one that cannot be one.
    """
    given = context.text("base_path")
    if given is not None:
        problem = path_problem(given)
        if problem is not None:
            raise RequestError(problem, "a base path looks like s3://CONNECTION@BUCKET/xcom")
        return given
    value = configuration.resolve_settings()["path"].value
    resolved = None if value is None else str(value)
    problem = path_problem(resolved)
    default = context.text("default_base_path")
    if problem is not None and default is not None and path_problem(default) is None:
        return default
    if resolved is None or problem is not None:
        raise RequestError(problem or "no base path", "name it: --base-path URL (under inline none may be set)")
    return resolved
