"""SQL expressions over the XCom value, by line and dialect."""

from __future__ import annotations

from typing import Any

from xcomctl.metadata.tables import Tables
from xcomctl.model.phases import Line

#: No reference is longer: a stored string beyond this is not looked into.
LONGEST_URL = 16 * 1024


def url_like(tables: Tables, dialect: str) -> Any:
    """Whether the stored value is a JSON string with ``://`` in it and not too long, decided in the database.

    The length comes first, in a CASE because SQL promises no order otherwise: where it is known without fetching the
    value (PostgreSQL keeps large values apart, in TOAST), large values are not read at all.
    """
    import sqlalchemy as sa

    value = tables.xcom.c.value
    if tables.line is Line.AF2:
        small = (
            sa.func.octet_length(value) <= LONGEST_URL if dialect != "sqlite" else sa.func.length(value) <= LONGEST_URL
        )
        quoted = sa.func.substr(value, 1, 1) == sa.literal(b'"', sa.LargeBinary)
        marks = sa.literal(b"://", sa.LargeBinary)
        if dialect == "postgresql":
            holds = sa.func.position(marks.op("IN")(value)) > 0
        else:
            holds = sa.func.instr(value, marks) > 0
        return sa.case((small, sa.and_(quoted, holds)), else_=sa.false())
    if dialect == "postgresql":
        text = value.op("#>>")(sa.literal_column("'{}'"))
        return sa.case(
            (sa.func.pg_column_size(value) > LONGEST_URL, sa.false()),
            (sa.func.jsonb_typeof(value) != "string", sa.false()),
            else_=sa.and_(sa.func.length(text) <= LONGEST_URL, sa.func.strpos(text, "://") > 0),
        )
    if dialect == "mysql":
        text = sa.func.json_unquote(value)
        return sa.case(
            (sa.func.json_type(value) != "STRING", sa.false()),
            else_=sa.and_(sa.func.octet_length(text) <= LONGEST_URL, sa.func.locate("://", text) > 0),
        )
    text = sa.type_coerce(value, sa.Text)
    return sa.and_(
        sa.func.length(text) <= LONGEST_URL,
        sa.func.substr(text, 1, 1) == sa.literal_column("'\"'"),
        sa.func.instr(text, "://") > 0,
    )


def pickled(tables: Tables) -> Any:
    """Whether the stored bytes are a pickle (2.x alone)."""
    import sqlalchemy as sa

    if tables.line is Line.AF3:
        return sa.false()
    return sa.func.substr(tables.xcom.c.value, 1, 1) == sa.literal(b"\x80", sa.LargeBinary)
