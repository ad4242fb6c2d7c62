"""The corpora through the tasks of a real run: pushed by one, pulled by another, compared where they are pulled.

What is compared with is what BaseXCom's own two functions give for the value in the pulling process. A real push goes
on to the metadata column, which changes and refuses some values by itself, under BaseXCom as under any backend (F37):
those are told apart, in words, from what the backend does.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional

from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.model import describe
from xcomctl.model.phases import Line
from xcomctl.model.probe import CONTROL_FLOW, DATA, RUN, ProbeDifference
from xcomctl.model.references import Kind, Owner, classify
from xcomctl.model.requests import Difference
from xcomctl.roundtrip import control_flow, data, wire
from xcomctl.roundtrip.compare import CAME_BACK, PUSH_RAISED, READ_RAISED, Pair, Passage, passage
from xcomctl.roundtrip.control_flow import Value
from xcomctl.roundtrip.defects import Setting, named
from xcomctl.roundtrip.folder import new_folder
from xcomctl.roundtrip.told import told

#: What is mapped over: one of each kind of element that a producer of map inputs pushes.
MAPPED = ({"cell": 1, "name": None}, "20260606", 7)


def values_of(base_path: str) -> list[Value]:
    """Both corpora, but for what needs objects of its own in the store."""
    return [value for value in (*control_flow.corpus(base_path, new_folder()), *data.corpus()) if not value.asks_store]


def push_all(push: Callable[[str, Any], None], base_path: str) -> tuple[list[str], dict[str, list[str]]]:
    """Push every value under its id: all ids, and the error's type and message by id for those whose push raised."""
    ids: list[str] = []
    errors: dict[str, list[str]] = {}
    for value in values_of(base_path):
        ids.append(value.id)
        try:
            push(value.id, value.value)
        except Exception as error:
            errors[value.id] = [type(error).__name__, " ".join(str(error).split())[:200]]
    return ids, errors


class Pulled:
    """Compares what one task pulls; ``step`` names the way that it came. ``threshold`` tells what was offloaded."""

    def __init__(self, base_path: str, threshold: int, step: str) -> None:
        self._base_path, self._threshold, self._step = base_path, threshold, step
        self._base = xcom_class.base_class()
        self.differences: list[ProbeDifference] = []
        self.counts = {CONTROL_FLOW: 0, DATA: 0}
        self.column: list[str] = []

    def all(self, pull: Callable[[str], Any], pushed: Mapping[str, Any]) -> None:
        """Pull every value by its id. ``pushed`` holds the ``ids`` that were pushed, and the ``errors`` of some."""
        ids, errors = set(pushed["ids"]), pushed["errors"]
        for value in values_of(self._base_path):
            if value.id in ids:
                self.one(value, pull, errors.get(value.id))

    def one(self, value: Value, pull: Callable[[str], Any], error: Optional[Sequence[str]] = None) -> None:
        """Pull one value and compare it."""
        corpus = CONTROL_FLOW if value.control_flow else DATA
        self.counts[corpus] += 1
        base = passage(value, self._base, Owner("xcomctl_probe", "run", "pull"))
        pair = Pair(value, base, self._came(value, pull, error))
        if not pair.differs or self._is_the_columns(pair):
            return
        defect, sentence = named(pair, self._setting(value))
        found = Difference(
            value.id, describe.excerpt(value.value), base.shown, pair.backend.shown, sentence,
            None if defect is None else defect.id, "" if defect is None else defect.kind,
        )  # fmt: skip
        self.differences.append(told(corpus, RUN, found, self._step))

    def _came(self, value: Value, pull: Callable[[str], Any], error: Optional[Sequence[str]]) -> Passage:
        if error is not None:
            return Passage(PUSH_RAISED, error=_rebuilt(*error))
        try:
            got = pull(value.id)
        except Exception as raised:
            return Passage(READ_RAISED, error=raised)
        is_path = isinstance(got, str) and classify(got, self._base_path).kind is Kind.REFERENCE
        return Passage(CAME_BACK, got, stored=got if is_path else None)

    def _setting(self, value: Value) -> Setting:
        try:
            size = len(json.dumps(value.value))
        except (TypeError, ValueError, RecursionError):
            size = 0
        offloaded = 0 <= self._threshold <= size
        return Setting(loading.line(), loading.providers().get("common.io", ""), self._base_path, offloaded)

    def _is_the_columns(self, pair: Pair) -> bool:
        """Whether the JSON column of 3.x does this, whatever class is configured (F37)."""
        if loading.line() is Line.AF2:
            return False
        if pair.backend.reached == PUSH_RAISED:
            refused = not isinstance(pair.backend.error, TypeError) and _no_column_takes(pair.value.value)
            if refused:
                self.column.append(f"{pair.value.id} cannot be stored")
            return refused
        if pair.base.reached != CAME_BACK or pair.backend.reached != CAME_BACK:
            return False
        owner = Owner("xcomctl_probe", "run", "pull")
        stored = wire.decode(wire.encode(xcom_class.serialize(
            pair.value.value, key=pair.value.id, dag_id=owner.dag_id, run_id=owner.run_id, task_id=owner.task_id,
            by=self._base,
        )))  # fmt: skip
        changed = describe.same(xcom_class.deserialize(as_jsonb(stored), by=self._base), pair.backend.value)
        if changed:
            self.column.append(f"{pair.value.id} comes back as {pair.backend.shown}")
        return changed


def as_jsonb(value: Any) -> Any:
    """What PostgreSQL's JSONB makes of a JSON value: numbers are decimals there, without a sign of zero."""
    if isinstance(value, dict):
        return {key: as_jsonb(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [as_jsonb(entry) for entry in value]
    if isinstance(value, float) and math.isfinite(value):
        if value == 0:
            return 0.0
        if "e+" in repr(value):
            return int(value)
    return value


def _no_column_takes(value: Any) -> bool:
    try:
        text = json.dumps(value, default=repr)
    except (TypeError, ValueError, RecursionError):
        return False
    return "\\u0000" in text or "\\ud8" in text or "NaN" in text or "Infinity" in text


def _rebuilt(name: str, message: str) -> Exception:
    """An error from another task's process, of its type where that is one of Python's own."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # such as UnicodeEncodeError, which is made of five things
            return kind(message)
    return RuntimeError(f"{name}: {message}")
