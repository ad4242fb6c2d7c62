"""What the table of XComs and its database take on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.metadata.tables import Tables


@dataclass(frozen=True)
class Stored:
    """What ``xcom`` with its indexes, and the whole database, take on disk, in bytes; ``None`` where nobody tells."""

    table: Optional[int]
    database: Optional[int]


def on_disk(connection: Any, tables: Tables) -> Stored:
    """How large the table and its database are. A user who may not ask is no reason not to measure."""
    found = on_disk_selects(tables, connection.dialect.name)
    return Stored(*(None if each is None else _if_allowed(connection, each) for each in found))


def _if_allowed(connection: Any, statement: Any) -> Optional[int]:
    """A number, ``None`` where the database gives none. The transaction goes on either way."""
    import sqlalchemy as sa

    # Not begin_nested(): on SQLAlchemy 1.4 that would begin a transaction of its own, and say that this is deprecated.
    connection.execute(sa.text("SAVEPOINT before_on_disk"))
    try:
        size = connection.execute(statement).scalar()
    except sa.exc.DBAPIError:
        connection.execute(sa.text("ROLLBACK TO SAVEPOINT before_on_disk"))
        return None
    return None if size is None else int(size)


def on_disk_selects(tables: Tables, dialect: str) -> tuple[Optional[Any], Optional[Any]]:
    """The statements behind :func:`on_disk`."""
    import sqlalchemy as sa

    if dialect == "postgresql":
        named = ".".join(f'"{part}"' for part in (tables.xcom.schema, tables.xcom.name) if part)
        table = sa.func.pg_total_relation_size(sa.func.to_regclass(named))
        return sa.select(table), sa.select(sa.func.pg_database_size(sa.func.current_database()))
    if dialect in ("mysql", "mariadb"):
        names = ("table_schema", "table_name", "data_length", "index_length")
        known = sa.table("tables", *(sa.column(name) for name in names), schema="information_schema")
        stored = sa.func.sum(known.c.data_length + known.c.index_length)
        ours = known.c.table_schema == (tables.xcom.schema or sa.func.database())
        return sa.select(stored).where(ours, known.c.table_name == tables.xcom.name), sa.select(stored).where(ours)
    pages = "(SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())"
    return None, sa.select(sa.literal_column(pages))
