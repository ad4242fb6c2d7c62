"""A connection that can only read, and results that stream."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def read_only(engine: Any) -> Iterator[Any]:
    """A connection whose transaction the database itself keeps from writing. Rolled back at the end."""
    import sqlalchemy

    connection = engine.connect()
    dialect = connection.dialect.name
    try:
        if dialect == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
        elif dialect == "mysql":
            connection.execute(sqlalchemy.text("SET TRANSACTION READ ONLY"))
        elif dialect == "sqlite":
            connection.execute(sqlalchemy.text("PRAGMA query_only = ON"))
        try:
            yield connection
        finally:
            if hasattr(connection, "rollback"):  # 1.4 rolls back when it is closed
                connection.rollback()
            if dialect == "sqlite":
                connection.execute(sqlalchemy.text("PRAGMA query_only = OFF"))
    finally:
        connection.close()


def stream(connection: Any, statement: Any, rows: int) -> Iterator[Any]:
    """The rows of a statement from a server-side cursor, at most ``rows`` of them in memory."""
    # On the statement: on a connection of SQLAlchemy 2 the options would stay.
    result = connection.execute(statement.execution_options(stream_results=True, max_row_buffer=rows))
    try:
        yield from result.yield_per(rows)
    finally:
        result.close()
