"""The REST client against the real API of both lines, after the walk."""

from __future__ import annotations

import http.server
import threading
from dataclasses import replace
from typing import Any

import pytest

from tests.support.walk import Walk, literal, sql
from xcomctl.clients.airflow_api import AirflowApi, ApiError, TaskInstance
from xcomctl.rehearsal.sandbox.ports import free_ports
from xcomctl.rehearsal.scenarios.interface import DAG_ID
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN, INLINE_RUN


def test_a_wrong_password_is_one_sentence_without_it(walk: Walk) -> None:
    airflow = walk.sandbox.airflow
    user, right = airflow.login
    with (
        AirflowApi(airflow.url, major=airflow.major, username=user, password="not-the-one") as api,
        pytest.raises(ApiError) as caught,
    ):
        api.run(DAG_ID, INLINE_RUN)
    # 2.x answers as if the user were known and not allowed to.
    assert caught.value.status == (401 if walk.line == "3" else 403)
    assert str(caught.value.status) in str(caught.value)
    assert "None" not in str(caught.value)
    assert "password" in caught.value.hint
    for text in (str(caught.value), caught.value.hint, repr(caught.value.__context__)):
        assert "not-the-one" not in text
        assert right not in text


def test_a_port_where_nobody_listens_is_one_sentence(walk: Walk) -> None:
    url = f"http://127.0.0.1:{free_ports(['nobody'])['nobody']}"
    with (
        AirflowApi(url, major=walk.sandbox.airflow.major, username="admin", password="unsaid") as api,
        pytest.raises(ApiError) as caught,
    ):
        api.run(DAG_ID, INLINE_RUN)
    assert caught.value.status is None
    assert str(caught.value).startswith(f"The Airflow API at {url} does not answer: ")
    assert "unsaid" not in str(caught.value)


def test_a_web_server_that_is_no_airflow_is_one_sentence(walk: Walk) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), NoAirflow) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            with (
                AirflowApi(url, major=walk.sandbox.airflow.major, username="admin", password="unsaid") as api,
                pytest.raises(ApiError, match=f"^{url}.* answered something that is not JSON"),
            ):
                api.dag(DAG_ID)
        finally:
            server.shutdown()
            thread.join()


class NoAirflow(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page, as a login portal in between does."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Please log in</html>")

    do_POST = do_GET

    def log_message(self, *args: Any) -> None: ...


def test_what_is_not_there_is_none_empty_or_404(walk: Walk) -> None:
    api = walk.sandbox.airflow.api
    assert api.dag("no_such_dag") is None
    assert (api.dag(DAG_ID) or {})["dag_id"] == DAG_ID
    for ask in (lambda: api.run(DAG_ID, "no_such_run"), lambda: api.trigger("no_such_dag", "x", {})):
        with pytest.raises(ApiError) as caught:
            ask()
        assert caught.value.status == 404
    nobody = TaskInstance("no_such_task", -1, None, 1, None, None)
    assert api.task_log(DAG_ID, IN_FLIGHT_RUN, nobody) == ""


def test_a_run_id_that_is_taken_is_a_conflict(walk: Walk) -> None:
    with pytest.raises(ApiError) as caught:
        walk.sandbox.airflow.api.trigger(DAG_ID, INLINE_RUN, {})
    assert caught.value.status == 409


def test_a_pool_is_created_and_then_changed(walk: Walk) -> None:
    name = "requests pool"

    def stored() -> list[list[str]]:
        return sql(walk, f"SELECT slots, description FROM slot_pool WHERE pool = {literal(name)}")

    try:
        walk.sandbox.airflow.api.set_pool(name, 2, "first")
        assert stored() == [["2", "first"]]
        walk.sandbox.airflow.api.set_pool(name, 0, "then")
        assert stored() == [["0", "then"]]
    finally:
        sql(walk, f"DELETE FROM slot_pool WHERE pool = {literal(name)}")


def test_every_instance_of_a_run_is_there_once(walk: Walk) -> None:
    instances = walk.sandbox.airflow.api.task_instances(DAG_ID, IN_FLIGHT_RUN)
    seen = sorted((each.task_id, str(each.map_index), each.state, str(each.try_number)) for each in instances)
    stored = sql(
        walk,
        "SELECT task_id, map_index, state, try_number FROM task_instance "
        f"WHERE dag_id = {literal(DAG_ID)} AND run_id = {literal(IN_FLIGHT_RUN)}",
    )
    assert seen == sorted(tuple(row) for row in stored)


def test_the_log_of_a_try_that_failed_is_still_there(walk: Walk) -> None:
    api = walk.sandbox.airflow.api
    (again,) = [i for i in api.task_instances(DAG_ID, IN_FLIGHT_RUN) if i.task_id == "compare_cells"]
    assert (again.state, again.try_number) == ("success", 2)
    failed = api.task_log(DAG_ID, IN_FLIGHT_RUN, replace(again, try_number=1))
    assert "ValueError" in failed
    assert "are not what was pushed" in failed
    green = api.task_log(DAG_ID, IN_FLIGHT_RUN, again)
    assert green and "ValueError" not in green
