"""Scans of inline values: what the object-storage backend would change, refuse or mistake. Each streams.

Every scan is one pass over ``xcom`` (a table of the whole of Airflow's history, so: sequential), with a filter that the
database evaluates, and no order, so that nothing has to be sorted. What is said about PostgreSQL's cost holds for values
of more than about 2 kB, which it compresses and keeps apart (TOAST).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata import expressions
from xcomctl.metadata.reading import stream
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import FINISHED_RUN_STATES, LARGE_ROWS, SMALL_ROWS

#: The key under which branching and short-circuiting tasks say what is skipped.
SKIPMIXIN_KEY = "skipmixin_key"


@dataclass(frozen=True)
class InlineRow:
    """Where an inline value is stored, the state of its run, and what a scan looks at of it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    run_state: Optional[str]
    value: Any


def json_like_strings(connection: Any, tables: Tables) -> Iterator[InlineRow]:
    """2.x: the stored strings that begin as JSON text does; ``value`` is the string.

    Two passes, so that many small values and few large ones are in memory at a time. The size of bytes is known without
    fetching them, and of a value that is kept apart only the first block is decompressed; whole values are read where
    the beginning fits.
    """
    for small, rows in ((True, SMALL_ROWS), (False, LARGE_ROWS)):
        for row in stream(connection, json_like_select(tables, connection.dialect.name, small), rows):
            text = _json(bytes(row.value))
            if isinstance(text, str):
                yield _inline(row, text)


def json_like_select(tables: Tables, dialect: str, small: bool) -> Any:
    """The statement behind :func:`json_like_strings`: for small values, or for the others."""
    import sqlalchemy as sa

    is_small = expressions.is_small(tables, dialect)
    return _select(tables, tables.xcom.c.value.label("value")).where(
        is_small if small else sa.not_(is_small), expressions.json_like(tables)
    )


def string_heads(connection: Any, tables: Tables) -> Iterator[InlineRow]:
    """3.x: the stored strings with a colon near their beginning; ``value`` is the beginning, never all of it.

    JSONB can only be looked into as a whole, so the database decompresses each large value once; what travels is short.
    """
    for row in stream(connection, string_heads_select(tables, connection.dialect.name), SMALL_ROWS):
        yield _inline(row, row.value)


def string_heads_select(tables: Tables, dialect: str) -> Any:
    """The statement behind :func:`string_heads`."""
    head, has_colon = expressions.string_head(tables, dialect)
    return _select(tables, head.label("value")).where(has_colon)


def values_with_telling_keys(connection: Any, tables: Tables) -> Iterator[InlineRow]:
    """3.x: values in whose JSON text a key looks like a tuple or a date; ``value`` is decoded.

    A regular expression over the text of every value: the most expensive of the scans. Matching values travel whole, a
    handful at a time.
    """
    for row in stream(connection, telling_keys_select(tables, connection.dialect.name), LARGE_ROWS):
        yield _inline(row, _json(row.value))


def telling_keys_select(tables: Tables, dialect: str) -> Any:
    """The statement behind :func:`values_with_telling_keys`."""
    text = expressions.json_text(tables)
    return _select(tables, text.label("value")).where(expressions.holds_telling_key(tables, dialect))


def pickled_counts(connection: Any, tables: Tables) -> tuple[int, int]:
    """2.x: how many rows are pickles, and how many unfinished runs hold one. Only the first byte is looked at."""
    rows, unfinished_runs = connection.execute(pickled_select(tables)).one()
    return rows, unfinished_runs


def pickled_select(tables: Tables) -> Any:
    """The statement behind :func:`pickled_counts`."""
    import sqlalchemy as sa

    xcom, run = tables.xcom, tables.dag_run
    unfinished = sa.or_(run.c.state.is_(None), run.c.state.not_in(FINISHED_RUN_STATES))
    return (
        sa.select(sa.func.count(), sa.func.count(sa.distinct(sa.case((unfinished, xcom.c.dag_run_id), else_=None))))
        .select_from(xcom.outerjoin(run, run.c.id == xcom.c.dag_run_id))
        .where(expressions.pickled(tables))
    )


def largest_skipmixin(connection: Any, tables: Tables) -> Optional[InlineRow]:
    """The largest ``skipmixin_key``; ``value`` is its bytes as the backend counts them, at most twice that if its task
    ids are not ASCII. ``None`` when there is none. The index on the key finds them."""
    row = connection.execute(largest_skipmixin_select(tables, connection.dialect.name)).first()
    return None if row is None else _inline(row, int(row.value))


def largest_skipmixin_select(tables: Tables, dialect: str) -> Any:
    """The statement behind :func:`largest_skipmixin`."""
    size = expressions.json_bytes(tables, dialect)
    return (
        _select(tables, size.label("value"))
        .where(tables.xcom.c.key == SKIPMIXIN_KEY, tables.xcom.c.value.is_not(None))
        .order_by(size.desc())
        .limit(1)
    )


def _select(tables: Tables, value: Any) -> Any:
    import sqlalchemy as sa

    xcom, run = tables.xcom, tables.dag_run
    return sa.select(
        xcom.c.dag_id,
        xcom.c.run_id,
        xcom.c.task_id,
        xcom.c.map_index,
        xcom.c.key,
        run.c.state.label("run_state"),
        value,
    ).select_from(xcom.outerjoin(run, run.c.id == xcom.c.dag_run_id))


def _inline(row: Any, value: Any) -> InlineRow:
    return InlineRow(row.dag_id, row.run_id, row.task_id, row.map_index, row.key, row.run_state, value)


def _json(stored: Any) -> Any:
    """The JSON in the column. What holds none gives ``None``: no reader of Airflow's gets anything from it either."""
    try:
        return json.loads(stored)
    except (ValueError, RecursionError):
        return None
