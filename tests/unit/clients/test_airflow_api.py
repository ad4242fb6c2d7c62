"""What the client makes of servers that are no Airflow; the real ones are in the live tests."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from xcomctl.clients.airflow_api import AirflowApi, ApiError, ApiSparesNothing, without_login

SECRET = "hunter2-token"


@contextmanager
def server(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    """A server that answers by the path; where it listens."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{serving.server_port}"
        finally:
            serving.shutdown()
            thread.join()


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Client]:
    """Every client that was made."""
    made: list[httpx.Client] = []

    class Noted(httpx.Client):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(httpx, "Client", Noted)
    return made


def detect(url: str) -> AirflowApi:
    return AirflowApi.detect(url, username="me", password="unsaid", use_proxy=False)


@pytest.mark.parametrize("status", [401, 403])
def test_a_proxy_that_wants_a_login_is_a_login_problem(status: int, clients: list[httpx.Client]) -> None:
    with server(lambda path: (status, b"Please log in")) as address, pytest.raises(ApiError) as caught:
        detect(f"http://{SECRET}@{address}/")
    assert caught.value.status == status
    assert f"{status} Please log in" in caught.value.message and "login" in caught.value.message
    assert "password" in caught.value.hint and "in front of it" in caught.value.hint
    assert SECRET not in f"{caught.value.message} {caught.value.hint}" and address in caught.value.message
    assert [client.is_closed for client in clients] == [True, True]


def test_a_refusal_of_one_version_is_none_of_the_other(clients: list[httpx.Client]) -> None:
    """As where only one prefix is let through."""

    def answer(path: str) -> tuple[int, bytes]:
        return (200, b'{"metadatabase": {}}') if path.startswith("/api/v1/") else (403, b"")

    with server(answer) as address, detect(f"http://{address}") as api:
        assert api.major == 2
    assert [client.is_closed for client in clients] == [True, True]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"other": 1}'])
def test_what_is_no_airflow_is_named_without_the_login_in_its_url(body: bytes, clients: list[httpx.Client]) -> None:
    with server(lambda path: (200, body)) as address, pytest.raises(ApiError, match="no Airflow API at") as caught:
        detect(f"http://{SECRET}:{SECRET}@{address}/")
    assert caught.value.status is None
    assert SECRET not in caught.value.message and address in caught.value.message
    assert [client.is_closed for client in clients] == [True, True]


def test_where_nobody_answers_nothing_stays_open(clients: list[httpx.Client]) -> None:
    with server(lambda path: (200, b"")) as address:
        pass
    with pytest.raises(ApiError, match="does not answer") as caught:
        detect(f"http://{SECRET}@{address}")
    assert SECRET not in caught.value.message and address in caught.value.message
    assert [client.is_closed for client in clients] == [True]


def test_errors_of_single_requests_say_no_login(clients: list[httpx.Client]) -> None:
    with (
        server(lambda path: (200, b"<html>")) as address,
        AirflowApi(f"http://{SECRET}@{address}", major=2, token="t", use_proxy=False) as api,
        pytest.raises(ApiError, match="not JSON") as caught,
    ):
        api.dag("some_dag")
    assert SECRET not in caught.value.message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pass@host/x", "https://host/x"),
        ("https://user@host:8080", "https://host:8080"),
        ("HTTPS://a:b@c@host", "HTTPS://host"),
        ("https://host/a@b?c=d@e", "https://host/a@b?c=d@e"),
        ("host/x", "host/x"),
    ],
)
def test_a_url_without_its_login(url: str, shown: str) -> None:
    assert without_login(url) == shown


class Clears(http.server.BaseHTTPRequestHandler):
    """A server that clears, and refuses whatever an early 3.0 does not know."""

    bodies: list[dict[str, Any]]
    unknown: tuple[str, ...] = ()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.bodies.append(body)
        extra = [name for name in self.unknown if name in body]
        status, answer = (200, {"task_instances": [{"task_id": "a", "map_index": 2}, {"task_id": "b"}]})
        if extra:
            detail = [{"type": "extra_forbidden", "loc": ["body", name], "input": body[name]} for name in extra]
            status, answer = 422, {"detail": detail}
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def clearing(major: int, *unknown: str) -> Iterator[tuple[AirflowApi, list[dict[str, Any]]]]:
    """A client of such a server, and the bodies that it was sent."""
    bodies: list[dict[str, Any]] = []
    handler = type("Handler", (Clears,), {"bodies": bodies, "unknown": unknown})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{serving.server_port}"
            with AirflowApi(url, major=major, token=SECRET, use_proxy=False) as api:
                yield api, bodies
        finally:
            serving.shutdown()
            thread.join()


INSTANCES = [("a", 2), ("a", 3), ("b", -1)]


def test_a_clear_spells_everything_out():
    with clearing(3) as (api, bodies):
        assert api.clear("dag", "run", INSTANCES, spare_running=True) == [("a", 2), ("b", -1)]
    assert bodies == [
        {
            "dry_run": False, "dag_run_id": "run", "only_failed": False, "only_running": False, "reset_dag_runs": True,
            "run_on_latest_version": False, "prevent_running_task": True, "task_ids": [["a", 2], ["a", 3], "b"],
        }
    ]  # fmt: skip


def test_api_v1_clears_tasks_and_knows_nothing_of_versions():
    with clearing(2) as (api, bodies):
        with pytest.raises(ApiSparesNothing):
            api.clear("dag", "run", INSTANCES, spare_running=True)
        assert bodies == []
        api.clear("dag", "run", INSTANCES)
        assert not api.clears_map_indexes
    assert bodies[0]["task_ids"] == ["a", "b"]
    assert (bodies[0]["only_failed"], bodies[0]["reset_dag_runs"]) == (False, True)
    assert not {"run_on_latest_version", "prevent_running_task"} & set(bodies[0])


def test_what_an_earlier_airflow_does_not_know_is_left_out_and_nothing_else():
    with clearing(3, "run_on_latest_version", "prevent_running_task") as (api, bodies):
        with pytest.raises(ApiSparesNothing):
            api.clear("dag", "run", INSTANCES, spare_running=True)
        assert len(bodies) == 1, "it was cleared without sparing what runs"
        api.clear("dag", "run", INSTANCES)
    assert not {"run_on_latest_version", "prevent_running_task"} & set(bodies[-1])
    with clearing(3, "only_failed") as (api, bodies), pytest.raises(ApiError, match="only_failed"):
        api.clear("dag", "run", INSTANCES)
    assert len(bodies) == 1
