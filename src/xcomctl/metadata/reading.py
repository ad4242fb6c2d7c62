"""A connection that can only read, results that stream, and statements that end when nobody waits for them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, Callable

#: How often somebody is asked whether a statement is still wanted.
ASK_EVERY_S = 0.4
#: A statement whose client was killed runs on until it has rows to send, unless PostgreSQL looks for the client now and
#: then. Until the transaction's end. Older than 14, or on a system that cannot tell, PostgreSQL refuses the setting: no
#: reason not to read.
_END_WITH_CLIENT = """
DO $$ BEGIN
    PERFORM set_config('client_connection_check_interval', '5s', true);
EXCEPTION WHEN undefined_object OR invalid_parameter_value THEN NULL;
END $$
"""


@contextlib.contextmanager
def read_only(engine: Any, *, snapshot: bool = False) -> Iterator[Any]:
    """A connection whose transaction the database itself keeps from writing. Rolled back at the end.

    ``snapshot``: all its statements see the same rows. Not on SQLite, where that would keep whoever writes waiting.
    """
    import sqlalchemy

    connection = engine.connect()
    dialect = connection.dialect.name
    try:
        if snapshot and dialect != "sqlite":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        if dialect == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
            connection.execute(sqlalchemy.text(_END_WITH_CLIENT))
        elif dialect in ("mysql", "mariadb"):
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


def limit_statements(connection: Any, seconds: float) -> None:
    """Have the database itself end a statement that takes longer. SQLite cannot: see :func:`cancellable`."""
    import sqlalchemy

    name = connection.dialect.name
    if name == "postgresql":
        connection.execute(sqlalchemy.text(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}"))
    elif name in ("mysql", "mariadb"):
        ours = getattr(connection.dialect, "is_mariadb", False)
        limit = (
            f"max_statement_time = {seconds:.3f}" if ours else f"max_execution_time = {max(1, round(seconds * 1000))}"
        )
        connection.execute(sqlalchemy.text(f"SET SESSION {limit}"))


@contextlib.contextmanager
def cancellable(connection: Any, wanted: Callable[[], None]) -> Iterator[None]:
    """Calls ``wanted`` every now and then, from a thread; once it raises, whatever the connection runs is cancelled.

    For statements after which the caller comes to a safe point of its own: there it learns the reason, and until there
    each further statement is cancelled too. A driver that cannot cancel (MySQL's) lets its statement run on.
    """
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(connection, wanted, over), name="xcomctl-cancel", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(connection: Any, wanted: Callable[[], None], over: threading.Event) -> None:
    driver = connection.connection.dbapi_connection
    # What psycopg's connections have, and SQLite's: both are made to be called from another thread.
    cancel = getattr(driver, "cancel", None) or getattr(driver, "interrupt", None)
    while cancel is not None and not over.wait(ASK_EVERY_S):
        try:
            wanted()
        except BaseException:  # whatever it is, the caller meets it at its safe point
            cancel()


def stream(connection: Any, statement: Any, rows: int) -> Iterator[Any]:
    """The rows of a statement from a server-side cursor, at most ``rows`` of them in memory."""
    # On the statement: on a connection of SQLAlchemy 2 the options would stay.
    result = connection.execute(statement.execution_options(stream_results=True, max_row_buffer=rows))
    try:
        yield from result.yield_per(rows)
    finally:
        result.close()
