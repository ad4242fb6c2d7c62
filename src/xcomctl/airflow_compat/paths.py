"""Paths in object stores, with the connection that Airflow resolves for them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from xcomctl.airflow_compat import loading
from xcomctl.airflow_compat.connections import connection_id, require_connection
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model.phases import Line, path_problem


def object_path(uri: str) -> Any:
    """Airflow's ``ObjectStoragePath`` for a URI.

    Refuses with a sentence when the path's connection does not resolve: Airflow itself would go on with ambient
    credentials and the public endpoint (F20, F39).
    """
    _require(uri)
    if loading.line() is Line.AF2:
        path_class = loading.module("airflow.io.path").ObjectStoragePath
    else:
        path_class = loading.module("airflow.sdk").ObjectStoragePath
    return path_class(uri)


def new_file_system(uri: str) -> tuple[Any, str]:
    """A file system of its own for a URI, as Airflow makes it, and the path in it that the URI names.

    ``ObjectStoragePath`` keeps its file systems for the life of the process, together with what they remember of
    listings. Refuses as :func:`object_path` does.
    """
    _require(uri)
    name = "airflow.io" if loading.line() is Line.AF2 else "airflow.sdk.io"
    get_fs = getattr(loading.module(name), "get_fs", None) or loading.module("airflow.io").get_fs  # 3.0: in the core
    parts = urlsplit(uri)
    fs = get_fs(parts.scheme, connection_id(uri))
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return fs, str(fs._strip_protocol(plain)).rstrip("/")


def _require(uri: str) -> None:
    problem = path_problem(uri)
    if problem is not None:
        raise AirflowUnusable(problem, "set xcom_objectstorage_path, or name the base path")
    require_connection(connection_id(uri))
