"""SQL expressions over the XCom value, by line and dialect."""

from __future__ import annotations

from typing import Any

from xcomctl.metadata.tables import Tables
from xcomctl.model.phases import Line


def column_kind(tables: Tables, dialect: str) -> str:
    """What the column of values is: ``bytes`` (2.x), ``jsonb`` (PostgreSQL), ``json``."""
    if tables.line is Line.AF2:
        return "bytes"
    return "jsonb" if dialect == "postgresql" else "json"


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
        small = _bytes_length(value, dialect) <= LONGEST_URL
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


def text_order(tables: Tables, dialect: str) -> Any:
    """What sorts stored strings as an object store sorts keys: by their bytes in UTF-8.

    Where the column holds JSON text (2.x, and SQLite) it is that text which is compared: the order of strings in which
    nothing is escaped. MySQL compares the first ``max_sort_length`` bytes (1,024 unless configured).
    """
    import sqlalchemy as sa

    value = tables.xcom.c.value
    if tables.line is Line.AF2:
        return value
    if dialect == "postgresql":
        return sa.collate(value.op("#>>")(sa.literal_column("'{}'")), "C")
    if dialect == "mysql":
        return sa.cast(sa.func.json_unquote(value), sa.LargeBinary)
    return sa.type_coerce(value, sa.Text)


def orders_escapes(tables: Tables, dialect: str) -> bool:
    """Whether :func:`text_order` compares decoded strings, so that escaped ones stand in their place too."""
    return tables.line is Line.AF3 and dialect != "sqlite"


def out_of_order(tables: Tables, dialect: str, doubled: str) -> Any:
    """Whether :func:`text_order` puts a string elsewhere than a store puts its key, where it is a URL.

    That is: something is escaped in the text that is compared, or it begins with ``doubled``, the base path with a
    slash too many, which the backend drops.
    """
    import sqlalchemy as sa

    value = tables.xcom.c.value
    if tables.line is Line.AF2:
        parts = [sa.literal(text.encode(), sa.LargeBinary) for text in ("\\", doubled)]
        if dialect == "postgresql":
            return sa.or_(*(sa.func.position(part.op("IN")(value)) > 0 for part in parts))
        return sa.or_(*(sa.func.instr(value, part) > 0 for part in parts))
    if dialect == "postgresql":
        return sa.func.strpos(value.op("#>>")(sa.literal_column("'{}'")), doubled) > 0
    if dialect == "mysql":
        return sa.func.locate(doubled, sa.func.json_unquote(value)) > 0
    text = sa.type_coerce(value, sa.Text)
    return sa.or_(*(sa.func.instr(text, part) > 0 for part in ("\\", doubled)))


def pickled(tables: Tables) -> Any:
    """Whether the stored bytes are a pickle (2.x alone)."""
    import sqlalchemy as sa

    if tables.line is Line.AF3:
        return sa.false()
    return sa.func.substr(tables.xcom.c.value, 1, 1) == sa.literal(b"\x80", sa.LargeBinary)


#: Where the large values begin, in bytes: of what is smaller, many rows are in memory at a time.
SMALL_VALUE = 16 * 1024


def is_small(tables: Tables, dialect: str) -> Any:
    """Whether the stored bytes are few (2.x alone). Known without fetching them."""
    import sqlalchemy as sa

    return _bytes_length(tables.xcom.c.value, dialect) <= sa.literal(SMALL_VALUE)


def may_hold_url(tables: Tables, dialect: str) -> Any:
    """Whether the stored value is a URL as :func:`url_like` has it, or a pickle that may be one (F24).

    The database cannot look into a pickle; few are small enough to be one string.
    """
    import sqlalchemy as sa

    if tables.line is Line.AF3:
        return url_like(tables, dialect)
    return sa.or_(url_like(tables, dialect), sa.and_(pickled(tables), is_small(tables, dialect)))


def json_like(tables: Tables) -> Any:
    """Whether the stored value is a string that begins as JSON text does (2.x alone, whose column holds ASCII JSON).

    A backslash is whatever is escaped, white space and quotes among it.
    """
    import sqlalchemy as sa

    def begins(start: int, *texts: bytes) -> Any:
        part = sa.func.substr(tables.xcom.c.value, start, len(texts[0]))
        return part.in_([sa.literal(text, sa.LargeBinary) for text in texts])

    return sa.and_(
        begins(1, b'"'),
        sa.or_(
            begins(2, *(bytes([code]) for code in b"{[-0123456789 \\")),
            begins(2, b"true", b"fals", b"null", b'NaN"', b"NaN ", b"NaN\\", b"Infi"),
        ),
    )


#: How many characters of a string are read to see its scheme, and among how many the colon has to be.
HEAD, SCHEME_WITHIN = 64, 40


def string_head(tables: Tables, dialect: str) -> tuple[Any, Any]:
    """The beginning of a stored string, and whether there is a colon in it (3.x alone; other values: neither)."""
    import sqlalchemy as sa

    value = tables.xcom.c.value
    if dialect == "postgresql":
        is_string = sa.func.jsonb_typeof(value) == "string"
        text = value.op("#>>")(sa.literal_column("'{}'"))
        colon = sa.func.strpos(sa.func.substr(text, 1, SCHEME_WITHIN), ":")
    elif dialect == "mysql":
        is_string = sa.func.json_type(value) == "STRING"
        text = sa.func.json_unquote(value)
        colon = sa.func.locate(":", sa.func.substr(text, 1, SCHEME_WITHIN))
    else:
        # By its first character: json_type() would stop at a NaN, which SQLite's column can hold.
        is_string = sa.func.substr(sa.type_coerce(value, sa.Text), 1, 1) == sa.literal_column("'\"'")
        text = sa.func.json_extract(value, sa.literal_column("'$'"))
        colon = sa.func.instr(sa.func.substr(text, 1, SCHEME_WITHIN), ":")
    return sa.func.substr(text, 1, HEAD), sa.case((is_string, colon > 0), else_=sa.false())


#: A key that begins and ends as a tuple or a date does, as all three databases write it: no backslashes, no classes. It
#: lets through more than is meant; what is meant is decided on the decoded value.
_TELLING_KEY = """"([(].{any}[)]|[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]([ ][^"]{any})?)" ?:"""


def json_text(tables: Tables) -> Any:
    """The stored value as JSON text (3.x alone)."""
    import sqlalchemy as sa

    return sa.cast(tables.xcom.c.value, sa.Text)


def holds_telling_key(tables: Tables, dialect: str) -> Any:
    """Whether the stored value may hold a key that looks like a tuple or a date (3.x alone).

    PostgreSQL's regular expressions never go back, and a limit makes them six times slower; those of MySQL and SQLite
    do, and without a limit a large value takes them for ever.
    """
    return json_text(tables).regexp_match(_TELLING_KEY.replace("{any}", "*" if dialect == "postgresql" else "{0,250}"))


def json_bytes(tables: Tables, dialect: str) -> Any:
    """The bytes of the value's JSON as ``json.dumps`` writes it, at most twice that where it is not ASCII.

    Exact on 2.x, whose column holds them. 3.x counts characters, and five more for each further byte of one:
    ``json.dumps`` escapes a character of two bytes to six.
    """
    import sqlalchemy as sa

    if tables.line is Line.AF2:
        return _bytes_length(tables.xcom.c.value, dialect)
    text = json_text(tables)
    if dialect == "sqlite":  # holds what json.dumps wrote
        return sa.func.length(text)
    characters = sa.func.char_length(text)
    return characters + 5 * (sa.func.octet_length(text) - characters)


def _bytes_length(value: Any, dialect: str) -> Any:
    import sqlalchemy as sa

    return sa.func.length(value) if dialect == "sqlite" else sa.func.octet_length(value)
