"""Compare-and-swap of one XCom's value, in a transaction of its own. The only place where we write SQL (DESIGN §7).

Only ``value`` changes: ``timestamp`` orders the pulls with ``include_prior_dates``.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Callable, Optional

from xcomctl.metadata.paged import StoredUrl
from xcomctl.metadata.tables import Tables, key_columns
from xcomctl.model.phases import Line

#: How long a row's lock is waited for, and how often: no running task waits for us for longer than a row takes.
LOCK_TIMEOUT_S, ATTEMPTS = 2, 3
_PAUSE_S = 0.2
#: What databases say of a row that somebody else has locked, and of two that wait for each other.
_LOCKED_STATES = ("55P03", "40P01", "40001")
_LOCKED_CODES = (1205, 1213)
#: MySQL's codes of a value that it does not take: beyond max_allowed_packet, too long, no JSON to it, nested too deeply.
_REFUSED_CODES = (1153, 1406, 3140, 3141, 3157)

#: What came of a swap. ``GONE``: there is no such row any more.
SWAPPED, CHANGED, GONE, LOCKED = "swapped", "changed", "gone", "locked"


class ColumnRefuses(Exception):
    """The database does not take the value; the message is its own."""


def refusal(connection: Any) -> Optional[str]:
    """Why nothing is written into such a database, ``None`` where it may be."""
    dialect = connection.dialect
    if dialect.name == "mariadb" or getattr(dialect, "is_mariadb", False):
        return "MariaDB is not written to: Airflow does not support it, and its JSON is text that compares otherwise"
    if dialect.name == "mysql" and tuple(dialect.server_version_info or ())[:1] < (8,):
        return "MySQL before 8 is not written to: it was not tried"
    if dialect.name not in ("postgresql", "mysql", "sqlite"):
        return f"a database of the kind {dialect.name} is not written to: it was not tried"
    return None


def connections(engine: Any) -> Optional[int]:
    """How many connections an engine's pool gives at a time, ``None`` for as many as are asked for."""
    more = getattr(engine.pool, "_max_overflow", None)
    return None if more is None or more < 0 else int(engine.pool.size()) + int(more)


def lost(error: BaseException) -> bool:
    """Whether the database ended the connection."""
    return bool(getattr(error, "connection_invalidated", False))


class Writer:
    """Swaps rows over one connection of its own. A context manager; for one thread.

    ``turn`` is held around each transaction: one lock for all writers of a SQLite, which has one writer at a time.
    """

    def __init__(self, engine: Any, tables: Tables, turn: threading.Lock) -> None:
        self._tables = tables
        self._connection = engine.connect()
        self._dialect = self._connection.dialect.name
        self._turn = turn

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def swap(self, row: StoredUrl, new: Any, accept: Callable[[Any], None]) -> str:
        """Put ``new`` in place of what the row held, if it still holds it, with the same timestamp; what came of it.

        ``accept`` gets what the column holds then, before it is committed: what it raises is raised, and the row keeps
        what it had. Raises :class:`ColumnRefuses`, and what the driver raises for a database that fails.
        """
        from sqlalchemy import exc

        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self._dialect != "sqlite":
                    return self._once(row, new, accept)
                with self._turn:
                    return self._once(row, new, accept)
            except exc.DBAPIError as error:
                if not _locked(error):
                    raise
                if attempt < ATTEMPTS:
                    time.sleep(_PAUSE_S)
        return LOCKED

    def _once(self, row: StoredUrl, new: Any, accept: Callable[[Any], None]) -> str:
        transaction = self._connection.begin()
        try:
            updated = self._update(row, new)
            held = self._held(row)
            if updated == 0 or held is None:
                return GONE if held is None else CHANGED
            accept(held[0])
            self._commit(transaction)
            return SWAPPED
        finally:
            if transaction.is_active:
                transaction.rollback()

    def _commit(self, transaction: Any) -> None:
        """A commit that fails ends the transaction for SQLAlchemy alone: SQLite goes on with it, and holds its lock."""
        try:
            transaction.commit()
        except Exception:
            transaction.rollback()
            self._connection.connection.rollback()
            raise

    def _update(self, row: StoredUrl, new: Any) -> int:
        from sqlalchemy import exc

        try:
            for statement in _lock_timeout(self._dialect):
                self._connection.exec_driver_sql(statement)
            return int(self._connection.execute(swap_update(self._tables, self._dialect, row, new)).rowcount)
        except exc.DBAPIError as error:
            if _refused(error):
                raise ColumnRefuses(_said(error)) from error
            raise
        except (exc.StatementError, UnicodeError, ValueError, RecursionError) as error:
            raise ColumnRefuses(_said(error)) from error  # it could not even be written as JSON

    def unchanged(self, row: StoredUrl) -> str:
        """Whether the row still holds what it held: ``SWAPPED`` for yes, else ``CHANGED`` or ``GONE``."""
        transaction = self._connection.begin()
        try:
            held = self._held(row)
        finally:
            transaction.rollback()
        if held is None:
            return GONE
        return SWAPPED if held == (row.stored, row.timestamp) else CHANGED

    def would_hold(self, new: Any) -> Any:
        """What the column would make of a value; on PostgreSQL as the database says, elsewhere what it is given.

        Raises :class:`ColumnRefuses`.
        """
        import sqlalchemy as sa
        from sqlalchemy import exc

        if self._dialect != "postgresql" or self._tables.line is Line.AF2:
            return new
        column = self._tables.xcom.c.value.type
        transaction = self._connection.begin()
        try:
            return self._connection.execute(sa.select(sa.cast(sa.literal(new, column), column))).scalar()
        except exc.DBAPIError as error:
            if _refused(error):
                raise ColumnRefuses(_said(error)) from error
            raise
        except (exc.StatementError, UnicodeError, ValueError, RecursionError) as error:
            raise ColumnRefuses(_said(error)) from error
        finally:
            transaction.rollback()

    def _held(self, row: StoredUrl) -> Optional[tuple[Any, Any]]:
        """What the row holds now, and since when."""
        found = self._connection.execute(current_select(self._tables, row)).first()
        if found is None:
            return None
        is_bytes = self._tables.line is Line.AF2 and found.value is not None
        return (bytes(found.value) if is_bytes else found.value), found.timestamp


def swap_update(tables: Tables, dialect: str, row: StoredUrl, new: Any) -> Any:
    """The statement. On 3.x the old value is bound as JSON: a plain comparison would be one of text, and never true."""
    import json

    import sqlalchemy as sa

    xcom = tables.xcom
    old: Any = row.stored
    if tables.line is Line.AF3:
        if dialect == "mysql":
            old = sa.cast(sa.literal(json.dumps(row.stored), sa.Text), sa.JSON)
        else:
            old = sa.type_coerce(row.stored, xcom.c.value.type)
    key = (column == value for column, value in zip(key_columns(tables), row.place))
    return (
        sa.update(xcom).where(*key, xcom.c.timestamp == row.timestamp, xcom.c.value == old).values({xcom.c.value: new})
    )


def current_select(tables: Tables, row: StoredUrl) -> Any:
    """What a row holds now."""
    import sqlalchemy as sa

    xcom = tables.xcom
    key = (column == value for column, value in zip(key_columns(tables), row.place))
    return sa.select(xcom.c.value, xcom.c.timestamp).where(*key)


def _lock_timeout(dialect: str) -> tuple[str, ...]:
    """For this transaction alone: through a pooler, the connection is somebody else's afterwards. The sessions of MySQL
    and SQLite keep it."""
    if dialect == "postgresql":
        return (f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'",)
    if dialect == "mysql":
        return (f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT_S}",)
    return (f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT_S * 1000)}",)


def _state(error: Any) -> Any:
    original = error.orig
    return getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)


def _code(error: Any) -> Any:
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments else None


def _locked(error: Any) -> bool:
    if _state(error) in _LOCKED_STATES or _code(error) in _LOCKED_CODES:
        return True
    return "database is locked" in str(error.orig)


def _refused(error: Any) -> bool:
    """Whether the database refuses the value itself: no data to it (class 22), or beyond its limits (class 54)."""
    state = str(_state(error) or "")
    return state[:2] in ("22", "54") or _code(error) in _REFUSED_CODES or "too big" in str(error.orig)


def _said(error: BaseException) -> str:
    original = getattr(error, "orig", None) or error
    lines = str(original).strip().splitlines()
    return lines[0][:300] if lines else type(original).__name__
