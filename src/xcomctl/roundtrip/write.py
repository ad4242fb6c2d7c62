"""Pushes a value of the corpus through the real ``serialize_value``."""

from __future__ import annotations

from xcomctl.airflow_compat import xcom_class
from xcomctl.model.references import Owner, is_stray_path
from xcomctl.model.requests import REFERENCE, Written
from xcomctl.model.transitions import Stored
from xcomctl.references.scan import kind_of
from xcomctl.roundtrip import corpus, wire

#: Whose XCom it pretends to be; the object's path tells.
OWNER = Owner("xcomctl_roundtrip", "roundtrip", "write")


def write(value_id: str, base_path: str, threshold: int) -> Written:
    """What a push of that value leaves behind. A large value's object stays in the store."""
    chosen = corpus.value_of(value_id, base_path, threshold)
    xcom_class.resolved_class()
    corpus.place_objects(chosen)
    try:
        stored = wire.encode(
            xcom_class.serialize(
                chosen.value,
                key=value_id,
                dag_id=OWNER.dag_id,
                run_id=OWNER.run_id,
                task_id=OWNER.task_id,
            )
        )
    except Exception as error:
        return Written(value_id, Stored.NOTHING.value, None, error=described(error))
    text = wire.text_of(stored)
    if text is not None and text != chosen.value:
        if kind_of(text, base_path, OWNER) == REFERENCE:
            return Written(value_id, Stored.REFERENCE.value, stored, reference=text)
        if is_stray_path(text, OWNER):
            return Written(value_id, Stored.STRAY_PATH.value, stored, reference=text)
    return Written(value_id, Stored.VALUE.value, stored)


def described(error: BaseException) -> dict[str, str]:
    """An exception for the wire."""
    return {"type": type(error).__name__, "message": str(error)}
