"""Values as JSON text: some of them, and those whose size the database's own text leaves in doubt (3.x)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Union

from xcomctl.metadata import expressions, sizes
from xcomctl.metadata.reading import stream
from xcomctl.metadata.sizes import Asked
from xcomctl.metadata.tables import Tables
from xcomctl.metadata.xcoms import LARGE_ROWS
from xcomctl.model.phases import Line

#: A byte of text is at most so many bytes to the backend: DEL is escaped as six, and a character of two bytes is too.
MOST_GROWTH = 6
#: Numbers grow by no more: a whole number of 17 digits may have been a float of 22 characters, 0.0 was -0.0.
_NUMBERS_GROW = 1.3
#: JSONB takes at least this part of its text: a whole number has up to 4,300 digits (more Python writes none), and is 12
#: bytes where all but one are zeros.
_DENSEST = 360
#: What json.dumps writes without its wrapper, which the column has.
_WRAPPED = ('"builtins.tuple"', '"numpy.float64"')
#: Whole numbers that may have been floats; and these, or decimals that json.dumps writes with an exponent.
_GROWING = "$.** ? (@ >= 1e16 || @ <= -1e16)"
_SHRINKING = "$.** ? (@ >= 1e16 || @ <= -1e16 || (@ > -1e-4 && @ < 1e-4 && @ != 0))"


@dataclass(frozen=True)
class Text:
    """A value's JSON text (2.x: its bytes), ``None`` where it was not fetched; ``size`` is what the database says of it."""

    size: int
    text: Union[str, bytes, None]


def some(connection: Any, tables: Tables, asked: Asked, most: int, longest: int) -> Iterator[Text]:
    """Values, at most so many, none longer than ``longest`` bytes."""
    for row in stream(connection, some_select(tables, connection.dialect.name, asked, most, longest), LARGE_ROWS):
        yield Text(int(row.size), bytes(row.text) if tables.line is Line.AF2 else row.text)


def some_select(tables: Tables, dialect: str, asked: Asked, most: int, longest: int) -> Any:
    """The statement behind :func:`some`."""
    import sqlalchemy as sa

    tables = sizes.drawn(tables, dialect, asked.draw)
    size = sizes.stored_size(tables, dialect)
    text = tables.xcom.c.value if tables.line is Line.AF2 else expressions.json_text(tables)
    statement = _values(sa.select(size.label("size"), text.label("text")), tables, dialect, asked)
    if asked.place_from:  # first, as it writes no value as text that it need not
        statement = statement.where(sizes.is_large(tables, dialect, asked))
    return statement.where(size <= longest, size >= asked.place_from).limit(most)


def near(connection: Any, tables: Tables, asked: Asked, thresholds: Sequence[int], most: int) -> Iterator[Text]:
    """The values that may be on the other side of one of these thresholds than the database's figure says.

    The text of the first ``most`` comes with them.
    """
    statement = near_select(tables, connection.dialect.name, asked, thresholds, most)
    for row in stream(connection, statement, LARGE_ROWS):
        yield Text(int(row.size), row.text)


def near_select(tables: Tables, dialect: str, asked: Asked, thresholds: Sequence[int], most: int) -> Any:
    """The statement behind :func:`near`."""
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql

    value, text = tables.xcom.c.value, expressions.json_text(tables)
    least = min(thresholds) // MOST_GROWTH
    if dialect == "postgresql":
        # PostgreSQL takes simple subqueries apart, and would write the text again wherever it is used; not one whose
        # rows come out of a function.
        text = sa.func.unnest(postgresql.array([text]), type_=sa.Text)
    texts = _values(sa.select(value.label("value"), text.label("text")), tables, dialect, asked)
    if dialect == "postgresql":
        # Neither its text nor what json.dumps makes of it reaches a threshold otherwise.
        may_be_large = sa.func.pg_column_size(value) > min(thresholds) // _DENSEST
        texts = texts.where(sa.or_(may_be_large, sizes.is_compressed(value, asked)))
    inner = texts.subquery("texts")
    size = _bytes(inner.c.text, dialect)
    sized = sa.select(inner.c.value, inner.c.text, size.label("size")).subquery("sized")
    doubtful = sa.or_(*(_is_near(sized, dialect, threshold) for threshold in sorted(set(thresholds))))
    number = sa.func.row_number().over()
    fetched = sa.case((number <= most, sized.c.text), else_=sa.null())
    return sa.select(sized.c.size, fetched.label("text")).where(sized.c.size >= least, doubtful)


def _values(statement: Any, tables: Tables, dialect: str, asked: Asked) -> Any:
    """For values alone, and those that were asked for."""
    statement = sizes.narrowed(statement, tables, dialect, asked).where(tables.xcom.c.value.is_not(None))
    if asked.base_path is None and tables.line is Line.AF3:
        return statement  # there is nothing else
    values = (sizes.INLINE, sizes.REFERENCE_LIKE)
    return statement.where(sizes.kind_of(tables, dialect, asked.base_path).in_(values))


def _bytes(text: Any, dialect: str) -> Any:
    import sqlalchemy as sa

    return sa.func.length(sa.cast(text, sa.LargeBinary)) if dialect == "sqlite" else sa.func.octet_length(text)


def _is_near(sized: Any, dialect: str, threshold: int) -> Any:
    import sqlalchemy as sa

    size, text = sized.c.size, sized.c.text

    def holds(part: str) -> Any:
        find = sa.func.strpos if dialect == "postgresql" else sa.func.instr
        return find(text, sa.literal(part)) > 0

    def has_number(path: str) -> Any:
        return sa.func.jsonb_path_exists(sized.c.value, sa.literal_column(f"CAST('{path}' AS jsonpath)"))

    wrapped = sa.or_(*(holds(name) for name in _WRAPPED))
    if dialect == "sqlite":  # what json.dumps wrote: ASCII, and each number as it was
        return sa.and_(size >= threshold, wrapped)
    characters = sa.func.char_length(text)
    escaped = characters + 5 * (size - characters)
    if dialect == "postgresql":
        grows = sa.or_(holds("0.0"), has_number(_GROWING))
        shrinks = has_number(_SHRINKING)
    else:  # MySQL keeps floats, and writes some of them otherwise
        grows, shrinks = sa.true(), size < int(threshold * _NUMBERS_GROW)
    # Both at once: text that is escaped, and numbers that grow, may reach together what neither does alone.
    grown = sa.and_(escaped >= int(threshold / _NUMBERS_GROW), grows)
    below = sa.or_(escaped >= threshold, holds("\x7f"), grown)
    return sa.or_(sa.and_(size < threshold, below), sa.and_(size >= threshold, sa.or_(wrapped, shrinks)))
