"""How many stored values a threshold would send to the store: one pass in the database, nothing fetched."""

from __future__ import annotations

from typing import Any

from xcomctl.metadata import expressions
from xcomctl.metadata.tables import Tables
from xcomctl.model.phases import Line
from xcomctl.model.plan import Above


def above(connection: Any, tables: Tables, threshold: int) -> Above:
    """The values of at least ``threshold`` bytes, as the backend would compare them."""
    row = connection.execute(above_select(tables, connection.dialect.name, threshold)).one()
    return Above(threshold, int(row.rows or 0), int(row.bytes or 0), int(row.total), tables.line is Line.AF2)


def above_select(tables: Tables, dialect: str, threshold: int) -> Any:
    """The statement behind :func:`above`."""
    import sqlalchemy as sa

    size = expressions.json_bytes(tables, dialect).label("size")
    sized = sa.select(size).select_from(tables.xcom).subquery()
    large = sized.c.size >= threshold
    return sa.select(
        sa.func.sum(sa.case((large, 1), else_=0)).label("rows"),
        sa.func.sum(sa.case((large, sized.c.size), else_=0)).label("bytes"),
        sa.func.count().label("total"),
    ).select_from(sized)
