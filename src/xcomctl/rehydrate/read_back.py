"""What readers get for a value once it is in its row, held against what they got from the object.

Two things can change it: the column (JSONB has no floats of its own), and the classes that read. Classes are asked before the
row is touched, with the very value that is to be written; what the column made of it is compared as JSON while the row is
locked, which is quick. Where the column changed more than an order of keys, the classes are asked again, without the lock.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any, Callable

from xcomctl.airflow_compat import xcom_class
from xcomctl.model import describe
from xcomctl.model.phases import BASE_XCOM
from xcomctl.model.rehydrate import DIFFERS, KEY_ORDER, READ_RAISES
from xcomctl.rehydrate.column_changes import changes
from xcomctl.rehydrate.convert import Left, Value

#: In JSON in which an object of a class is wrapped there is a name with this in it, whatever the line.
_WRAPPED = b"__"


class Surprise(Exception):
    """The column made ``held`` of the value, which is not the JSON that it was given."""

    def __init__(self, held: Any) -> None:
        super().__init__("the column gives other JSON than it was given")
        self.held = held


@dataclass(frozen=True)
class Promise:
    """A value whose readers were asked. ``notes`` are what is to be told of it; ``held`` are forms (as JSON text) in which
    the column may give it back.
    """

    value: Value
    notes: frozenset[str] = frozenset()
    held: dict[str, frozenset[str]] = field(default_factory=dict)

    def kept(self, held: Any) -> frozenset[str]:
        """What the column made of it, by name. Raises :class:`Surprise` for what nobody was asked about. Quick."""
        if isinstance(held, bytes):
            if held == self.value.column:
                return self.notes
            raise Surprise(held)
        text = json.dumps(held)
        if text in self.held:
            return self.notes | self.held[text]
        if text == json.dumps(self.value.json):
            return self.notes
        if json.dumps(held, sort_keys=True) == json.dumps(self.value.json, sort_keys=True):
            # Whatever decodes it makes the same of it.
            return self.notes | changes_of_order(self.value.json, held)
        raise Surprise(held)


def changes_of_order(before: Any, after: Any) -> frozenset[str]:
    """Whether somebody may see that keys are in another order."""
    return frozenset({KEY_ORDER}) & (changes(before, after) or frozenset())


class ReadBack:
    """Asks the classes. ``names`` are those that are asked.

    Raises :class:`~xcomctl.airflow_compat.errors.AirflowUnusable` where Airflow's own class cannot be had.
    """

    def __init__(self) -> None:
        self._base, resolved = xcom_class.base_class(), xcom_class.resolved_class()
        self._backend = None if resolved is self._base else resolved
        self.names = (BASE_XCOM.rpartition(".")[2], *(() if self._backend is None else (resolved.__name__,)))

    def promise(self, data: bytes, value: Value) -> Promise:
        """Ask for the value as it is to be written. Raises :class:`Left` where a reader would get something else."""
        return Promise(value, self._compare(data, value, value.column))

    def again(self, promise: Promise, held: Any) -> Promise:
        """Ask for what the column made of it. Raises :class:`Left` as :meth:`promise`, and where that is no change of the
        column's own."""
        stored = json.loads(held) if isinstance(held, bytes) else held
        found = changes(promise.value.json, stored)
        if found is None:
            raise Left(DIFFERS, "the column gives other JSON than it was given")
        text = json.dumps(stored)
        notes = self._compare(text.encode(), promise.value, held)
        return Promise(promise.value, promise.notes | notes, {**promise.held, text: found})

    def _compare(self, data: bytes, value: Value, column: Any) -> frozenset[str]:
        expected = _Read(functools.partial(xcom_class.decoded, data))
        for by in (self._base, self._backend):
            if by is None or (by is self._backend and value.for_no_readers):
                continue
            got = _Read(functools.partial(xcom_class.deserialize, column, by=by))
            if not got.same(expected, plain=_WRAPPED not in data):
                # Never the values themselves: they are the task's.
                raise Left(DIFFERS, f"{by.__name__} would give {got.kind}, of another content, for {expected.kind}")
        return frozenset({READ_RAISES}) if expected.raised else frozenset()


class _Read:
    """What a read gives, or raises."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self.value, self.raised = self._do()

    @property
    def kind(self) -> str:
        """Its type, or the error's."""
        return f"a {self.raised}" if self.raised else f"a {describe.type_name(self.value)}"

    def same(self, other: _Read, *, plain: bool) -> bool:
        """Whether both give the same, type by type. ``plain``: JSON in which no object of a class is wrapped."""
        if self.raised or other.raised:
            return self.raised == other.raised
        if plain:
            try:
                return json.dumps(self.value) == json.dumps(other.value)
            except (TypeError, ValueError, RecursionError):
                pass
        mine, theirs = describe.canonical(self.value), describe.canonical(other.value)
        if mine == theirs:
            return True
        # A class that prints itself by its address tells nothing: then not even the same read gives the same twice.
        silent = describe.canonical(other._do()[0]) != theirs
        return silent and self.kind == other.kind

    def _do(self) -> tuple[Any, str]:
        try:
            return self._read(), ""
        except Exception as error:  # what a reader's own class raises is what a task would get
            return None, type(error).__name__
