"""Whom the store is spoken to as: the connection that the base path names."""

from __future__ import annotations

from typing import Any, Optional
from urllib.parse import urlsplit

from xcomctl.airflow_compat import connections
from xcomctl.airflow_compat.connections import Lookup
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, skip, warn
from xcomctl.model.phases import Line, path_problem
from xcomctl.model.preflight import CONNECTION, IN_TASK
from xcomctl.model.schemes import store_scheme
from xcomctl.model.settings import PATH

#: What each provider's ``get_fs`` reads its credentials from, by the store's scheme.
_TYPES: dict[str, tuple[str, ...]] = {
    "s3": ("aws", "s3"),
    "gs": ("google_cloud_platform",),
    "abfs": ("wasb", "adls", "azure_data_lake", "azure"),
}
#: How each type is given its credentials on the command line.
_CREDENTIALS = {
    "aws": "--conn-login KEY_ID --conn-password SECRET_KEY",
    "google_cloud_platform": """--conn-extra '{"key_path": "FILE"}'""",
    "wasb": "--conn-login ACCOUNT --conn-password ACCOUNT_KEY",
}
#: Schemes that need nobody's credentials.
_OPEN_SCHEMES = ("file", "memory")

_CONNECTION = "connection.connection"
_LOOKUP = "connection.lookup"


#: What this context says about tasks is a conclusion of its own.
_NOT_ASKED = "; connection_in_task was not asked here (--in-task asks a task)"


def _has_path(subject: Subject) -> bool:
    return path_problem(subject.target.path) is None


def _is_asked_for(subject: Subject) -> bool:
    return _has_path(subject) or subject.options.connection_id is not None


def _is_looked_for(subject: Subject) -> bool:
    """The store is, even without a path, so that its first check says itself that there is none."""
    return _has_path(subject) or subject.options.functional


def without_path(subject: Subject) -> Finding:
    """There is no path although something was asked for that looks at it."""
    conn_id = subject.options.connection_id or "CONNECTION"
    return skip(
        f"there is no base path to look at: {path_problem(subject.target.path)}",
        f"--expect-path s3://{conn_id}@BUCKET/xcom",
    )


def _path(subject: Subject) -> str:
    return subject.target.path or ""


def _conn_id(subject: Subject) -> Optional[str]:
    return connections.connection_id(_path(subject))


def _source(subject: Subject) -> str:
    """Where the path comes from."""
    if subject.options.expect_path is not None:
        return "--expect-path"
    return subject.settings[PATH.name].source or PATH.env


def _connection_id(subject: Subject) -> Finding:
    if not _has_path(subject):
        return without_path(subject)
    found, wanted = _conn_id(subject), subject.options.connection_id
    scheme, host = urlsplit(_path(subject)).scheme, urlsplit(_path(subject)).netloc.rpartition("@")[2]
    folder = urlsplit(_path(subject)).path
    if found is not None and ":" in found:
        subject.keep_secret(found.partition(":")[2])
        return fail(
            f"the path ({_source(subject)}) carries a user and a password in front of its bucket; Airflow takes all "
            "of it for the id of a connection, which does not exist",
            f"keep the credentials in a connection and name that: {scheme}://CONNECTION@{host}{folder}",
        )
    if wanted is not None and found != wanted:
        return fail(
            f"expected the connection {wanted!r} (--conn-id); the path ({_source(subject)}) names "
            + (f"{found!r}" if found is not None else "none"),
            f"{PATH.env}='{scheme}://{wanted}@{host}{folder}'",
            expected=wanted,
            found=found,
        )
    if found is not None:
        return ok(f"the path ({_source(subject)}) names the connection {found!r}", found=found)
    if store_scheme(scheme) in _OPEN_SCHEMES:
        return ok(f"the path ({_source(subject)}) names no connection, and {scheme}:// needs none", found=None)
    return warn(
        f"the path ({_source(subject)}) names no connection: every process speaks to the store with whatever "
        "credentials lie around in its environment, and to the provider's public endpoint",
        f"{PATH.env}='{scheme}://CONNECTION@{host}{folder}'",
        found=None,
    )


def _resolved(subject: Subject) -> Optional[tuple[Any, Lookup]]:
    """The connection and where it was found, as ``connection_resolves`` left it; ``None`` where the path has none."""
    found = subject.shared.get(_CONNECTION)
    return None if found is None else (found, subject.shared[_LOOKUP])


def _connection_resolves(subject: Subject) -> Optional[Finding]:
    conn_id = _conn_id(subject)
    if conn_id is not None and ":" in conn_id:
        # Airflow would look for a connection of that name, and write the password into its log.
        return skip("needs connection_id, which failed", needs="connection_id")
    subject.keep_secret(*connections.secrets_of_environment(conn_id))
    if conn_id is None:
        return None
    subject.keep_secret(conn_id.partition(":")[2])
    viewer = "this task" if subject.options.in_task else "a server component"
    try:
        found = connections.require_connection(conn_id)
    except AirflowUnusable as error:
        return _unresolved(subject, conn_id, viewer, error)
    subject.keep_secret(*connections.secrets_of(found))
    where = connections.lookup(conn_id)
    subject.shared[_CONNECTION], subject.shared[_LOOKUP] = found, where
    if where.backend is None:
        return warn(
            f"{conn_id!r} resolves for {viewer}, but no secrets backend that was asked has it{_problems(where)}",
            f"airflow connections get {conn_id}",
        )
    detail = f"{conn_id!r} resolves for {viewer}: it is in {where.place}"
    if where.problems:
        return warn(
            f"{detail}{_problems(where)}; where that backend has another connection of this id, the next process "
            "may get that one",
            "mend [secrets] backend and backend_kwargs, or remove them",
            found_in=where.place,
        )
    return ok(detail, found_in=where.place)


def _unresolved(subject: Subject, conn_id: str, viewer: str, error: AirflowUnusable) -> Finding:
    where = connections.lookup(conn_id)
    if where.backend is not None or not isinstance(error.__cause__, Exception):
        return fail(error.message, error.hint)  # it is there: Airflow says why it is not given
    wanted = _TYPES.get(store_scheme(urlsplit(_path(subject)).scheme), ("TYPE",))[0]
    return fail(
        f"the path ({_source(subject)}) names the connection {conn_id!r}, and it does not resolve for {viewer}: "
        f"{connections.variable(conn_id)} does not give it, nor does any other secrets backend{_problems(where)}. "
        "Airflow raises nothing then: it goes on with ambient credentials and the provider's public endpoint",
        f"{_add(conn_id, wanted)}, or correct the id in {PATH.env}",
        found_in=None,
    )


def _add(conn_id: str, conn_type: str) -> str:
    """The command that makes a connection; what is in capitals only its owner knows."""
    return " ".join(
        filter(None, (f"airflow connections add {conn_id} --conn-type {conn_type}", _CREDENTIALS.get(conn_type)))
    )


def _problems(where: Lookup) -> str:
    return f" (raised meanwhile: {'; '.join(where.problems)})" if where.problems else ""


def _connection_as_task(subject: Subject) -> Optional[Finding]:
    resolved = _resolved(subject)
    if resolved is None:
        return None
    conn_id, where = resolved[0].conn_id, resolved[1]
    if where.backend == connections.ENVIRONMENT:
        return warn(
            f"{conn_id!r} is in {where.place} of this context and would be taken from there in a task, too: every "
            "context that hosts tasks needs the variable, and this one cannot see theirs" + _NOT_ASKED,
            f"set {connections.variable(conn_id)} wherever tasks run; --in-task asks one of them",
            found_in=where.place,
        )
    if subject.line is Line.AF2:
        return ok(
            f"on Airflow 2 a task resolves {conn_id!r} as this process does, from {where.place}{_NOT_ASKED}",
            found_in=where.place,
        )
    earlier = connections.lookup_before_api(conn_id)
    if earlier.backend is not None and earlier.backend != where.backend:
        return warn(
            f"a server component takes {conn_id!r} from {where.place}, a task from {earlier.place}, which it asks "
            "first: they may be two different connections" + _NOT_ASKED,
            "keep it in one of the two; --in-task shows what a task gets",
            found_in=earlier.place,
        )
    if earlier.backend is not None:
        return ok(
            f"a task takes {conn_id!r} from {earlier.place}, as a server component does{_NOT_ASKED}",
            found_in=earlier.place,
        )
    return ok(
        f"no process without the metadata database sees {conn_id!r} by itself; a task gets it through the Execution "
        f"API, whose server takes it from {where.place}. Whether this one does, only a task can tell{_NOT_ASKED}",
        found_in="the Execution API",
    )


def _connection_type(subject: Subject) -> Optional[Finding]:
    resolved = _resolved(subject)
    scheme = urlsplit(_path(subject)).scheme
    fitting = _TYPES.get(store_scheme(scheme))
    if resolved is None or fitting is None:
        return None
    conn_id, found = resolved[0].conn_id, resolved[0].conn_type or ""
    if found in fitting:
        return ok(f"{conn_id!r} is of the type {found!r}, as {scheme}:// needs", expected=list(fitting), found=found)
    if not found and store_scheme(scheme) == "s3":
        return ok(f"{conn_id!r} has no type, which the provider takes for 'aws'", expected=list(fitting), found="")
    return fail(
        f"{scheme}:// needs a connection of the type {' or '.join(map(repr, fitting))}; {conn_id!r}, in "
        f"{resolved[1].place}, is of the type {found!r}",
        f"airflow connections delete {conn_id}; {_add(conn_id, fitting[0])}",
        expected=list(fitting),
        found=found,
    )


def _connection_in_task(subject: Subject) -> Optional[Finding]:
    resolved = _resolved(subject)
    if resolved is None:
        found = _connection_resolves(subject)  # it failed before, or was not asked for
        resolved = _resolved(subject)
        if resolved is None:
            return found
    place = resolved[1].place
    return ok(f"{resolved[0].conn_id!r} resolves in this task: it comes from {place}", found_in=place)


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec(
        "connection_id",
        CONNECTION,
        "the path names the connection that is meant",
        _connection_id,
        applies=_is_asked_for,
    ),
    CheckSpec(
        "connection_resolves",
        CONNECTION,
        "the connection exists and resolves",
        _connection_resolves,
        needs=("config_class",),
        applies=_is_looked_for,
        waits=True,
    ),
    CheckSpec(
        "connection_as_task",
        CONNECTION,
        "as far as this context can tell, a task gets the same connection",
        _connection_as_task,
        needs=("connection_resolves",),
        applies=_has_path,
        waits=True,
        in_task=False,
    ),
    CheckSpec(
        "connection_type",
        CONNECTION,
        "the connection's type fits the path's scheme",
        _connection_type,
        needs=("connection_resolves",),
        applies=_has_path,
    ),
    CheckSpec(
        "connection_in_task",
        CONNECTION,
        "the connection resolves in a task",
        _connection_in_task,
        needs=("config_class",),
        applies=_has_path,
        asked_by=IN_TASK,
        waits=True,
    ),
)
