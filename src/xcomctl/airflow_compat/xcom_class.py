"""The XCom class that a context resolves and Airflow's own, and their two functions that work without a task."""

from __future__ import annotations

import collections
import contextlib
import functools
import json
import os
import threading
from collections.abc import Iterator
from typing import Any, Callable, Optional

from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line
from xcomctl.model.settings import BACKEND, THRESHOLD, format_threshold

_Row = collections.namedtuple("_Row", ["value"])
_BACKEND_MODULE = OBJECT_STORAGE_BACKEND.rpartition(".")[0]


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
        # Airflow says "could not be loaded" of any failed import; the import's own error says which module it was.
        cause = error.__context__ if error is not None else None
        why = f" ({type(cause).__name__}: {cause})" if isinstance(cause, ImportError) else ""
        return None, f"{type(error).__name__}: {error}{why}"
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


def base_class() -> Any:
    """Airflow's own class, whatever is configured. Raises :class:`AirflowUnusable` like :func:`resolved_class`."""
    resolved_class()
    if loading.line() is Line.AF2:
        return loading.module("airflow.models.xcom").BaseXCom
    return loading.module("airflow.sdk.bases.xcom").BaseXCom


def serialize(
    value: Any, *, key: str, dag_id: str, run_id: str, task_id: str, map_index: int = -1, by: Any = None
) -> Any:
    """What a push hands to the database: bytes on 2.x, a JSON value on 3.x. ``by``: another class than the resolved."""
    return (by or resolved_class()).serialize_value(
        value, key=key, task_id=task_id, dag_id=dag_id, run_id=run_id, map_index=map_index
    )


def deserialize(stored: Any, by: Any = None) -> Any:
    """What a pull makes of a stored form. ``by``: another class than the resolved one."""
    return (by or resolved_class()).deserialize_value(_Row(stored))


def decoded(data: bytes) -> Any:
    """What the object-storage backend makes of an object's content: JSON in which Airflow's classes are encoded."""
    return json.loads(data, cls=loading.module("airflow.utils.json").XComDecoder)


class ThresholdFixed(AirflowUnusable):
    """The backend of this provider's version cannot be given another threshold in a running process."""


_lock = threading.Lock()
#: Gives the backend its own threshold back, while it has another one.
_restore: Optional[Callable[[], None]] = None


@contextlib.contextmanager
def threshold_of(threshold: int, safe_point: Callable[[], None] = lambda: None) -> Iterator[None]:
    """The provider's backend with another threshold in this process, and with its own again afterwards.

    It reads the setting once in a process, so the variable is set and what it remembers forgotten. Raises
    :class:`ThresholdFixed` unless the backend's own function then gives the number. ``safe_point`` raises where the
    trial is not wanted any more; after :func:`end_trial` it has to, or a thread that nobody waits for would begin one.
    """
    global _restore
    resolved_class()  # first, or importing the backend fails on a circle (F17)
    read = getattr(loading.module(_BACKEND_MODULE), "_get_threshold", None)
    if not hasattr(read, "cache_clear"):
        version = loading.providers().get("common.io")
        raise ThresholdFixed(f"common-io {version} keeps its threshold where it cannot be set for a trial")
    assert read is not None
    before = os.environ.get(THRESHOLD.env)

    def restore() -> None:
        if before is None:
            os.environ.pop(THRESHOLD.env, None)
        else:
            os.environ[THRESHOLD.env] = before
        read.cache_clear()

    try:
        with _lock:
            safe_point()
            _restore = restore
            os.environ[THRESHOLD.env] = format_threshold(threshold)
            read.cache_clear()
            found = read()
        if found != threshold:
            raise ThresholdFixed(
                f"with {THRESHOLD.env}={threshold} the backend goes on with {found}: the variable has no effect here"
            )
        yield
    finally:
        _end(restore)


def end_trial() -> None:
    """Give the backend its own threshold back although a thread is still in :func:`threshold_of`, and may hang there.

    In a task the process goes on to push the task's own answer.
    """
    _end(_restore)


def _end(restore: Optional[Callable[[], None]]) -> None:
    """End that trial, unless it was ended before and another one may have begun."""
    global _restore
    with _lock:
        if restore is not None and _restore is restore:
            _restore = None
            restore()


def purge(stored: str) -> None:
    """What is done with the object of a stored reference before its row is deleted."""
    resolved_class().purge(_Row(stored), None)
