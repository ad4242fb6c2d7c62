"""Airflow's stable REST API: v1 (Airflow 2) and v2 (Airflow 3) behind one interface.

The two differ in the prefix, in how a client proves who it is (basic auth; a bearer token from ``/auth/token``), and
in a few bodies. Sources: ``api_connexion/openapi/v1.yaml`` of Airflow 2.11 and the FastAPI models of Airflow 3.3.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from xcomctl.errors import UserError

if TYPE_CHECKING:
    import httpx

#: States in which a DAG run is over; nothing of it will run again unless somebody clears it.
FINISHED_RUN_STATES = frozenset({"success", "failed"})

_PAGE = 100
#: What came to the body of a clear after 3.0.
_LATER_FIELDS = ("run_on_latest_version", "prevent_running_task")
# Airflow 2 answers a wrong password with 403, as if the user were known and not allowed to.
_LOGIN_STATUSES = (401, 403)
_LOGIN_HINT = "Check the user name, the password, and what the user is allowed to do."


def without_login(url: str) -> str:
    """The URL without the user information in it, as it may be shown: a token may stand where a user's name does."""
    return re.sub(r"(?i)^([a-z][a-z0-9+.-]*://)[^/?#]*@", r"\1", url)


class ApiError(UserError):
    """The REST API could not be reached, or refused; ``status`` is the HTTP status where there was an answer."""

    def __init__(self, message: str, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class ApiSparesNothing(ApiError):
    """This API cannot be told to spare what runs; nothing was cleared."""


class ApiUnreachable(ApiError):
    """Nobody answers there."""


@dataclass(frozen=True)
class DagRun:
    """One DAG run, as the API tells it; ``conf`` is what it was triggered with."""

    dag_id: str
    run_id: str
    state: str
    start_date: datetime | None
    end_date: datetime | None
    conf: Mapping[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether the run is over."""
        return self.state in FINISHED_RUN_STATES


@dataclass(frozen=True)
class TaskInstance:
    """One task instance of a run; ``map_index`` is -1 for a task that is not mapped. ``hostname`` is empty for one that never
    ran."""

    task_id: str
    map_index: int
    state: str | None
    try_number: int
    start_date: datetime | None
    end_date: datetime | None
    hostname: str = ""


class AirflowApi:
    """A session with one Airflow. Use it as a context manager, or call :meth:`close`.

    ``url`` is the base of the web server or API server, without ``/api``; ``major`` is 2 or 3 (:meth:`detect` finds it
    out). Give a user name and a password, or a bearer ``token`` that whoever runs that Airflow has issued.
    ``use_proxy`` lets the environment's proxy settings apply, as for any client.
    Every method raises :class:`ApiError`.
    """

    def __init__(
        self,
        url: str,
        *,
        major: int,
        username: str = "",
        password: str = "",
        token: str = "",
        timeout_s: float = 30.0,
        use_proxy: bool = True,
    ) -> None:
        import httpx  # here: who asks no API starts without it

        self.url = url.rstrip("/")
        self._shown = without_login(self.url)
        self.major = major
        self._credentials = (username, password)
        self._prefix = f"{self.url}/api/{'v2' if major >= 3 else 'v1'}"
        auth = None if major >= 3 or token else self._credentials
        self._client = httpx.Client(timeout=timeout_s, auth=auth, trust_env=use_proxy)
        if token:
            self._client.headers["Authorization"] = f"Bearer {token}"
        self._can_login = major >= 3 and not token
        self._has_token = not self._can_login

    @classmethod
    def detect(
        cls,
        url: str,
        *,
        username: str = "",
        password: str = "",
        token: str = "",
        timeout_s: float = 30.0,
        use_proxy: bool = True,
    ) -> Self:
        """The session with whichever Airflow answers there, told apart by where its health is. Airflow asks for no login
        there; a proxy in front of it may."""
        refused: ApiError | None = None
        for major in (3, 2):
            api = cls(
                url, major=major, username=username, password=password, token=token, timeout_s=timeout_s,
                use_proxy=use_proxy,
            )  # fmt: skip
            with contextlib.ExitStack() as closing:
                closing.callback(api.close)
                try:
                    if "metadatabase" in api.health():
                        closing.pop_all()
                        return api
                except ApiUnreachable:
                    raise
                except ApiError as error:  # of another line, or no Airflow at all, or nobody lets us see
                    if error.status in _LOGIN_STATUSES:
                        refused = error
        if refused is not None:
            raise ApiError(
                f"The login for {without_login(url)} was refused before Airflow told its health: {refused.message}",
                f"{refused.hint} Airflow itself asks for no login there: what stands in front of it?",
                status=refused.status,
            )
        raise ApiError(
            f"There is no Airflow API at {without_login(url).rstrip('/')}: neither /api/v2 nor /api/v1 tells its health.",
            "give the URL of the API server (Airflow 3) or the web server (Airflow 2), without /api",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def health(self) -> dict[str, Any]:
        """The health of each component, with its latest heartbeat; needs no login."""
        path = f"{self._prefix}/monitor/health" if self.major >= 3 else f"{self._prefix}/health"
        return self._json(self._send("GET", path, login=False))

    def dag(self, dag_id: str) -> dict[str, Any] | None:
        """The DAG as the metadata database knows it, ``None`` while it is not parsed."""
        try:
            return self._call("GET", f"/dags/{quote(dag_id)}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def pauses(self) -> dict[str, bool]:
        """Whether each DAG that the user may see is paused, by id; those whose file is gone are left out."""
        active = {"exclude_stale": "true"} if self.major >= 3 else {"only_active": "true"}
        return {record["dag_id"]: bool(record["is_paused"]) for record in self._pages("/dags", "dags", active)}

    def set_paused(self, dag_id: str, paused: bool) -> bool:
        """Pause a DAG or unpause it; whether it is there."""
        try:
            self._call("PATCH", f"/dags/{quote(dag_id)}", {"is_paused": paused}, {"update_mask": "is_paused"})
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def import_errors(self) -> list[str]:
        """Why DAG files failed to parse, one text per file."""
        errors = self._call("GET", "/importErrors").get("import_errors", [])
        return [f"{error.get('filename')}: {error.get('stack_trace')}" for error in errors]

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any]) -> DagRun:
        """Start a run by hand."""
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": dict(conf)}
        if self.major >= 3:
            body["logical_date"] = None  # required by v2, and null means: not a data interval of the schedule
        return _run(self._call("POST", f"/dags/{quote(dag_id)}/dagRuns", body))

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """One run."""
        return _run(self._call("GET", f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}"))

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """All task instances of a run, every map index."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return [_task_instance(record) for record in self._pages(path, "task_instances")]

    @property
    def clears_map_indexes(self) -> bool:
        """Whether single map indexes can be cleared; v1 clears every index of a task."""
        return self.major >= 3

    def clear(
        self, dag_id: str, run_id: str, instances: Sequence[tuple[str, int]], *, spare_running: bool = False
    ) -> list[tuple[str, int]]:
        """Clear these instances (task and map index) of a run, whatever their state; what was cleared.

        A finished run is scheduled again, and stays on its own version of the DAG. Everything is spelled out: the
        defaults are a dry run of what failed. ``spare_running`` (v2, from some 3.x on): answers 409 if one runs. Raises
        :class:`ApiSparesNothing` where that cannot be asked for.
        """
        if spare_running and self.major < 3:
            raise ApiSparesNothing("API v1 cannot spare what runs")
        body: dict[str, Any] = {
            "dry_run": False, "dag_run_id": run_id, "only_failed": False, "only_running": False, "reset_dag_runs": True,
        }  # fmt: skip
        if self.major >= 3:
            body["task_ids"] = [task_id if index < 0 else [task_id, index] for task_id, index in instances]
            body["run_on_latest_version"] = False
            if spare_running:
                body["prevent_running_task"] = True
        else:
            body["task_ids"] = sorted({task_id for task_id, _ in instances})
        answer = self._clear(f"/dags/{quote(dag_id)}/clearTaskInstances", body)
        return [(each["task_id"], each.get("map_index", -1)) for each in answer["task_instances"]]

    def _clear(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Without what an earlier 3.x does not know: it refuses the whole request, and names it."""
        try:
            return self._call("POST", path, body)
        except ApiError as error:
            known = {name: value for name, value in body.items() if name not in _LATER_FIELDS or name not in str(error)}
            if error.status != 422 or known == body:
                raise
            if "prevent_running_task" in body and "prevent_running_task" not in known:
                raise ApiSparesNothing("this Airflow's API cannot spare what runs", status=error.status) from error
            return self._clear(path, known)

    def downstream(self, dag_id: str) -> dict[str, list[str]]:
        """What lies directly downstream of each task of a DAG."""
        tasks = self._call("GET", f"/dags/{quote(dag_id)}/tasks")["tasks"]
        return {task["task_id"]: list(task.get("downstream_task_ids") or ()) for task in tasks}

    def rendered_fields(self, dag_id: str, run_id: str) -> list[tuple[str, int, str]]:
        """Task, map index and rendered templates (as JSON text) of every instance of a run that has some."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return [
            (record["task_id"], record.get("map_index", -1), json.dumps(record["rendered_fields"]))
            for record in self._pages(path, "task_instances")
            if record.get("rendered_fields")
        ]

    def tasks_with_xcoms(self, dag_id: str, run_id: str) -> set[str]:
        """The tasks of a run that have an XCom."""
        path = f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/~/xcomEntries"
        return {record["task_id"] for record in self._pages(path, "xcom_entries")}

    def confs_since(self, moment: datetime) -> list[tuple[str, str, str]]:
        """DAG, run id and conf (as JSON text) of the runs of all DAGs that started since a moment and have a conf."""
        since = moment.isoformat()
        return [
            (record["dag_id"], record["dag_run_id"], json.dumps(record["conf"], ensure_ascii=False))
            for record in self._pages("/dags/~/dagRuns", "dag_runs", {"start_date_gte": since})
            if record.get("conf")
        ]

    def task_log(self, dag_id: str, run_id: str, instance: TaskInstance, try_number: int = 0) -> str:
        """The log of a try of a task instance, the latest by default, as one text; empty if there is none."""
        path = (
            f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(instance.task_id)}"
            f"/logs/{try_number or max(instance.try_number, 1)}"
        )
        try:
            params = {"map_index": instance.map_index, "full_content": "true"}
            # v1 gives its JSON as Python shows a list, with escapes; v2 gives no text.
            accept = "application/json" if self.major >= 3 else "text/plain"
            response = self._send("GET", self._prefix + path, params=params, headers={"Accept": accept})
        except ApiError as error:
            if error.status == 404:
                return ""
            raise
        if self.major < 3:
            return response.text
        content = self._json(response).get("content", "")
        if isinstance(content, str):
            return content
        lines = []
        for entry in content:  # v2: structured lines; the error of a failed task is in `error_detail`
            if isinstance(entry, dict):
                lines.append(str(entry.get("event", "")))
                for detail in entry.get("error_detail") or ():
                    for frame in detail.get("frames") or ():
                        lines.append(
                            f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}'
                        )
                    lines.append(f"{detail.get('exc_type')}: {detail.get('exc_value')}")
        return "\n".join(lines)

    def xcom_value(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """An XCom of a task that is not mapped, as the database has it: what was offloaded is a reference (3.1 and on).

        ``None`` when there is none. 2.9 gives every value as Python shows it; what it shows of plain data is read back.
        """
        path = (
            f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='')}/taskInstances/{quote(task_id)}"
            f"/xcomEntries/{quote(key, safe='')}"
        )
        try:
            try:
                value = self._call("GET", path, params={"stringify": "false"}).get("value")
            except ApiError as error:
                if error.status != 400:  # 2.9 knows no such parameter
                    raise
                value = self._call("GET", path).get("value")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return _plain_data(value) if isinstance(value, str) else value

    def set_pool(self, name: str, slots: int, description: str) -> None:
        """Create a pool, or change the slots of the one that is there."""
        body: dict[str, Any] = {"name": name, "slots": slots, "description": description, "include_deferred": False}
        try:
            self._call("POST", "/pools", body)
        except ApiError as error:
            if error.status != 409:
                raise
            if self.major >= 3:
                body["pool"] = body.pop("name")
            self._call("PATCH", f"/pools/{quote(name)}", body)

    def create_connection(self, fields: Mapping[str, str]) -> None:
        """Create a connection in the metadata database (``connection_id``, ``conn_type``, ``login``, …)."""
        self._call("POST", "/connections", dict(fields))

    def _pages(self, path: str, key: str, params: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = self._call("GET", path, params={**(params or {}), "limit": _PAGE, "offset": offset})
            yield from answer[key]
            offset += len(answer[key])  # not _PAGE: [api] maximum_page_limit may make pages smaller than we ask for
            if not answer[key] or offset >= answer["total_entries"]:
                return

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return self._json(self._send(method, self._prefix + path, body=body, params=params))

    def _send(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        login: bool = True,
    ) -> httpx.Response:
        import httpx

        try:
            if login and not self._has_token:
                self._login()
            response = self._client.request(
                method, url, json=None if body is None else dict(body), params=params, headers=headers
            )
            if response.status_code == 401 and login and self._can_login:  # the token expired: once more
                self._login()
                response = self._client.request(
                    method, url, json=None if body is None else dict(body), params=params, headers=headers
                )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiUnreachable(
                f"The Airflow API at {self._shown} does not answer: {str(error) or type(error).__name__}."
            ) from None
        if response.is_error:
            raise ApiError(
                f"The Airflow API refused {method} {httpx.URL(url).path}: {response.status_code} {_reason(response)}",
                _LOGIN_HINT if response.status_code in _LOGIN_STATUSES else "",
                status=response.status_code,
            )
        return response

    def _login(self) -> None:
        username, password = self._credentials
        response = self._client.post(f"{self.url}/auth/token", json={"username": username, "password": password})
        if response.is_error:
            raise ApiError(
                f"The Airflow API at {self._shown} refused the login of {username!r}: {response.status_code}.",
                _LOGIN_HINT,
                status=response.status_code,
            )
        token = self._json(response).get("access_token")
        if not isinstance(token, str):
            raise ApiError(f"{_asked(response)} answered no access token: is it Airflow 3's API server?")
        self._client.headers["Authorization"] = f"Bearer {token}"
        self._has_token = True

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        try:
            answer = response.json()
        except ValueError:
            raise ApiError(f"{_asked(response)} answered something that is not JSON.") from None
        if not isinstance(answer, dict):
            raise ApiError(f"{_asked(response)} answered {type(answer).__name__} where an object was expected.")
        return answer


def _asked(response: httpx.Response) -> str:
    return without_login(str(response.request.url))


def _reason(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        return response.text[:300]
    if isinstance(answer, dict):
        answer = answer.get("detail") or answer.get("title") or answer  # v1 gives `"detail": null` at times
    return str(answer)[:300]


def _plain_data(text: str) -> Any:
    """The object that a text shows, as JSON or as Python's own notation; the text itself when it shows none."""
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return value if isinstance(value, (dict, list)) else text
    return text


def _run(record: Mapping[str, Any]) -> DagRun:
    return DagRun(
        dag_id=record["dag_id"],
        run_id=record["dag_run_id"],
        state=record["state"],
        start_date=_moment(record.get("start_date")),
        end_date=_moment(record.get("end_date")),
        conf=record.get("conf") or {},
    )


def _task_instance(record: Mapping[str, Any]) -> TaskInstance:
    return TaskInstance(
        task_id=record["task_id"],
        map_index=record.get("map_index", -1),
        state=record.get("state"),
        try_number=record.get("try_number") or 0,
        start_date=_moment(record.get("start_date")),
        end_date=_moment(record.get("end_date")),
        hostname=record.get("hostname") or "",
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))
