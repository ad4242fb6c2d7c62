"""What writing values back costs, against its floor in the same run: a bare GET and a bare UPDATE for each of them.

The floor is a bare Python of the same context: for each row one GET through boto3, ``json.loads``, and an UPDATE by its
primary key in a transaction of its own, over as many threads as ``xcomctl rehydrate`` is given, each with a connection of
its own. It looks at nothing, compares nothing, and reads nothing back. Both write the same rows, in turn; between them
the rows are put back, which is not measured. ``whole`` is the time of a process from its start to its end, ``writing``
what it spent on the rows. Figures, no assertion.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.support.bulk import Bulk
from tests.support.commands import run, typed
from tests.support.numbered import Held, Numbered
from xcomctl.model.phases import Phase

ROOT = Path(__file__).parents[1]

FLOOR = """
import sys, json, threading, time, boto3, psycopg2, psycopg2.extras
from concurrent.futures import ThreadPoolExecutor
from botocore.config import Config
given = json.loads(sys.stdin.read())
client = boto3.client("s3", config=Config(max_pool_connections=given["jobs"]), **given["client"])
own = threading.local()
started = time.perf_counter()
with psycopg2.connect(given["database"]) as connection, connection.cursor() as cursor:
    text = "convert_from(value, 'UTF8')::json" if given["line"] == "2" else "value"
    cursor.execute(f"SELECT dag_run_id, task_id, map_index, key, {text} #>> '{{}}' FROM xcom ORDER BY 1, 2, 3, 4")
    rows = cursor.fetchall()
def one(row):
    if not hasattr(own, "connection"):
        own.connection = psycopg2.connect(given["database"])
    key = row[4].partition("@")[2].partition("/")[2]
    data = client.get_object(Bucket=given["bucket"], Key=key)["Body"].read()
    value = json.loads(data)
    with own.connection, own.connection.cursor() as cursor:
        cursor.execute(
            "UPDATE xcom SET value = %s WHERE dag_run_id = %s AND task_id = %s AND map_index = %s AND key = %s",
            (psycopg2.Binary(data) if given["line"] == "2" else psycopg2.extras.Json(value), *row[:4]),
        )
with ThreadPoolExecutor(given["jobs"]) as pool:
    for _ in pool.map(one, rows):
        pass
print(time.perf_counter() - started)
"""


def main() -> None:
    """Start a sandbox, run both in turn, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--airflow", default="3.3", help="Airflow line (default: 3.3)")
    parser.add_argument("--rows", type=int, default=3000, help="rows that are written (default: 3000)")
    parser.add_argument("--jobs", type=int, default=4, help="rows in work at a time (default: 4)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    args = parser.parse_args()
    with (
        Bulk(ROOT / ".venvs" / f"airflow-{args.airflow}", Phase.DUAL_READ) as bulk,
        tempfile.TemporaryDirectory() as folder,
    ):
        print(f"  {args.rows:,} rows and their objects", file=sys.stderr)
        numbered = Numbered(bulk)
        numbered.add(args.rows)
        measured = [_once(bulk, numbered, args.jobs, Path(folder, f"{number}.jsonl")) for number in range(args.runs)]
        version = bulk.sandbox.environment.airflow
    print(f"Airflow {version}, {args.rows:,} rows, {args.jobs} at a time, medians of {args.runs}")
    medians = {name: statistics.median(each[name] for each in measured) for name in measured[0]}
    for name, seconds in medians.items():
        ratio = seconds / medians[f"floor {name.partition(' ')[2]}"]
        print(f"{name:18} {seconds:7.2f} s   {args.rows / seconds:7.0f} rows/s   ratio {ratio:5.2f}")


def _once(bulk: Bulk, numbered: Numbered, jobs: int, journal: Path) -> dict[str, float]:
    """The seconds of both."""
    database = bulk.sandbox.database
    assert database is not None
    found = {}
    started = time.perf_counter()
    floor = bulk.started(FLOOR, {**bulk.s3, "line": bulk.line, "jobs": jobs, "database": _driver_url(database.url)})
    assert floor.stdout is not None
    found["floor writing"] = float(floor.stdout.read())
    assert floor.wait() == 0
    found["floor whole"] = time.perf_counter() - started
    _all_written(numbered)
    command = typed(bulk, "rehydrate", "-y", "--jobs", str(jobs), "-o", "json", journal=journal)
    started = time.perf_counter()
    done = run(command)
    found["rehydrate whole"] = time.perf_counter() - started
    assert done.code == 0, (done.out, done.err)
    found["rehydrate writing"] = float(json.loads(done.out)["seconds"])
    _all_written(numbered)
    return found


def _all_written(numbered: Numbered) -> None:
    assert numbered.held() == Held(references=0, values=numbered.rows, other=0)
    numbered.put_back()


def _driver_url(url: str) -> str:
    """The URL without SQLAlchemy's word for the driver."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}://{rest}"


if __name__ == "__main__":
    main()
