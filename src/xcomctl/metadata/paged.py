"""Rows that hold URLs, a page at a time in the order of their keys: each page is a short transaction of its own.

For work that takes hours. A result that streamed all the time would keep its snapshot all the time, and with it every dead
row of the whole database from being vacuumed.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.metadata import expressions
from xcomctl.metadata.tables import Tables, key_columns
from xcomctl.metadata.xcoms import decoded, narrowed, with_states
from xcomctl.model.phases import Line

#: Rows of one page.
PAGE = 500


@dataclass(frozen=True)
class StoredUrl:
    """A row whose value is a string that looks like a URL. ``stored`` is what its column holds: bytes on 2.x, a string on 3.x."""

    dag_run_id: int
    task_id: str
    map_index: int
    key: str
    dag_id: str
    run_id: str
    stored: Any
    text: str
    timestamp: datetime.datetime
    run_state: Optional[str]

    @property
    def place(self) -> tuple[int, str, int, str]:
        """The row's key."""
        return self.dag_run_id, self.task_id, self.map_index, self.key


@dataclass(frozen=True)
class Which:
    """Which rows: of a DAG, of a run, of the runs that are not over, pushed before a time."""

    dag_id: Optional[str] = None
    run_id: Optional[str] = None
    unfinished_only: bool = False
    before: Optional[datetime.datetime] = None


def pages(
    open_connection: Callable[[], contextlib.AbstractContextManager[Any]], tables: Tables, which: Which
) -> Iterator[list[StoredUrl]]:
    """Every such row, in pages. A row that changes while they are read is seen as it was or as it is."""
    after: Optional[tuple[int, str, int, str]] = None
    while True:
        with open_connection() as connection:
            rows = connection.execute(page_select(tables, connection.dialect.name, which, after)).all()
        if rows:
            yield [row for row in (_understood(each, tables.line) for each in rows) if row is not None]
        if len(rows) < PAGE:
            return
        last = rows[-1]
        after = (last.dag_run_id, last.task_id, last.map_index, last.key)


def page_select(tables: Tables, dialect: str, which: Which, after: Optional[tuple[int, str, int, str]]) -> Any:
    """The statement behind :func:`pages`: the first rows behind a key."""
    xcom = tables.xcom
    statement = with_states(tables, xcom.c.value).where(expressions.url_like(tables, dialect))
    statement = narrowed(statement, tables, which.dag_id, which.run_id, which.unfinished_only)
    if which.before is not None:
        statement = statement.where(xcom.c.timestamp < which.before)
    columns = key_columns(tables)
    if after is not None:
        statement = statement.where(columns[0] >= after[0], _behind(columns, after))
    return statement.order_by(*columns).limit(PAGE)


def _behind(columns: tuple[Any, ...], values: tuple[Any, ...]) -> Any:
    """Whether a key comes behind another one. Spelled out: MySQL finds no index for a comparison of tuples."""
    import sqlalchemy as sa

    first, rest = columns[0], columns[1:]
    behind = first > values[0]
    return behind if not rest else sa.or_(behind, sa.and_(first == values[0], _behind(rest, values[1:])))


def _understood(row: Any, line: Line) -> Optional[StoredUrl]:
    text = decoded(row.value, line)
    if not isinstance(text, str):
        return None
    return StoredUrl(
        dag_run_id=row.dag_run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        key=row.key,
        dag_id=row.dag_id,
        run_id=row.run_id,
        stored=bytes(row.value) if line is Line.AF2 else row.value,
        text=text,
        timestamp=row.timestamp,
        run_state=row.run_state,
    )
