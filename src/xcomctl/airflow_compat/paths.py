"""Paths in object stores, with the connection that Airflow resolves for them."""

from __future__ import annotations

from typing import Any, Optional
from urllib.parse import urlsplit

from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model.phases import Line, path_problem


def connection_id(base_path: str) -> Optional[str]:
    """The connection id in a path's URL, ``None`` for a path without one."""
    user, _, _ = urlsplit(base_path).netloc.rpartition("@")
    return user or None


def object_path(uri: str) -> Any:
    """Airflow's ``ObjectStoragePath`` for a URI.

    Refuses with a sentence when the path's connection does not resolve: Airflow itself would go on with ambient
    credentials and the public endpoint (F20, F39).
    """
    problem = path_problem(uri)
    if problem is not None:
        raise AirflowUnusable(problem, "set xcom_objectstorage_path, or name the base path")
    require_connection(connection_id(uri))
    if loading.line() is Line.AF2:
        path_class = loading.module("airflow.io.path").ObjectStoragePath
    else:
        path_class = loading.module("airflow.sdk").ObjectStoragePath
    return path_class(uri)


def require_connection(conn_id: Optional[str]) -> None:
    """Raises :class:`AirflowUnusable` unless Airflow resolves this connection here. ``None`` needs none."""
    if conn_id is None:
        return
    if loading.line() is Line.AF2:
        hook = loading.module("airflow.hooks.base").BaseHook
    else:
        hook = loading.module("airflow.sdk.bases.hook").BaseHook
    # Without the backend class Airflow's models do not import, and without those no connection is found in the metadata
    # database (one from the environment is). Its error is the one to report, and 2.x tells it only the first time (F18).
    xcom_class.class_path()
    try:
        hook.get_connection(conn_id)
    except Exception as error:
        xcom_class.resolved_class()
        raise AirflowUnusable(
            f"the connection {conn_id!r} of the path does not resolve in this context: {type(error).__name__}: {error}",
            f"airflow connections get {conn_id}",
        ) from error
