"""control_flow: the values that steer a DAG, or data, through BaseXCom and through the resolved class, compared."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Callable, Optional

from xcomctl.agent.context import RequestContext, RequestError
from xcomctl.agent.requests.common import base_path_of
from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.model import describe
from xcomctl.model.references import Owner
from xcomctl.model.requests import ControlFlowAnswer, Difference
from xcomctl.model.transitions import Sample, ValueForm
from xcomctl.roundtrip import data
from xcomctl.roundtrip.compare import PUSH_RAISED, Pair, pairs
from xcomctl.roundtrip.control_flow import LONGEST_JSON, Value, corpus
from xcomctl.roundtrip.corpus import place_objects
from xcomctl.roundtrip.defects import Setting, named
from xcomctl.roundtrip.folder import is_folder, remove


def run(context: RequestContext) -> ControlFlowAnswer:
    """Answer the request.

    With ``offloaded`` every value goes into the store, whatever its size; without it none does. ``with_store`` allows
    the values whose reading asks the store then. ``folder`` is where they may write (see
    :mod:`xcomctl.roundtrip.folder`); it is removed. ``values`` are ids, of either corpus; all that steer a DAG unless
    given.
    """
    offloaded = context.flag("offloaded")
    base_path, folder = base_path_of(context), context.text("folder", required=True) or ""
    if not is_folder(folder):
        raise RequestError(f"{folder!r} is no folder of a round trip")
    values = _chosen(context, base_path, folder, offloaded or context.flag("with_store"))
    owner = Owner(folder, "control_flow", "round_trip")
    setting = Setting(loading.line(), loading.providers().get("common.io", ""), base_path, offloaded)
    xcom_class.resolved_class()
    differences, only_backend, neither = [], [], []
    unmeasured = ""
    left: tuple[str, ...] = ()
    try:
        with _threshold(offloaded, context.number("threshold", -1), values, context.check):
            for value in values:
                context.check()
                place_objects(Sample(ValueForm.OWN_PATH, value.value, objects=value.objects))
                for pair in pairs([value], owner):
                    found = difference(pair, setting, folder)
                    differences += [found] if found is not None else []
                    only_backend += [value.id] if pair.only_backend else []
                    neither += [value.id] if pair.neither else []
    except xcom_class.ThresholdFixed as error:
        unmeasured = error.message
    finally:
        if any(offloaded or value.objects for value in values):
            left = _removed(base_path, folder)
    measured = 0 if unmeasured else len(values)
    return ControlFlowAnswer(measured, tuple(differences), tuple(only_backend), unmeasured, left, tuple(neither))


def difference(pair: Pair, setting: Setting, folder: str) -> Optional[Difference]:
    """What differs between the two passages of one value, ``None`` for nothing."""
    value, stored = pair.value, pair.backend.stored
    inside = f"{setting.base_path.rstrip('/')}/{folder}/"
    excerpt = describe.excerpt(value.value)
    if setting.offloaded and pair.backend.reached != PUSH_RAISED and not (stored or "").startswith(inside):
        sentence = f"{excerpt} stays in the database although every value has to go into the store"
        return Difference(value.id, excerpt, pair.base.shown, pair.backend.shown, sentence)
    if not pair.differs:
        return None
    defect, sentence = named(pair, setting)
    name, kind = (None, "") if defect is None else (defect.id, defect.kind)
    return Difference(value.id, excerpt, pair.base.shown, pair.backend.shown, sentence, name, kind)


def _chosen(context: RequestContext, base_path: str, folder: str, may_ask_store: bool) -> list[Value]:
    values = {value.id: value for value in corpus(base_path, folder) if may_ask_store or not value.asks_store}
    ids = context.raw("values", list(values))
    known = data.names()
    if not isinstance(ids, list) or not all(name in values or name in known for name in ids):
        raise RequestError(f"'values' must be a list of ids; there are {', '.join((*values, *sorted(known)))}")
    if not all(name in values for name in ids):
        # Making them imports what Airflow has for data; who asks for control flow alone does without.
        values.update((value.id, value) for value in data.corpus())
    return [values[name] for name in ids]


def _threshold(
    offloaded: bool, threshold: int, values: Sequence[Value], safe_point: Callable[[], None]
) -> contextlib.AbstractContextManager[None]:
    """The threshold for the round trip: the target's own one wherever it keeps these values in the database."""
    if offloaded:
        return xcom_class.threshold_of(0, safe_point)
    if threshold >= 0 and (threshold <= LONGEST_JSON or not all(value.control_flow for value in values)):
        return xcom_class.threshold_of(-1, safe_point)
    return contextlib.nullcontext()


def _removed(base_path: str, folder: str) -> tuple[str, ...]:
    """What could not be removed; why not, if the store does not even tell."""
    try:
        return remove(base_path, folder)
    except Exception as error:
        return (f"{base_path.rstrip('/')}/{folder} ({type(error).__name__}: {error})",)
