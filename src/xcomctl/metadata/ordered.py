"""Rows that hold URLs, in the order in which an object store lists its keys; from ``xcom`` and from its archives."""

from __future__ import annotations

import contextlib
import datetime
import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.metadata import expressions
from xcomctl.metadata.reading import stream
from xcomctl.metadata.tables import Tables, key_columns
from xcomctl.metadata.xcoms import SMALL_ROWS, narrowed, string_in, with_states
from xcomctl.model.phases import Line

#: Rows that are read again in one statement.
AGAIN_AT_ONCE = 200


@dataclass(frozen=True)
class UrlRow:
    """A stored URL with its row's key, states and table.

    ``in_order``: it stands where its key stands in a listing. A text in whose JSON something is escaped does not, where
    the database compares that JSON.
    """

    source: str
    dag_run_id: int
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    text: str
    timestamp: Optional[datetime.datetime]
    run_state: Optional[str]
    ti_state: Optional[str]
    in_order: bool


@contextlib.contextmanager
def url_rows(
    open_connection: Callable[[], contextlib.AbstractContextManager[Any]],
    places: Sequence[Tables],
    dag_id: Optional[str] = None,
    run_id: Optional[str] = None,
    unfinished_only: bool = False,
    out_of_order: Optional[str] = None,
) -> Iterator[Iterator[UrlRow]]:
    """The rows of all these tables, merged. Every statement is running once the block begins: its snapshot is taken.

    ``out_of_order``: only the rows that may not be in order, under this base path. Each table has a connection of its own, since not every driver can read two results at once.
    """
    with contextlib.ExitStack() as stack:
        streams = []
        for place in places:
            connection = stack.enter_context(open_connection())
            dialect = connection.dialect.name
            statement = ordered_select(place, dialect, dag_id, run_id, unfinished_only, out_of_order)
            rows = stream(connection, statement, SMALL_ROWS)
            first = next(rows, None)
            if first is not None:
                streams.append(_understood(_with_first(first, rows), place, dialect))
        yield iter(streams[0]) if len(streams) == 1 else heapq.merge(*streams, key=lambda row: row.text)


def ordered_select(
    place: Tables,
    dialect: str,
    dag_id: Optional[str],
    run_id: Optional[str],
    unfinished_only: bool,
    out_of_order: Optional[str] = None,
) -> Any:
    """The statement behind :func:`url_rows` for one table."""
    import sqlalchemy as sa

    holds = expressions.may_hold_url(place, dialect)
    if out_of_order is not None:
        known = expressions.out_of_order(place, dialect, f"{out_of_order.rstrip('/')}//")
        holds = sa.and_(holds, sa.or_(known, expressions.pickled(place)))
    statement = with_states(place, place.xcom.c.value).where(holds).order_by(expressions.text_order(place, dialect))
    return narrowed(statement, place, dag_id, run_id, unfinished_only)


def unchanged(connection: Any, tables: Tables, rows: Sequence[UrlRow]) -> list[UrlRow]:
    """Those of these rows of ``xcom`` whose value and time are still what they were."""
    import sqlalchemy as sa

    xcom = tables.xcom
    keys = key_columns(tables)
    wanted = [(row.dag_run_id, row.task_id, row.map_index, row.key) for row in rows]
    now = {}
    for row in connection.execute(sa.select(*keys, xcom.c.value, xcom.c.timestamp).where(sa.tuple_(*keys).in_(wanted))):
        now[tuple(row)[:4]] = (string_in(row.value, tables.line), row.timestamp)
    return [row for row, key in zip(rows, wanted) if now.get(key) == (row.text, row.timestamp)]


def _with_first(first: Any, rows: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rows


def _understood(rows: Iterator[Any], place: Tables, dialect: str) -> Iterator[UrlRow]:
    decodes = expressions.orders_escapes(place, dialect)
    for row in rows:
        text = string_in(row.value, place.line)
        if text is None or "://" not in text or len(text) > expressions.LONGEST_URL:
            continue
        is_pickle = place.line is Line.AF2 and bytes(row.value[:1]) == b"\x80"
        yield UrlRow(
            source=place.xcom.name,
            dag_run_id=row.dag_run_id,
            dag_id=row.dag_id,
            run_id=row.run_id,
            task_id=row.task_id,
            map_index=row.map_index,
            key=row.key,
            text=text,
            timestamp=row.timestamp,
            run_state=row.run_state,
            ti_state=row.ti_state,
            in_order=not is_pickle and (decodes or len(json.dumps(text)) == len(text) + 2),
        )
