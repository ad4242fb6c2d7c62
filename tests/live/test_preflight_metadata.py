"""The checks of the category metadata, each failed for real, beside what Airflow's own classes make of the same values.

Rows are of a DAG that Airflow does not know any more, and gone at the end of their test.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_agent_requests import bytes_of, transactions
from tests.support.preflight import Asked, Context, context, offload
from tests.support.rows import column_value, copies_of, gone_dag, xcoms_of
from tests.support.walk import THRESHOLD, Walk, sql
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.references import Owner
from xcomctl.model.settings import PATH as PATH_SETTING
from xcomctl.model.settings import THRESHOLD as THRESHOLD_SETTING
from xcomctl.model.settings import settings_for
from xcomctl.model.verdicts import Check, Status
from xcomctl.rehearsal.scenarios.interface import DAG_ID
from xcomctl.rehearsal.scenarios.runbook import OFFLOAD_RUN

DAG, TASK = "metadata_checks", "group.producer"
OVER, GOING_ON = "scheduled__2026-06-06T00:00:00+00:00", "manual__2026/06/06 a b"
OLD_BASE = "s3://old_conn@old-bucket/xcom"

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
PICKLING = "AIRFLOW__CORE__ENABLE_XCOM_PICKLING"

#: Rows of each kind in the two pre-flights whose memory is compared, and what the further 9,000 may cost.
FEW, MANY = 1_000, 10_000
SLOPE_BYTES = 3_000_000

COMMON = ("metadata_database", "metadata_references", "metadata_own_paths", "metadata_skipmixin")
OF_LINE = {
    "2": ("metadata_pickling", "metadata_json_strings"),
    "3": ("metadata_schemes", "metadata_keys"),
}

#: Strings that a task may return. What a reader gets of them under the backend is asked of the backend itself.
STRINGS = (
    "20260606", "-1", "1e5", "true", "null", "NaN", "-Infinity", ' [1, "é"]', '\n{"a": 1}', '"quoted"', "null ",
    '{"password": "hunter2"}', "[" * 3_000,
    "2026-06-06", "[INFO] done", "True", "nullable", "NaNa", "0x1", "1_000", "", "é", "\u00a01", "{", "'1'", "done: 1",
    "git: fix the build", "Git: Fix", " git:x", "git://host/x", "box: 12 pieces", "filecache:x", "dask:", "Root:/",
    "git@github.com:x/y", "C: drive", "https://airflow.apache.org", "http:x", "note: git: x", "s3:x", "1git:x", "9:30",
    "git", ":", "://", "a b: git", "file:///etc/hostname", "g" * 50 + ": x", "http://[x", "memory://x", "zip: x",
)  # fmt: skip

#: Values with keys, as a task's own Python; what is stored of them and whether the backend refuses them, Airflow says.
KEYED = (
    "{(1, 2): 'a'}", "{(): 1}", "{('a', \"b'c\"): 1}", "[{'a': {(1, (2, 3)): 1}}]", "{(date(2026, 1, 1),): 1}",
    "{date(2026, 1, 1): 1}", "{'x': [{datetime(2026, 1, 1, 2, 3, 4): 1}]}", "{datetime(2026, 1, 1): 1}",
    "{datetime(2026, 1, 1, 2, 3, 4, 5): 1}", "{datetime(2026, 1, 1, tzinfo=timezone.utc): 1}",
    "{pendulum.datetime(2026, 1, 1, tz='Europe/Berlin'): 1}", "{pendulum.date(2026, 1, 1): 1}",
    "[({date(2026, 1, 1): 1},)]", "{'x': ({(1, 2): 1},)}",
    # Not refused: a tuple or an object at the top, an object anywhere, and keys that JSON knows.
    "({date(2026, 1, 1): 1},)", "(1, {'a': [{(1, 2): 1}]})", "{'a': timedelta(1)}", "{True: 1}", "{None: 1}", "{1: 2, 1.5: 3}",
    "{'(see below)': 1}", "{'2026-01-01T00:00:00': 1}", "{'a': '(1, 2)', 'b': ['2026-01-01']}", "{'2026-01': 1}", "[]", "None",
)  # fmt: skip

_AIRFLOW = """
import collections, json, sys
from datetime import date, datetime, timedelta, timezone
import airflow.models.xcom
import pendulum
if sys.argv[1] == "2":
    from airflow.models.xcom import BaseXCom, XCom
else:
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time.xcom import XCom
assert XCom.__name__ == "XComObjectStorageBackend", XCom
strings, keyed = json.load(sys.stdin)
Row = collections.namedtuple("Row", "value")
ids = dict(key="k", dag_id="d", run_id="r", task_id="t", map_index=-1)

def outcome(function, *args, **kwargs):
    try:
        return function(*args, **kwargs), None
    except Exception as error:
        return None, type(error).__name__

changed, stored, refused = [], [], []
for text in strings:
    value, error = outcome(XCom.deserialize_value, Row(BaseXCom.serialize_value(text)))
    changed.append(error or (None if value == text and type(value) is str else type(value).__name__))
if sys.argv[1] == "3":
    for code in keyed:
        value = eval(code)
        stored.append(BaseXCom.serialize_value(value))
        refused.append(outcome(XCom.serialize_value, value, **ids)[1])
print("ANSWER" + json.dumps([changed, stored, refused]))
"""


class Airflows:
    """What Airflow's own classes say, with the backend configured as ``dual-read``."""

    def __init__(self, walk: Walk) -> None:
        done = subprocess.run(
            [str(walk.python), "-c", _AIRFLOW, walk.line],
            input=json.dumps([STRINGS, KEYED]),
            env={**walk.env, "_AIRFLOW_PROCESS_CONTEXT": "server", **settings_for(Phase.DUAL_READ, walk.base_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("ANSWER")] or [done.stderr]
        changed, self.stored, refused = json.loads(line.removeprefix("ANSWER"))
        #: String → the type that a reader gets in its place, or the error, ``None`` when it gets the string.
        self.changed = dict(zip(STRINGS, changed, strict=True))
        #: Python → the error of its push, ``None`` when it is pushed.
        self.refused = dict(zip(KEYED, refused, strict=False))


@pytest.fixture(scope="module")
def airflows(walk: Walk) -> Airflows:
    return Airflows(walk)


@pytest.fixture(scope="module")
def plain(walk: Walk) -> Iterator[Context]:
    """A context that resolves ``inline``."""
    with context(walk, warm=True) as plain:
        yield plain


@pytest.fixture(scope="module")
def settled(walk: Walk) -> Iterator[Context]:
    """A context that resolves ``offload`` already (so no other process has to) and, on 2.x, pickles."""
    with context(walk, offload(walk, **({PICKLING: "True"} if walk.line == "2" else {}))) as settled:
        yield settled


@pytest.fixture
def over(walk: Walk) -> Iterator[None]:
    """A finished run."""
    with gone_dag(walk, DAG, OVER, TASK):
        yield


@pytest.fixture
def going_on(walk: Walk) -> Iterator[None]:
    """An unfinished run."""
    with gone_dag(walk, DAG, GOING_ON, TASK, state="running"):
        yield


def flipping(plain: Context, walk: Walk, **options: Any) -> Asked:
    """The checks of the category for a flip to offload that is still to come."""
    return plain.preflight(only=("metadata",), expect_path=walk.base_path, expect_threshold=THRESHOLD, **options)


def one(place: Context, check_id: str, **options: Any) -> Check:
    """One check alone."""
    return place.preflight(only=(check_id,), **options)[check_id]


def sqls(walk: Walk, values: Mapping[str, Any]) -> dict[str, str]:
    return {key: column_value(walk, value) for key, value in values.items()}


def own_path(base_path: str, owner: Owner, name: str | None = None) -> str:
    return f"{base_path}/{owner.dag_id}/{owner.run_id}/{owner.task_id}/{name or uuid.uuid4()}"


def counts(check: Check) -> tuple[int, int]:
    return check.data["count"], check.data["unfinished_runs"]


def test_after_a_walk_all_is_ok(walk: Walk, plain: Context) -> None:
    found = flipping(plain, walk)
    assert set(found.checks) == {*COMMON, *OF_LINE[walk.line]}
    assert {name: check.status for name, check in found.checks.items()} == dict.fromkeys(found.checks, Status.OK)
    assert all(check.hint == "" for check in found.checks.values())
    ((revision,),) = sql(walk, "SELECT version_num FROM alembic_version")
    assert found["metadata_database"].data == {"dialect": "postgresql", "revision": revision}


# -- the database itself


def test_a_database_that_does_not_answer_and_one_that_is_not_airflows(walk: Walk) -> None:
    url = walk.env[DATABASE]
    server, _, name = url.rpartition("/")
    host = server.rpartition(":")[0]
    password = host.partition("//")[2].partition(":")[2].partition("@")[0]
    assert password in url and name == "airflow"
    for broken, told, hint in (
        (f"{host}:1/{name}", "refused", "airflow db check"),
        (f"{server}/postgres", "no schema revision", "airflow db migrate"),
    ):
        with context(walk, {DATABASE: broken}) as place:
            found = place.preflight(only=("metadata",))
        assert set(found.checks) == {"metadata_database", "metadata_references"}
        check = found["metadata_database"]
        assert "no_database" not in check.data
        assert (check.status, told in check.detail, hint in check.hint) == (Status.FAIL, True, True), check
        assert password not in json.dumps(check.to_json())
        assert found["metadata_references"].status is Status.SKIP
        assert "metadata_database" in found["metadata_references"].detail


def test_a_context_without_a_database_is_inconclusive_and_none_is_made(walk: Walk, tmp_path: Path) -> None:
    environment = {name: value for name, value in walk.env.items() if name != DATABASE}
    with AgentSession(walk.reach({**environment, "AIRFLOW_HOME": str(tmp_path)})) as session:
        found = Context(session).preflight(only=("metadata",))
    file = tmp_path / "airflow.db"
    assert not file.exists()
    assert {check.status for check in found.checks.values()} == {Status.SKIP}
    check = found["metadata_database"]
    assert check.data == {"no_database": True}
    assert str(file) in check.detail
    assert "--skip metadata" in check.hint
    assert "needs metadata_database" in found["metadata_references"].detail


def test_a_schema_that_nobody_knows_is_a_warning_and_is_read(walk: Walk, settled: Context) -> None:
    ((known,),) = sql(walk, "SELECT version_num FROM alembic_version")
    sql(walk, "UPDATE alembic_version SET version_num = 'feedfacecafe'")
    try:
        found = settled.preflight(only=("metadata",))
    finally:
        sql(walk, f"UPDATE alembic_version SET version_num = '{known}'")
    check = found["metadata_database"]
    assert (check.status, check.data["revision"]) == (Status.WARN, "feedfacecafe")
    assert "feedfacecafe" in check.detail
    assert "counts" in check.hint
    assert found["metadata_references"].status is Status.OK


# -- references


def test_references_under_another_path_fail_and_other_urls_are_values(
    walk: Walk, plain: Context, settled: Context, over: None, going_on: None
) -> None:
    before = one(settled, "metadata_references")
    finished, unfinished = Owner(DAG, OVER, TASK), Owner(DAG, GOING_ON, TASK)
    theirs = {
        "moved": own_path(OLD_BASE, finished),
        "packed": own_path(OLD_BASE, finished, f"{uuid.uuid4()}.gz"),
        "other_connection": own_path(walk.base_path.replace("s3://", "s3://other_"), finished),
        "ours": own_path(walk.base_path, finished),
        "page": "https://airflow.apache.org/docs",
        "strangers": own_path(OLD_BASE, Owner("another", OVER, TASK)),
        "nearly": own_path(OLD_BASE, finished, "part-0.parquet"),
        "sentence": f"see {own_path(OLD_BASE, finished)}",
        "listed": [own_path(OLD_BASE, finished)],
    }
    with (
        xcoms_of(walk, DAG, OVER, TASK, sqls(walk, theirs)),
        xcoms_of(walk, DAG, GOING_ON, TASK, sqls(walk, {"moved": own_path(OLD_BASE, unfinished)})),
    ):
        check = one(settled, "metadata_references")
        under_inline = plain.preflight(only=("metadata",), phase="inline", expect_path=walk.base_path)
        astray = plain.preflight(only=("metadata",), expect_path="no/scheme", expect_threshold=THRESHOLD)
    assert check.status is Status.FAIL
    assert counts(check) == (4, 1)
    assert set(check.data["base_paths"]) == {OLD_BASE, walk.base_path.replace("s3://", "s3://other_")}
    assert check.data["references"] == before.data["references"] + 1
    assert check.data["urls"] == before.data["urls"] + 3
    assert {each["key"] for each in check.data["examples"]} == {"moved", "packed", "other_connection"}
    assert all(len(each["excerpt"]) <= 60 for each in check.data["examples"])
    assert "4 references (in 1 unfinished run)" in check.detail and OLD_BASE in check.detail
    assert f"{DAG}.{TASK} 'moved'" in check.detail
    assert f"keep {PATH_SETTING.env}=" in check.hint and f'{THRESHOLD_SETTING.env}="-1"' in check.hint
    assert "airflow db clean --tables xcom --clean-before-timestamp" in check.hint and "orphans" in check.hint

    # Airflow's own class resolves none of them, wherever they are.
    assert set(under_inline.checks) == {"metadata_database", "metadata_references"}
    check = under_inline["metadata_references"]
    assert check.status is Status.FAIL and "stay under dual-read" in check.hint
    assert check.data["count"] == before.data["references"] + 1 + 4
    # With a path that is none there is nothing to compare with; that is for the checks of the configuration to say.
    assert set(astray.checks) == {"metadata_database"}
    again = one(settled, "metadata_references")
    assert again.to_json() | {"duration_ms": 0} == before.to_json() | {"duration_ms": 0}


def test_a_tasks_own_path_and_one_that_was_passed_on_are_told_apart(
    walk: Walk, settled: Context, over: None, going_on: None
) -> None:
    assert walk.sandbox.database is not None
    password = walk.sandbox.database.password
    elsewhere = Owner(DAG_ID, OFFLOAD_RUN, "discriminate_cell")
    values = {
        "passed_on": own_path(walk.base_path, elsewhere),
        "report": f"{walk.base_path}/{password}/2026.csv",
        "the_base": walk.base_path,
        "own": own_path(walk.base_path, Owner(DAG, OVER, TASK)),
        "neighbour": f"{walk.base_path}x/report.csv",
    }
    with (
        xcoms_of(walk, DAG, OVER, TASK, sqls(walk, values)),
        xcoms_of(walk, DAG, GOING_ON, TASK, sqls(walk, {"report": values["report"]})),
    ):
        both = one(settled, "metadata_own_paths")
    with xcoms_of(walk, DAG, GOING_ON, TASK, sqls(walk, {"passed_on": values["passed_on"]})):
        alias = one(settled, "metadata_own_paths")
    assert (both.status, both.data["own_paths"], both.data["aliases"], counts(both)) == (Status.FAIL, 3, 1, (4, 1))
    assert {each["key"] for each in both.data["examples"]} == {"report", "the_base"}
    # An example shows some of a value, and no secret that the context knows, not even half of it.
    assert password[:4] not in json.dumps(both.to_json())
    assert "outside the prefix" in both.hint and "pass the value" in both.hint
    assert "--skip metadata_own_paths" in both.hint
    assert (alias.status, alias.data["own_paths"], alias.data["aliases"], counts(alias)) == (Status.FAIL, 0, 1, (1, 1))
    assert "outside the prefix" not in alias.hint and "clear the tasks" in alias.hint
    assert "purging one deletes the object of the task" in alias.detail


# -- inline values


def test_the_strings_that_the_backend_changes_are_those_that_are_counted(
    walk: Walk, plain: Context, settled: Context, airflows: Airflows, over: None, going_on: None
) -> None:
    check_id = {"2": "metadata_json_strings", "3": "metadata_schemes"}[walk.line]
    strings = {f"s{number:02}": text for number, text in enumerate(STRINGS)}
    wrong = {key: text for key, text in strings.items() if airflows.changed[text] is not None}
    right = {key: text for key, text in strings.items() if key not in wrong}
    assert 8 <= len(wrong) <= len(STRINGS) - 8, airflows.changed
    with xcoms_of(walk, DAG, OVER, TASK, sqls(walk, right)):
        check = one(settled, check_id)
        assert (check.status, counts(check), check.hint) == (Status.OK, (0, 0), "")
    big = {
        # Larger than what is read in numbers: it counts whatever its length, on either line.
        "2": "convert_to('\"[' || repeat('1, ', 100000) || '1]\"', 'UTF8')",
        "3": "to_jsonb('git: ' || repeat('x', 300000))",
    }[walk.line]
    with (
        xcoms_of(walk, DAG, OVER, TASK, {**sqls(walk, wrong), "big": big}),
        xcoms_of(walk, DAG, GOING_ON, TASK, sqls(walk, wrong)),
    ):
        check = flipping(plain, walk)[check_id]
        now = one(settled, check_id)
        under_inline = plain.preflight(only=("metadata",), phase="inline")
    assert (check.status, counts(check)) == (Status.FAIL, (2 * len(wrong) + 1, 1)), airflows.changed
    assert len(check.data["examples"]) == 5
    assert all(each["dag_id"] == DAG and len(each["excerpt"]) <= 60 for each in check.data["examples"])
    assert f"--skip {check_id}" in check.hint
    assert f"{DAG}.{TASK} 's" in check.detail
    assert "hunter2" not in json.dumps(check.to_json())
    assert "already" not in check.detail
    assert counts(now) == counts(check)
    assert "This context resolves offload already" in now.detail
    assert check_id not in under_inline.checks


def test_pickled_rows_are_counted_and_pickling_fails(
    walk: Walk, plain: Context, settled: Context, over: None, going_on: None
) -> None:
    check_id = "metadata_pickling"
    if walk.line == "3":  # which has no such option, and whose column is JSON
        assert check_id not in settled.preflight(only=("metadata",)).checks
        return
    clean = one(settled, check_id)
    assert (clean.status, counts(clean)) == (Status.FAIL, (0, 0))
    assert PICKLING in clean.detail and "'True'" in clean.detail
    assert f"{PICKLING}=False" in clean.hint
    with (
        xcoms_of(walk, DAG, OVER, TASK, {"pickle": r"'\x80025d2e'::bytea", "json": column_value(walk, "\x80")}),
        xcoms_of(walk, DAG, GOING_ON, TASK, {"pickle": r"'\x80025d2e'::bytea"}),
    ):
        check = flipping(plain, walk)[check_id]
    assert (check.status, counts(check)) == (Status.WARN, (2, 1))
    assert "airflow db clean --tables xcom --clean-before-timestamp" in check.hint
    # As typed, with a date in the place of the letters, it is a command of this Airflow.
    typed = check.hint[check.hint.index("airflow db clean") :].partition(" (")[0].replace("YYYY-MM-DD", "2000-01-01")
    done = subprocess.run(
        [str(walk.python), "-m", *shlex.split(typed), "--dry-run"],
        env={**walk.env}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_keys_that_the_backend_refuses_are_recognised_in_what_airflow_stored(
    walk: Walk, plain: Context, settled: Context, airflows: Airflows, over: None, going_on: None
) -> None:
    check_id = "metadata_keys"
    if walk.line == "2":  # whose BaseXCom refuses them itself
        assert check_id not in settled.preflight(only=("metadata",)).checks
        return
    rows = {f"k{number:02}": stored for number, stored in enumerate(airflows.stored)}
    codes = dict(zip(rows, KEYED, strict=True))
    refused = {key: stored for key, stored in rows.items() if airflows.refused[codes[key]] == "TypeError"}
    taken = {key: stored for key, stored in rows.items() if airflows.refused[codes[key]] is None}
    assert len(refused) + len(taken) == len(KEYED) and len(refused) == KEYED.index("{'x': ({(1, 2): 1},)}") + 1
    with xcoms_of(walk, DAG, OVER, TASK, sqls(walk, taken)):
        check = one(settled, check_id)
        assert (check.status, counts(check), check.hint) == (Status.OK, (0, 0), "")
    with (
        xcoms_of(walk, DAG, OVER, TASK, sqls(walk, refused)),
        xcoms_of(walk, DAG, GOING_ON, TASK, sqls(walk, dict(list(refused.items())[:1]))),
    ):
        check = one(settled, check_id)
    assert (check.status, counts(check)) == (Status.WARN, (len(refused) + 1, 1))
    assert "str(key)" in check.hint and "--skip metadata_keys" in check.hint
    assert {each["excerpt"][:4] for each in check.data["examples"]} == {"key "}
    assert "This context resolves offload already: such pushes fail now" in check.detail


def test_the_threshold_is_measured_against_the_largest_skipmixin_key(
    walk: Walk, plain: Context, settled: Context, over: None
) -> None:
    def with_largest(size: int) -> Check:
        value = {"skipped": ["group.task", ""]}
        value["skipped"][1] = "x" * (size - len(json.dumps(value)))
        values = {"skipmixin_key": value, "other_key": "x" * THRESHOLD}
        with xcoms_of(walk, DAG, OVER, TASK, sqls(walk, values)):
            check = one(settled, "metadata_skipmixin")
        assert (check.data["largest"], check.data["threshold"]) == (size, THRESHOLD)
        return check

    sizes = (THRESHOLD // 2 + 1, THRESHOLD // 2, THRESHOLD // 4 + 1, THRESHOLD // 4)
    found = [with_largest(size) for size in sizes]
    assert [check.status for check in found] == [Status.FAIL, Status.WARN, Status.WARN, Status.OK]
    assert f"{2 * sizes[0]:,} at least" in found[0].detail and f"{DAG}.{TASK}" in found[0].detail
    assert found[0].hint == f'{THRESHOLD_SETTING.env}="{4 * sizes[0]}"'
    assert found[1].hint == f'{THRESHOLD_SETTING.env}="{4 * sizes[1]}"'
    # json.dumps escapes what is not ASCII, the column of 3.x does not.
    value = {"skipped": ["gruppe.höhe_é"] * 100}
    with xcoms_of(walk, DAG, OVER, TASK, sqls(walk, {"skipmixin_key": value})):
        assert one(settled, "metadata_skipmixin").data["largest"] == len(json.dumps(value))
    # Under dual-read nothing is offloaded.
    flip = plain.preflight(only=("metadata",), phase="dual-read", expect_path=walk.base_path)
    assert "metadata_skipmixin" not in flip.checks and "metadata_own_paths" in flip.checks


# -- many rows


def test_memory_does_not_grow_with_the_rows_and_a_scan_can_be_left(
    walk: Walk, measure: Any, over: None, going_on: None
) -> None:
    values = {
        "reference": own_path(walk.base_path, Owner(DAG, OVER, TASK)),
        "json": '{"a": 1}',
        "scheme": "git: fix",
        "key": {"(1, 2)": "a", "2026-01-01": "b"},
    }
    options = PreflightOptions(only=("metadata",), skip=("metadata_database",)).to_json()
    kinds = {"2": ("metadata_json_strings",), "3": ("metadata_schemes", "metadata_keys")}[walk.line]
    peak = {}
    with context(walk, offload(walk)) as place, xcoms_of(walk, DAG, OVER, TASK, sqls(walk, values)):
        session, process = place.session, Path(f"/proc/{place.session.hello['pid']}")
        there = 0
        assert place.preflight(only=("metadata",)).answer.overridden == ()
        for rows in (FEW, MANY):
            for key in values:
                copies_of(walk, DAG, OVER, TASK, key, there, rows)
            there = rows
            (process / "clear_refs").write_text("5")  # what importing took at its height is no measure
            messages: list[Mapping[str, Any]] = []
            stream = session.stream(requests.PREFLIGHT, options, messages.append)
            found = {record["id"]: Check.from_json(record) for record in stream}
            said = [message["done"] for message in messages if message["done"]]
            assert {found[kind].data["count"] for kind in kinds} == {rows + 1}
            assert found["metadata_references"].data["references"] > rows
            assert said[: rows // 1000] == list(range(1000, rows + 1, 1000))
            peak[rows] = bytes_of(process / "status", "VmHWM")
            measure(f"preflight_metadata_{rows}_rows_ms", {name: check.duration_ms for name, check in found.items()})
        assert peak[MANY] - peak[FEW] < SLOPE_BYTES, peak

        class Enough(Exception):
            pass

        def leave(message: Mapping[str, Any]) -> None:
            if message["done"] == 2000:
                raise Enough

        stream = session.stream(requests.PREFLIGHT, options, leave)
        with pytest.raises(Enough):
            list(stream)
        stream.close()
        assert session.request(requests.RESOLVE)["phase"] == "offload"
        assert set(transactions(walk, session)) <= {"idle"}


# -- a database that is busy for minutes


@pytest.fixture(scope="module")
def slow(walk: Walk) -> Iterator[str]:
    """A schema in which the table of XComs takes ten minutes to be read."""
    name = "takes_its_time"
    nap = "WITH nap AS MATERIALIZED (SELECT pg_sleep(600)) "
    sql(
        walk,
        f"CREATE SCHEMA {name}; "
        + "".join(
            f"CREATE VIEW {name}.{table} AS SELECT * FROM public.{table}; "
            for table in ("alembic_version", "dag_run", "task_instance")
        )
        + f"CREATE VIEW {name}.xcom AS {nap} SELECT x.* FROM public.xcom x WHERE (SELECT count(*) FROM nap) > 0",
    )
    yield name
    sql(walk, f"DROP SCHEMA {name} CASCADE")


def naps(walk: Walk) -> int:
    """How many statements the server is at."""
    return int(sql(walk, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")[0][0])


def no_naps(walk: Walk, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while naps(walk):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.first_line_only
@pytest.mark.parametrize("end", ["cancelled", "desk has gone", "killed"])
def test_a_scan_that_nobody_waits_for_ends_in_the_database_too(walk: Walk, slow: str, end: str) -> None:
    class Left(Exception):
        pass

    said: list[str] = []

    def leave(message: Mapping[str, Any]) -> None:
        said.append(message["message"])
        if message["message"].startswith("scanning") and naps(walk):
            raise Left

    assert naps(walk) == 0
    with context(walk, offload(walk, AIRFLOW__DATABASE__SQL_ALCHEMY_SCHEMA=slow)) as place:
        session = place.session
        options = PreflightOptions(only=("metadata_references",)).to_json()
        stream = session.stream(requests.PREFLIGHT, options, leave, timeout=60)
        with pytest.raises(Left):
            list(stream)
        assert said[-1].endswith("XComs for stored URLs")
        if end == "cancelled":
            stream.close()
            assert session.request(requests.RESOLVE, timeout=5)["phase"] == "offload"
        elif end == "desk has gone":
            # An agent that gets to cancel ends by itself, long before it is given up.
            began = time.monotonic()
            session.close(grace=15)
            assert time.monotonic() - began < 10
        else:
            os.killpg(session.hello["pid"], signal.SIGKILL)
        # Nobody cancels for an agent that was killed; the server looks for it every five seconds.
        assert no_naps(walk, 10 if end == "killed" else 2)
