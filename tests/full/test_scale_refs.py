"""One million references in PostgreSQL and 200,000 objects in the store: what dangles, in one pass over both."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.resumable import ROOT, once
from xcomctl.model.phases import Phase
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.sandbox.deployment import Sandbox, Waiting
from xcomctl.rehearsal.sandbox.postgres import binaries

BUDGET_S = 1500
PAGE = 1000
DAG, TASK, RUNS = "scale", "task", 100
#: What a scan of ten times the rows may take more, in bytes, of either process.
SLOPE_BYTES = 40_000_000


@dataclass(frozen=True)
class Case:
    """How much lies where: of ``rows`` references ``dangling`` have no object, all others share ``objects``."""

    line: str
    rows: int
    objects: int
    dangling: int


CASES = {
    "3.3-million": Case("3.3", 1_000_000, 200_000, 1_000),
    "2.11-hundred-thousand": Case("2.11", 100_000, 20_000, 100),
}

#: One process of several that put objects: in Airflow's environment, which has boto3.
PUT = """
import sys, json, uuid, hashlib, boto3
from concurrent.futures import ThreadPoolExecutor
given = json.loads(sys.stdin.read())
client = boto3.client("s3", **given["client"])
def put(n):
    name = uuid.UUID(hashlib.md5(f"object {n}".encode()).hexdigest())
    key = f"{given['prefix']}/scale/run_{n % given['runs']:03}/task/{name}"
    client.put_object(Bucket=given["bucket"], Key=key, Body=b'"a value"')
with ThreadPoolExecutor(8) as pool:
    for _ in pool.map(put, range(given["start"], given["end"])):
        pass
"""
#: The floor: the same rows sorted and sent by the database alone, and a bare listing.
LIST = """
import sys, json, boto3
given = json.loads(sys.stdin.read())
pages = boto3.client("s3", **given["client"]).get_paginator("list_objects_v2")
print(sum(len(page.get("Contents", ())) for page in pages.paginate(Bucket=given["bucket"], Prefix=given["prefix"] + "/")))
"""


class _Steps:
    @contextmanager
    def step(self, id: str, title: str) -> Iterator[Waiting]:
        yield self

    def waiting(self, what: str) -> None:
        """Nobody watches."""


class Scale:
    """A sandbox, and what is put into it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        assert sandbox.store is not None and sandbox.store.connection is not None
        self.base_path = sandbox.store.path
        bucket, _, prefix = self.base_path.partition("@")[2].partition("/")
        connection = sandbox.store.connection
        extra = json.loads(connection["extra"])
        self.s3 = {
            "bucket": bucket,
            "prefix": prefix,
            "client": {
                "aws_access_key_id": connection["login"],
                "aws_secret_access_key": connection["password"],
                "endpoint_url": extra["endpoint_url"],
                "region_name": extra["region_name"],
            },
        }

    def sql(self, statement: str) -> str:
        database = self.sandbox.database
        assert database is not None
        done = subprocess.run(
            [str(binaries() / "psql"), "-h", "127.0.0.1", "-p", str(database.port), "-U", "airflow", "-d", "airflow",
             "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={"PGPASSWORD": database.password}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, program: str, given: Mapping[str, Any]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [str(self.sandbox.environment.python), "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        return process

    def put_objects(self, count: int) -> None:
        parts = 4
        edges = [count * part // parts for part in range(parts + 1)]
        given = {**self.s3, "runs": RUNS}
        processes = [
            self.python(PUT, {**given, "start": start, "end": end}) for start, end in itertools.pairwise(edges)
        ]
        assert [process.wait() for process in processes] == [0] * parts

    def runs(self) -> None:
        when = "execution_date" if self.sandbox.airflow.major == 2 else "run_after"
        self.sql(
            f"INSERT INTO dag_run (dag_id, run_id, state, run_type, {when}) SELECT '{DAG}', 'run_' || lpad(n::text, 3, '0'), "
            f"'success', 'manual', now() + n * interval '1 second' FROM generate_series(0, {RUNS - 1}) n"
        )

    def rows(self, start: int, end: int, objects: int, what: str = "object") -> None:
        """References from ``start`` to before ``end``, to so many objects in turn; ``what`` else is not there."""
        path = f"'{self.base_path}/{DAG}/run_' || lpad(r::text, 3, '0') || '/{TASK}/' || md5('{what} ' || o)::uuid"
        value = (
            f"convert_to('\"' || {path} || '\"', 'UTF8')" if self.sandbox.airflow.major == 2 else f"to_jsonb({path})"
        )
        self.sql(
            "INSERT INTO task_instance (dag_id, run_id, task_id, map_index, state, pool, pool_slots"
            + (", id, try_number)" if self.sandbox.airflow.major == 3 else ")")
            + f" SELECT '{DAG}', 'run_' || lpad((n % {RUNS})::text, 3, '0'), '{TASK}', n, 'success', 'default_pool', 1"
            + (", gen_random_uuid(), 1" if self.sandbox.airflow.major == 3 else "")
            + f" FROM generate_series({start}, {end - 1}) n"
        )
        self.sql(
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            f"SELECT d.id, '{TASK}', n, 'return_value', '{DAG}', d.run_id, {value}, now() "
            f"FROM (SELECT n, n % {objects} AS o, (n % {objects}) % {RUNS} AS r FROM generate_series({start}, {end - 1}) n) x "
            f"JOIN dag_run d ON d.dag_id = '{DAG}' AND d.run_id = 'run_' || lpad(r::text, 3, '0')"
        )
        self.sql("ANALYZE xcom; ANALYZE task_instance")

    def refs(self, journal: Path, what: str = "--dangling") -> dict[str, Any]:
        """``xcomctl refs --dangling``, or ``--objects``: its last line, how many came before it, seconds, and the peaks of both processes."""
        command = [sys.executable, "-m", "xcomctl", "refs", what, "-o", "jsonl", "--journal", str(journal),
                   "--python", str(self.sandbox.environment.python)]  # fmt: skip
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            env=self.sandbox.airflow.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        peaks = {"desk": 0, "agent": 0}
        over = threading.Event()

        def watch() -> None:
            desk = psutil.Process(process.pid)
            while not over.wait(0.2):
                try:
                    peaks["desk"] = max(peaks["desk"], desk.memory_info().rss)
                    for child in desk.children():
                        peaks["agent"] = max(peaks["agent"], child.memory_info().rss)
                except psutil.Error:
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        last, count = "", 0
        assert process.stdout is not None
        for line in process.stdout:
            last, count = line, count + 1
        code = process.wait()
        over.set()
        watcher.join()
        return {
            "code": code, "items": count - 1, "end": json.loads(last), "seconds": time.monotonic() - started, **peaks,
        }  # fmt: skip

    def floor(self) -> dict[str, float]:
        """The same rows sorted and sent by the database, and the same objects listed, with nothing of ours in between."""
        order = "value" if self.sandbox.airflow.major == 2 else "(value #>> '{}') COLLATE \"C\""
        started = time.monotonic()
        self.sql(f"COPY (SELECT * FROM xcom ORDER BY {order}) TO STDOUT")
        rows = time.monotonic() - started
        started = time.monotonic()
        process = self.python(LIST, self.s3)
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait() == 0
        return {"rows_s": round(rows, 1), "list_s": round(time.monotonic() - started, 1)}


@pytest.mark.parametrize("name", CASES)
def test_what_dangles_among_a_million(name: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    case = CASES[name]

    def run() -> dict[str, Any]:
        environment = environments.existing(ROOT / ".venvs" / f"airflow-{case.line}", store="s3")
        sandbox = Sandbox.create(environment, "s3")
        try:
            assert sandbox.airflow is not None
            sandbox.start({}, {}, _Steps())
            assert sandbox.store is not None
            sandbox.redeploy(settings_for(Phase.OFFLOAD, sandbox.store.path, 20_000), lambda what: None)
            sandbox.airflow.stop()  # nothing but the database and the store is needed, and the cores are
            return measured(Scale(sandbox))
        finally:
            sandbox.stop()

    def measured(scale: Scale) -> dict[str, Any]:
        started = time.monotonic()
        scale.put_objects(case.objects)
        put_s = time.monotonic() - started
        scale.runs()
        few = case.rows // 10
        scale.rows(0, few, case.objects)
        tenth = scale.refs(tmp_path / "tenth.jsonl")
        assert tenth["end"]["totals"]["references"] == few
        scale.rows(few, case.rows - case.dangling, case.objects)
        scale.rows(case.rows - case.dangling, case.rows, case.objects, "nothing")
        whole = scale.refs(tmp_path / "journal.jsonl")
        totals = whole["end"]["totals"]
        assert (whole["code"], whole["items"], totals["dangling"]) == (3, case.dangling, case.dangling)
        assert (totals["references"], totals["objects"]) == (case.rows, case.objects)
        assert (totals["list_requests"], totals["head_requests"]) == (math.ceil(case.objects / PAGE), 0)
        # The other direction: every object with every row that names it, one after the other.
        both = scale.refs(tmp_path / "both.jsonl", "--objects")
        shown = both["end"]["totals"]
        with_objects = case.rows - case.dangling
        assert (both["items"], shown["unreferenced"], shown["dangling"]) == (with_objects, 0, case.dangling)
        assert (shown["list_requests"], shown["head_requests"]) == (totals["list_requests"], 0)
        slopes = {who: max(whole[who], both[who]) - tenth[who] for who in ("desk", "agent")}
        assert max(slopes.values()) < SLOPE_BYTES, slopes
        floor = scale.floor()
        return {
            "references": case.rows,
            "objects": case.objects,
            "dangling": case.dangling,
            "list_requests": totals["list_requests"],
            "head_requests": totals["head_requests"],
            "seconds": round(whole["seconds"], 1),
            "objects_seconds": round(both["seconds"], 1),
            "rows_per_s": round(case.rows / whole["seconds"]),
            "floor": floor,
            "ratio_to_floor": round(whole["seconds"] / (floor["rows_s"] + floor["list_s"]), 2),
            "peak_bytes": {who: whole[who] for who in ("desk", "agent")},
            "slope_bytes": slopes,
            "put_objects_s": round(put_s, 1),
        }

    measure(name, once("scale-refs", name, run))
