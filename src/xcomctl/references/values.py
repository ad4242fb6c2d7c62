"""What a task would get for a stored XCom, through the class that the context resolves; and why it would get none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.airflow_compat import configuration, xcom_class
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.metadata.pickles import text_in
from xcomctl.metadata.xcoms import ValueRow
from xcomctl.model.phases import Phase, path_problem
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
from xcomctl.model.references import (
    Owner,
    Reference,
    classify,
    escapes,
    is_alias,
    might_escape,
    normalized_base,
    written_under,
)
from xcomctl.store.lookup import Lookup, ObjectInfo
from xcomctl.store.opened import is_refusal

_RESOLVING = (Phase.DUAL_READ.value, Phase.OFFLOAD.value)


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

    ``base_path`` is empty where none is known: then nothing is taken for a reference. ``phase`` is the context's. Nothing
    outside of that base path, and of the one that the context resolves, is opened. Once the store did not answer, it is
    not asked again.
    """

    def __init__(self, base_path: str, phase: str) -> None:
        value = configuration.resolve_settings()["path"].value
        own = "" if value is None else str(value)
        # What is under the context's own is opened by its class, whatever the person has named.
        bases = [base for base in (base_path, own) if path_problem(base) is None]
        self._places = [_Place(base) for base in dict.fromkeys(normalized_base(base) for base in bases)]
        self._guarded = [*bases, own]
        self._phase = phase

    def read(self, row: ValueRow, owner: Owner) -> Resolved:
        """What a task that pulls this XCom gets."""
        if row.pickled:
            return self._pickled(row, owner)
        if not row.decodable:
            why = (
                "what the row holds is no JSON that Python reads: damaged, nested too deeply, or with too long a number"
            )
            return Resolved(INLINE, problem=UNREADABLE, detail=why)
        if isinstance(row.value, str):
            for place in self._places:
                reference = classify(row.value, place.base_path).reference
                if reference is not None:
                    return self._reference(row, owner, place, reference)
            problem = self._not_a_value(row.value, owner)
            if problem is not None:
                return problem
        try:
            return Resolved(INLINE, xcom_class.deserialize(row.column))
        except Exception as error:
            return Resolved(INLINE, problem=UNREADABLE, detail=f"reading it raises {_said(error)}")

    def _pickled(self, row: ValueRow, owner: Owner) -> Resolved:
        """A pickled reference (F24) is followed like any other: its pickle makes a string and nothing else."""
        text = text_in(bytes(row.column or b""))
        if text is not None:
            for place in self._places:
                reference = classify(text, place.base_path).reference
                if reference is not None:
                    return self._reference(row, owner, place, reference)
        return Resolved(INLINE, problem=PICKLED, detail="it is a pickle, which is not opened: loading one runs it")

    def _not_a_value(self, text: str, owner: Owner) -> Optional[Resolved]:
        """What a string that is under no base path is a sign of, unless it is a value."""
        if any(might_escape(text, base) for base in self._guarded):
            return _outside(text, alias=False)
        base = written_under(text, owner)
        if base is None:
            return None
        known = " or ".join(place.base_path for place in self._places) or "not set"
        detail = f"{text} was written under {base}, and the base path is {known}: a task gets the path string"
        return Resolved(OBJECT, uri=text, problem=FOREIGN, detail=detail)

    def _reference(self, row: ValueRow, owner: Owner, place: _Place, reference: Reference) -> Resolved:
        uri, alias = reference.uri, is_alias(reference, owner)
        if escapes(reference):
            return _outside(uri, alias)
        try:
            info = place.look(reference)
        except AirflowUnusable as error:
            return Resolved(OBJECT, uri=uri, alias=alias, problem=UNREACHABLE, detail=error.message)
        if place.down:
            return Resolved(OBJECT, uri=uri, alias=alias, problem=UNREACHABLE, detail=f"{uri}: {place.down}")
        if info is None:
            besides = "" if self._phase in _RESOLVING else f" (as it would under {self._phase} anyhow)"
            detail = f"the object {uri} is missing: a task gets the path string{besides}, or an error"
            return Resolved(OBJECT, uri=uri, alias=alias, problem=DANGLING, detail=detail)
        try:
            value = xcom_class.deserialize(row.column)
        except Exception as error:
            detail = f"reading the object {uri} raises {_said(error)}"
            return Resolved(OBJECT, None, uri, info.size, alias, UNREADABLE, detail)
        if isinstance(value, str) and value == uri:
            because = "" if self._phase in _RESOLVING else f": this context is {self._phase}"
            detail = f"a task gets the path string {uri} instead of what the object holds{because}"
            return Resolved(OBJECT, None, uri, info.size, alias, PATH_HANDED_OVER, detail)
        return Resolved(OBJECT, value, uri, info.size, alias)


class _Place:
    """A base path and what is asked of its store. ``down`` says why it does not answer any more."""

    def __init__(self, base_path: str) -> None:
        self.base_path = base_path
        self.down = ""
        self._lookup: Optional[Lookup] = None

    def look(self, reference: Reference) -> Optional[ObjectInfo]:
        """The reference's object. Raises :class:`AirflowUnusable` where this one may not be looked at."""
        if self.down:
            return None
        try:
            if self._lookup is None:
                self._lookup = Lookup(self.base_path)
            return self._lookup.info(reference.relative)
        except AirflowUnusable as error:
            if is_refusal(error.__cause__):
                raise
            self.down = error.message
        except Exception as error:  # what making the file system raises
            self.down = f"the store of {self.base_path} cannot be opened: {_said(error)}"
        return None


def _outside(uri: str, alias: bool) -> Resolved:
    detail = f"{uri!r} leads out of the base path, or to no object's name: it is not opened"
    return Resolved(OBJECT, uri=uri, alias=alias, problem=OUTSIDE, detail=detail)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
