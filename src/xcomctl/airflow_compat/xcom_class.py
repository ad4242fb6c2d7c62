"""The XCom class that a context resolves, and its two functions that work without a task."""

from __future__ import annotations

import collections
import functools
from typing import Any, Optional

from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model.phases import BASE_XCOM, Line
from xcomctl.model.settings import BACKEND

_Row = collections.namedtuple("_Row", ["value"])


@functools.cache
def _load() -> tuple[Any, Optional[BaseException]]:
    """The class or why not. Once: a second attempt on 2.x gives a misleading error (F18)."""
    try:
        # First of all, or importing the backend fails on a circle (F17).
        models = loading.module("airflow.models.xcom")
        if loading.line() is Line.AF2:
            return models.XCom, None
        return loading.module("airflow.sdk.execution_time.xcom").XCom, None
    except AirflowUnusable:
        raise
    except Exception as error:
        return None, error


def class_path() -> tuple[Optional[str], Optional[str]]:
    """``module.QualName`` of the resolved class, or ``None`` and Airflow's own message."""
    found, error = _load()
    if found is None:
        return None, f"{type(error).__name__}: {error}"
    return f"{found.__module__}.{found.__qualname__}", None


def resolved_class() -> Any:
    """The resolved class. Raises :class:`AirflowUnusable` with Airflow's message if it cannot be imported."""
    found, error = _load()
    if found is None:
        raise AirflowUnusable(
            f"Airflow cannot import the configured XCom backend: {type(error).__name__}: {error}",
            f"correct [core] xcom_backend, or start the agent with {BACKEND.env}={BASE_XCOM}",
        )
    return found


def serialize(value: Any, *, key: str, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Any:
    """What a push hands to the database: bytes on 2.x, a JSON value on 3.x."""
    return resolved_class().serialize_value(
        value, key=key, task_id=task_id, dag_id=dag_id, run_id=run_id, map_index=map_index
    )


def deserialize(stored: Any) -> Any:
    """What a pull makes of a stored form."""
    return resolved_class().deserialize_value(_Row(stored))
