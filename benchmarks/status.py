"""What the one screen costs beyond importing Airflow, against its floor in the same run.

The floor is a bare Python of the same context that imports the class which Airflow resolves, opens the metadata database,
and asks the store for one object. Measured is ``xcomctl status`` with some thousand references, a few of them in an
unfinished run, and ``xcomctl refs`` over the same. Figures, no assertion.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.bare import PROGRAM
from xcomctl.model.phases import Phase
from xcomctl.model.settings import settings_for
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.sandbox.deployment import Sandbox, Waiting
from xcomctl.rehearsal.sandbox.postgres import binaries

ROOT = Path(__file__).parents[1]
REFERENCES = 20_000


class _Steps:
    @contextlib.contextmanager
    def step(self, id: str, title: str) -> Iterator[Waiting]:
        print(f"  {title}", file=sys.stderr)
        yield self

    def waiting(self, what: str) -> None:
        """Nobody watches."""


def seconds(command: list[str], environment: Mapping[str, str]) -> float:
    """How long one run of a command takes. Ends the benchmark when it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if done.returncode not in (0, 3):  # the references of the benchmark have no objects
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started


def fill(sandbox: Sandbox) -> None:
    """References in a finished run and a few in an unfinished one."""
    database, store = sandbox.database, sandbox.store
    assert database is not None and store is not None
    when, two = ("execution_date", True) if sandbox.airflow.major == 2 else ("run_after", False)
    text = f"'{store.path}/bench/' || r.run_id || '/task/' || md5(n::text)::uuid"
    value = f"convert_to('\"' || {text} || '\"', 'UTF8')" if two else f"to_jsonb({text})"
    statement = f"""
        INSERT INTO dag_run (dag_id, run_id, state, run_type, {when}) VALUES
            ('bench', 'over', 'success', 'manual', now()), ('bench', 'going on', 'running', 'manual', now() + interval '1 s');
        INSERT INTO task_instance (dag_id, run_id, task_id, map_index, state, pool, pool_slots{"" if two else ", id, try_number"})
            SELECT 'bench', r.run_id, 'task', n, 'success', 'default_pool', 1{"" if two else ", gen_random_uuid(), 1"}
            FROM dag_run r, generate_series(1, {REFERENCES}) n WHERE r.dag_id = 'bench' AND (r.run_id = 'over' OR n <= 20);
        INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)
            SELECT r.id, 'task', n, 'return_value', 'bench', r.run_id, {value}, now()
            FROM dag_run r, generate_series(1, {REFERENCES}) n WHERE r.dag_id = 'bench' AND (r.run_id = 'over' OR n <= 20);
        ANALYZE;
    """
    argv = [str(binaries() / "psql"), "-h", "127.0.0.1", "-p", str(database.port), "-U", "airflow", "-d", "airflow"]
    subprocess.run(
        [*argv, "-q", "-v", "ON_ERROR_STOP=1", "-c", statement], env={"PGPASSWORD": database.password}, check=True
    )


def main() -> None:
    """Start a sandbox, run each in turn, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--airflow", default="3.3", help="Airflow line (default: 3.3)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default: 3)")
    args = parser.parse_args()
    sandbox = Sandbox.create(environments.existing(ROOT / ".venvs" / f"airflow-{args.airflow}", store="s3"), "s3")
    taken: dict[str, list[float]] = {"floor": [], "status": [], "refs": []}
    try:
        sandbox.start({}, {}, _Steps())
        assert sandbox.store is not None
        fill(sandbox)
        settings = settings_for(Phase.OFFLOAD, sandbox.store.path, 20_000)
        environment = {**sandbox.airflow.environment(), **settings}
        sandbox.airflow.stop()
        python = str(sandbox.environment.python)
        with tempfile.TemporaryDirectory() as folder:
            ours = [sys.executable, "-m", "xcomctl"]
            more = ["--python", python, "--journal", f"{folder}/journal.jsonl"]
            for _ in range(args.rounds):
                taken["floor"].append(
                    seconds([python, "-c", PROGRAM, sandbox.store.path, str(sandbox.airflow.major)], environment)
                )
                taken["status"].append(seconds([*ours, "status", *more], environment))
                taken["refs"].append(seconds([*ours, "refs", "-o", "jsonl", *more], environment))
    finally:
        sandbox.stop()
    medians = {name: statistics.median(values) for name, values in taken.items()}
    record = {
        "airflow": args.airflow,
        "references": REFERENCES,
        "seconds": {name: round(value, 2) for name, value in medians.items()},
        "status_beyond_floor_s": round(medians["status"] - medians["floor"], 2),
        "status_to_floor": round(medians["status"] / medians["floor"], 2),
        "refs_to_floor": round(medians["refs"] / medians["floor"], 2),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
