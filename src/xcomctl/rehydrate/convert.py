"""What of an object may be written into its row: a pure judgement of its bytes (DESIGN §3)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.metadata.differences import parsed_again
from xcomctl.model.phases import Line
from xcomctl.model.references import Kind, classify, might_escape, scheme_of
from xcomctl.model.rehydrate import DOES_NOT_FIT, JSON_STRING, PATH_STRING, UNDECODABLE
from xcomctl.references.fits import misfit_of


class Left(Exception):
    """A row keeps its reference: ``why`` is a word of :mod:`xcomctl.model.rehydrate`, ``detail`` a sentence."""

    def __init__(self, why: str, detail: str = "") -> None:
        super().__init__(detail or why)
        self.why = why
        self.detail = detail


@dataclass(frozen=True)
class Column:
    """What is known of the column: its line, whether it is JSONB, and the base path under which strings are taken for paths.

    ``no_readers``: nothing that reads with the backend is alive. ``unreadable`` tells of a scheme why each read of a string
    that has it fails under the backend, ``None`` if it does not.
    """

    line: Line
    is_jsonb: bool
    base_path: str
    no_readers: bool
    unreadable: Callable[[str], Optional[str]]


@dataclass(frozen=True)
class Value:
    """A value to write: ``column`` is what is bound, ``json`` what it is as JSON. ``for_no_readers``: a reader with the
    backend would see it as something else, and there is none.
    """

    column: Any
    json: Any
    for_no_readers: bool = False


def value_of(data: bytes, column: Column) -> Value:
    """The value of an object's JSON. Raises :class:`Left` where its row has to keep the reference."""
    try:
        value = json.loads(data)
    except RecursionError:
        raise Left(UNDECODABLE, "it is nested too deeply for Python to read") from None
    except ValueError as error:
        raise Left(UNDECODABLE, f"it holds no JSON: {str(error)[:200]}") from None
    if column.is_jsonb:
        problem = misfit_of(value)
        if problem is not None:
            raise Left(DOES_NOT_FIT, f"it {problem}")
    misread = _misread(value, column) if isinstance(value, str) else None
    if misread is not None and not column.no_readers:
        raise misread
    return Value(data if column.line is Line.AF2 else value, value, misread is not None)


def _misread(text: str, column: Column) -> Optional[Left]:
    """Why a reader with the backend would not get this string as what it is, ``None`` if it would.

    Raises :class:`Left` for one that is a path to any reader's scan.
    """
    if classify(text, column.base_path).kind is Kind.REFERENCE or might_escape(text, column.base_path):
        raise Left(PATH_STRING, "the value is itself a path below the base path")
    if column.line is Line.AF2:
        kind = parsed_again(text)
        if kind is None:
            return None
        return Left(JSON_STRING, f"a reader with the backend would get {kind} for it once it is inline (F47)")
    scheme = scheme_of(text)
    problem = column.unreadable(scheme) if scheme is not None else None
    if problem is None:
        return None
    return Left(PATH_STRING, f"the value begins with {scheme}:, and every read under the backend raises {problem}")
