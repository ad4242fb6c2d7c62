"""One million references in PostgreSQL and 200,000 objects in the store: what dangles, in one pass over both; and the screen.

Memory is compared with that of a tenth: of the rows and of the objects, so that it would tell if it grew with either.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import bare
from tests.support.bulk import Bulk, run_id_of
from tests.support.commands import typed
from tests.support.resumable import ROOT, once
from tests.support.walk import answer, literal
from tests.support.watched import Watched, watched

BUDGET_S = 1500
PAGE = 1000
DAG, TASK, RUNS = "scale", "task", 100
#: A task downstream of that one. It failed in the last hour in every run of the million, and in so many runs besides that
#: have one reference each; every tenth of these is still going on. As many failures as ``status`` looks at.
READER, FAILED = "reader", 400
ROUNDS = 3
#: What a scan of ten times the rows and ten times the objects may take more, in bytes, of either process.
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

#: The objects by their numbers.
THINGS = f"""
import hashlib, uuid
def thing(n):
    name = uuid.UUID(hashlib.md5(f"object {{n}}".encode()).hexdigest())
    return f"{DAG}/run_{{n % {RUNS}:03}}/{TASK}/{{name}}", b'"a value"'
"""
#: The floor: the same rows sorted and sent by the database alone, and a bare listing.
LIST = """
import sys, json, boto3
given = json.loads(sys.stdin.read())
pages = boto3.client("s3", **given["client"]).get_paginator("list_objects_v2")
print(sum(len(page.get("Contents", ())) for page in pages.paginate(Bucket=given["bucket"], Prefix=given["prefix"] + "/")))
"""


class Scale:
    """What is put into a sandbox."""

    def __init__(self, bulk: Bulk) -> None:
        self.bulk = bulk

    def put(self, start: int, end: int) -> float:
        """Objects from ``start`` to before ``end``; the seconds that it took."""
        started = time.monotonic()
        self.bulk.put(THINGS, start, end)
        return time.monotonic() - started

    def rows(self, start: int, end: int, objects: int, what: str = "object") -> None:
        """References from ``start`` to before ``end``, to so many objects in turn; ``what`` else is not there."""
        bulk = self.bulk
        path = f"'{bulk.base_path}/{DAG}/' || {run_id_of('r')} || '/{TASK}/' || md5('{what} ' || o)::uuid"
        value = f"convert_to('\"' || {path} || '\"', 'UTF8')" if bulk.line == "2" else f"to_jsonb({path})"
        bulk.add_instances(DAG, TASK, f"n % {RUNS}", "n", start, end)
        bulk.sql(
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            f"SELECT d.id, '{TASK}', n, 'return_value', '{DAG}', d.run_id, {value}, now() "
            f"FROM (SELECT n, n % {objects} AS o, (n % {objects}) % {RUNS} AS r FROM generate_series({start}, {end - 1}) n) x "
            f"JOIN dag_run d ON d.dag_id = '{DAG}' AND d.run_id = {run_id_of('r')}"
        )
        bulk.sql("ANALYZE xcom; ANALYZE task_instance")

    def fail(self) -> None:
        """Let the reader fail in every run, and in further ones of the same DAG, whose structure is known."""
        bulk, end = self.bulk, RUNS + FAILED
        structure = {"dag": {"tasks": [{"task_id": TASK, "downstream_task_ids": [READER]}, {"task_id": READER}]}}
        bulk.add_runs(DAG, RUNS, end)
        bulk.add_instances(DAG, TASK, "n", "-1", RUNS, end)
        bulk.add_instances(DAG, READER, "n", "-1", 0, end)
        path = f"'{bulk.base_path}/{DAG}/' || d.run_id || '/{TASK}/' || md5(d.run_id)::uuid"
        value = f"convert_to('\"' || {path} || '\"', 'UTF8')" if bulk.line == "2" else f"to_jsonb({path})"
        beyond = f"d.dag_id = '{DAG}' AND d.run_id >= {run_id_of(str(RUNS))}"
        for statement in (
            f"UPDATE task_instance SET state = 'failed', end_date = now() WHERE task_id = '{READER}'",
            f"UPDATE dag_run d SET state = CASE WHEN d.run_id LIKE '%0' THEN 'running' ELSE 'failed' END WHERE {beyond}",
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            f"SELECT d.id, '{TASK}', -1, 'return_value', '{DAG}', d.run_id, {value}, now() FROM dag_run d WHERE {beyond}",
            # Of a serialised DAG four columns are read; the others, and what they refer to, differ between the lines.
            "DROP TABLE serialized_dag CASCADE",
            "CREATE TABLE serialized_dag (dag_id text, data json, data_compressed bytea, last_updated timestamptz)",
            f"INSERT INTO serialized_dag VALUES ('{DAG}', {literal(json.dumps(structure))}, NULL, now())",
            "ANALYZE",
        ):
            bulk.sql(statement)

    def screen(self, folder: Path) -> dict[str, Any]:
        """``xcomctl status`` beside its floor, by turns: what a bare Python there needs to open the same things."""
        self.fail()
        command = typed(self.bulk, "status", "-o", "json", journal=folder / "status.jsonl")
        rounds = [(bare.seconds(self.bulk), watched(command, keep=10_000)) for _ in range(ROUNDS)]
        floor = statistics.median(floor for floor, _ in rounds)
        status = statistics.median(seen.seconds for _, seen in rounds)
        (context,) = rounds[-1][1].record["contexts"]
        database = context["database"]
        assert (database["failed_count"], database["failed_unknown"], database["error"]) == (RUNS + FAILED, 0, "")
        assert (database["unfinished_runs"], database["references"]) == (FAILED // 10, FAILED // 10)
        return {
            "failed": database["failed_count"],
            "unfinished_runs": database["unfinished_runs"],
            "seconds": round(status, 2),
            "floor_s": round(floor, 2),
            "beyond_floor_s": round(status - floor, 2),
        }

    def refs(self, journal: Path, what: str = "--dangling") -> Watched:
        """``xcomctl refs --dangling``, or ``--objects``: a line for each, and one at the end."""
        return watched(typed(self.bulk, "refs", what, "-o", "jsonl", journal=journal))

    def floor(self) -> dict[str, float]:
        """The same rows sorted and sent by the database, and the same objects listed, with nothing of ours in between."""
        order = "value" if self.bulk.line == "2" else "(value #>> '{}') COLLATE \"C\""
        started = time.monotonic()
        answer(self.bulk, f"COPY (SELECT * FROM xcom ORDER BY {order}) TO STDOUT", None)
        rows = time.monotonic() - started
        started = time.monotonic()
        process = self.bulk.started(LIST, self.bulk.s3)
        assert process.stdout is not None
        process.stdout.read()
        assert process.wait() == 0
        return {"rows_s": round(rows, 1), "list_s": round(time.monotonic() - started, 1)}


@pytest.mark.parametrize("name", CASES)
def test_what_dangles_among_a_million(name: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    case = CASES[name]

    def run() -> dict[str, Any]:
        with Bulk(ROOT / ".venvs" / f"airflow-{case.line}") as bulk:
            return measured(Scale(bulk))

    def measured(scale: Scale) -> dict[str, Any]:
        few, first = case.rows // 10, case.objects // 10
        put_s = scale.put(0, first)
        scale.bulk.add_runs(DAG, 0, RUNS)
        scale.rows(0, few, first)
        tenths = [scale.refs(tmp_path / "tenth.jsonl", what) for what in ("--dangling", "--objects")]
        for tenth in tenths:
            totals = tenth.record["totals"]
            assert (totals["references"], totals["objects"], totals["dangling"]) == (few, first, 0)
        put_s += scale.put(first, case.objects)
        scale.rows(few, case.rows - case.dangling, case.objects)
        scale.rows(case.rows - case.dangling, case.rows, case.objects, "nothing")
        whole = scale.refs(tmp_path / "journal.jsonl")
        totals = whole.record["totals"]
        assert (whole.code, whole.lines - 1, totals["dangling"]) == (3, case.dangling, case.dangling)
        assert (totals["references"], totals["objects"]) == (case.rows, case.objects)
        assert (totals["list_requests"], totals["head_requests"]) == (math.ceil(case.objects / PAGE), 0)
        # The other direction: every object with every row that names it, one after the other.
        both = scale.refs(tmp_path / "both.jsonl", "--objects")
        shown = both.record["totals"]
        with_objects = case.rows - case.dangling
        assert (both.lines - 1, shown["unreferenced"], shown["dangling"]) == (with_objects, 0, case.dangling)
        assert (shown["list_requests"], shown["head_requests"]) == (totals["list_requests"], 0)
        slopes = {
            name: max(
                getattr(more, name) - getattr(tenth, name) for more, tenth in zip((whole, both), tenths, strict=True)
            )
            for name in ("desk", "agent")
        }
        assert max(slopes.values()) < SLOPE_BYTES, slopes
        floor = scale.floor()
        return {
            "references": case.rows,
            "objects": case.objects,
            "dangling": case.dangling,
            "list_requests": totals["list_requests"],
            "head_requests": totals["head_requests"],
            "seconds": round(whole.seconds, 1),
            "objects_seconds": round(both.seconds, 1),
            "rows_per_s": round(case.rows / whole.seconds),
            "floor": floor,
            "ratio_to_floor": round(whole.seconds / (floor["rows_s"] + floor["list_s"]), 2),
            "peak_bytes": {"desk": whole.desk, "agent": whole.agent},
            "slope_bytes": slopes,
            "put_objects_s": round(put_s, 1),
            "status": scale.screen(tmp_path),
        }

    measure(name, once("scale-refs", name, run))
