"""What a task would get for a stored XCom, through the class that the context resolves; and why it would get none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.airflow_compat import xcom_class
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.metadata.xcoms import ValueRow
from xcomctl.model.pull import (
    DANGLING,
    FOREIGN,
    INLINE,
    OBJECT,
    OUTSIDE,
    PATH_HANDED_OVER,
    PICKLED,
    UNREACHABLE,
    UNREADABLE,
)
from xcomctl.model.references import Owner, Reference, classify, escapes, is_alias, written_under
from xcomctl.store.lookup import Lookup, ObjectInfo


@dataclass(frozen=True)
class Resolved:
    """What became of one XCom.

    ``place`` is ``inline`` or ``object``, ``uri`` the reference. ``problem`` is a word of :mod:`xcomctl.model.pull`, and
    ``detail`` a sentence with the object's name; without one, ``value`` is what the task gets.
    """

    place: str
    value: Any = None
    uri: Optional[str] = None
    object_bytes: Optional[int] = None
    alias: bool = False
    problem: str = ""
    detail: str = ""


class Reader:
    """Reads XComs as a task would, one at a time.

    ``base_path`` is empty where none is known: then nothing is taken for a reference. Nothing outside of it is opened.
    Once the store did not answer, it is not asked again.
    """

    def __init__(self, base_path: str, phase: str) -> None:
        self._base_path = base_path
        self._phase = phase
        self._lookup: Optional[Lookup] = None
        self._down = ""

    def read(self, row: ValueRow, owner: Owner) -> Resolved:
        """What a task that pulls this XCom gets."""
        if row.pickled:
            return Resolved(INLINE, problem=PICKLED, detail="it is a pickle, which is not opened: loading one runs it")
        if not row.decodable:
            return Resolved(INLINE, problem=UNREADABLE, detail="what the row holds is no JSON, or nested too deeply")
        text = row.value if isinstance(row.value, str) else None
        reference = classify(text, self._base_path).reference if text is not None and self._base_path else None
        if reference is not None:
            return self._reference(row, owner, reference)
        base = written_under(text, owner) if text is not None else None
        if base is not None:
            return Resolved(
                OBJECT,
                uri=text,
                problem=FOREIGN,
                detail=f"{text} was written under {base}, and the base path is {self._base_path or 'not set'}: "
                "a task gets the path string",
            )
        try:
            return Resolved(INLINE, xcom_class.deserialize(row.column))
        except Exception as error:
            return Resolved(INLINE, problem=UNREADABLE, detail=f"reading it raises {_said(error)}")

    def _reference(self, row: ValueRow, owner: Owner, reference: Reference) -> Resolved:
        uri, alias = reference.uri, is_alias(reference, owner)
        if escapes(reference):
            detail = f"{uri!r} leads out of the base path, or to no object's name: it is not opened"
            return Resolved(OBJECT, uri=uri, alias=alias, problem=OUTSIDE, detail=detail)
        problem, value, why = "", None, ""
        info = None if self._down else self._look(reference)
        if self._down:
            return Resolved(OBJECT, uri=uri, alias=alias, problem=UNREACHABLE, detail=f"{uri}: {self._down}")
        if info is None:
            got = "" if self._resolves else f" (and under {self._phase} the path would be handed over anyhow)"
            detail = f"the object {uri} is missing: a task gets the path string, or an error{got}"
            return Resolved(OBJECT, uri=uri, alias=alias, problem=DANGLING, detail=detail)
        try:
            value = xcom_class.deserialize(row.column)
        except Exception as error:
            problem, why = UNREADABLE, f"reading the object {uri} raises {_said(error)}"
        else:
            if isinstance(value, str) and value == uri:
                problem, value = PATH_HANDED_OVER, None
                why = (
                    f"a task gets the path string {uri} instead of what the object holds"
                    + ("" if self._resolves else f": this context is {self._phase}")
                )  # fmt: skip
        return Resolved(OBJECT, value, uri, info.size, alias, problem, why)

    @property
    def _resolves(self) -> bool:
        return self._phase in ("dual-read", "offload")

    def _look(self, reference: Reference) -> Optional[ObjectInfo]:
        try:
            if self._lookup is None:
                self._lookup = Lookup(self._base_path)
            return self._lookup.info(reference.object_uri[len(self._base_path.rstrip("/")) + 1 :])
        except AirflowUnusable as error:
            self._down = error.message
            return None


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
