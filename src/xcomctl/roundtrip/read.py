"""Pulls a stored form through the real ``deserialize_value`` and says what a task would get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from xcomctl.airflow_compat import xcom_class
from xcomctl.model import describe
from xcomctl.model.references import is_stray_path
from xcomctl.model.requests import REFERENCE, Read
from xcomctl.model.transitions import Outcome, Sample
from xcomctl.references.scan import kind_of
from xcomctl.roundtrip import corpus, wire
from xcomctl.roundtrip.write import OWNER, described


def read(value_id: str, stored: Mapping[str, Any], base_path: str, threshold: int) -> Read:
    """What a pull of that stored form gives, compared with the value of that id."""
    chosen = corpus.value_of(value_id, base_path, threshold)
    xcom_class.resolved_class()
    plain = wire.decode(stored)
    try:
        got = xcom_class.deserialize(plain)
    except Exception as error:
        return Read(value_id, Outcome.READ_RAISES.value, None, None, None, False, False, described(error))
    outcome = _outcome(got, wire.text_of(stored), chosen, base_path)
    return Read(
        value_id=value_id,
        outcome=outcome.value if outcome is not None else None,
        type=describe.type_name(got),
        digest=describe.digest(got),
        excerpt=describe.excerpt(got),
        equal=describe.same(got, chosen.value),
        got_reference=outcome in (Outcome.PATH, Outcome.STRAY_PATH),
    )


def _outcome(got: Any, stored_text: Optional[str], chosen: Sample, base_path: str) -> Optional[Outcome]:
    if describe.same(got, chosen.value):
        return Outcome.VALUE
    for outcome, changed in chosen.changed.items():
        if describe.same(got, changed):
            return outcome
    if isinstance(got, str) and got == stored_text:
        if is_stray_path(got, OWNER):
            return Outcome.STRAY_PATH
        if kind_of(got, base_path, OWNER) == REFERENCE:
            return Outcome.PATH
    return None
