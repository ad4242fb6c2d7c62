"""Connections as this process resolves them, where they were found, and what in them is secret."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import quote, urlsplit

from xcomctl.airflow_compat import loading, xcom_class
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model.phases import Line
from xcomctl.model.redaction import is_secret_name

#: Backends of Airflow's own, by the names of their classes.
ENVIRONMENT = "EnvironmentVariablesBackend"
METADATA = "MetastoreBackend"
EXECUTION_API = "ExecutionAPISecretsBackend"

#: An access key's id is no password, and long enough to be told apart from a user's name.
_ACCESS_KEY_LENGTH = 16
#: Names under which an ``extra`` keeps a whole credential without saying so.
_CREDENTIAL_FIELDS = frozenset({"connection_string", "keyfile_dict", "extra__google_cloud_platform__keyfile_dict"})


@dataclass(frozen=True)
class Lookup:
    """What the search for a connection came to.

    ``backend`` is the class of the secrets backend that has it, ``None`` when none has. ``problems`` are those that
    raised while they were asked: class and error. Airflow itself passes over them without a word.
    """

    conn_id: str
    backend: Optional[str]
    problems: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Where it was found, in words."""
        if self.backend == ENVIRONMENT:
            return f"the environment variable {variable(self.conn_id)}"
        if self.backend == METADATA:
            return "the metadata database"
        if self.backend == EXECUTION_API:
            return "the Execution API"
        return f"the secrets backend {self.backend}"


def connection_id(base_path: str) -> Optional[str]:
    """The connection id in a path's URL, ``None`` for a path without one."""
    user, _, _ = urlsplit(base_path).netloc.rpartition("@")
    return user or None


def variable(conn_id: str) -> str:
    """The environment variable that Airflow reads for a connection."""
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def require_connection(conn_id: Optional[str]) -> Any:
    """Airflow's connection of that id. Raises :class:`AirflowUnusable` unless it resolves here. ``None`` needs none."""
    if conn_id is None:
        return None
    # Without the backend class Airflow's models do not import, and without those no connection is found in the metadata
    # database (one from the environment is). Its error is the one to report, and 2.x tells it only the first time (F18).
    xcom_class.class_path()
    try:
        return _hook().get_connection(conn_id)
    except Exception as error:
        xcom_class.resolved_class()
        raise AirflowUnusable(
            f"the connection {conn_id!r} of the path does not resolve in this context: {type(error).__name__}: {error}",
            f"airflow connections get {conn_id}",
        ) from error


def _hook() -> Any:
    """Airflow's ``BaseHook``. 3.0 has it where 2.x has it, later ones in the Task SDK."""
    found = _hooks_of_sdk() if loading.line() is Line.AF3 else None
    return (found or loading.module("airflow.hooks.base")).BaseHook


def _hooks_of_sdk() -> Optional[Any]:
    """The Task SDK's module of ``BaseHook``, ``None`` on 3.0."""
    try:
        return loading.module("airflow.sdk.bases.hook")
    except ModuleNotFoundError as error:
        if error.name != "airflow.sdk.bases.hook":
            raise
        return None


def lookup(conn_id: str) -> Lookup:
    """Which of the secrets backends that this process asks has the connection: the first one, as in Airflow."""
    return _search(conn_id, _backends())


def lookup_before_api(conn_id: str) -> Lookup:
    """The same among what a task of 3.x asks before it asks the Execution API, as far as this process can tell."""
    return _search(conn_id, (each for each in _task_backends() if type(each).__name__ != EXECUTION_API))


def _search(conn_id: str, backends: Iterable[Any]) -> Lookup:
    problems: list[str] = []
    for backend in backends:
        kind = type(backend)
        name = kind.__name__ if kind.__module__.startswith("airflow.") else f"{kind.__module__}.{kind.__qualname__}"
        try:
            if backend.get_connection(conn_id=conn_id):
                return Lookup(conn_id, name, tuple(problems))
        except Exception as error:
            problems.append(f"{name}: {type(error).__name__}: {error}")
    return Lookup(conn_id, None, tuple(problems))


def _backends() -> list[Any]:
    # 3.0's function of the supervisor gives a worker's backends wherever it is called; later ones look where they are.
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    if loading.line() is Line.AF3 and (hasattr(runner, "SUPERVISOR_COMMS") or _hooks_of_sdk() is not None):
        return list(loading.module("airflow.sdk.execution_time.supervisor").ensure_secrets_backend_loaded())
    return list(loading.module("airflow.configuration").ensure_secrets_loaded())


def _task_backends() -> list[Any]:
    try:
        path = loading.module("airflow.sdk.execution_time.secrets").DEFAULT_SECRETS_SEARCH_PATH_WORKERS
        ensure = loading.module("airflow.sdk.configuration").ensure_secrets_loaded
    except (ImportError, AttributeError):  # 3.0 and 3.1 keep both in the core
        path = loading.module("airflow.secrets").DEFAULT_SECRETS_SEARCH_PATH_WORKERS
        ensure = loading.module("airflow.configuration").ensure_secrets_loaded
    return list(ensure(default_backends=path))


def secrets_of(connection: Any) -> Iterator[str]:
    """The texts of a connection that must not be shown, in every spelling in which an error might quote them."""
    login = connection.login or ""
    if len(login) >= _ACCESS_KEY_LENGTH and "@" not in login:
        yield from _spellings(login)
    if connection.password:
        yield from _spellings(connection.password)
    for text in _secret_texts(connection.extra_dejson or {}, telling=False):
        yield from _spellings(text)
    yield connection.get_uri()


def secrets_of_environment(conn_id: Optional[str]) -> Iterator[str]:
    """The values of variables whose names tell that they are secret, the connection's own among them.

    Those of fewer than eight characters are left alone: they would be found in words that have nothing to do with them.
    """
    own = variable(conn_id) if conn_id is not None else ""
    for name, value in os.environ.items():
        if len(value) >= 8 and (name == own or is_secret_name(name)):
            yield from _spellings(value)


def _spellings(text: str) -> tuple[str, ...]:
    return text, quote(text, safe=""), json.dumps(text)[1:-1]


def _secret_texts(value: Any, telling: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            told = telling or is_secret_name(str(name)) or str(name) in _CREDENTIAL_FIELDS
            yield from _secret_texts(entry, told)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from _secret_texts(entry, telling)
    elif isinstance(value, str) and telling:
        yield value
