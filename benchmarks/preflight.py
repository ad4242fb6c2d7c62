"""What a pre-flight costs, against its floor in the same run: importing Airflow's XCom class, and the store's round trips.

The floor is a bare Python of the same context that imports the class which Airflow resolves and does by hand what the
checks do at the store: bucket, put, head, get, list, delete; one value above the threshold, and as many small ones as the
round trip has, written, read and purged through the class. Two pre-flights are measured: one whose settings resolve
already (``resolved``), and one where they are only planned, so that a child with other settings imports Airflow once
more (``planned``). Each has to pass. Figures, no assertion.
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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from xcomctl.model.phases import Phase
from xcomctl.model.settings import SETTINGS, settings_for
from xcomctl.model.settings import THRESHOLD as THRESHOLD_SETTING
from xcomctl.rehearsal import environments
from xcomctl.rehearsal.sandbox.deployment import Sandbox, Waiting

ROOT = Path(__file__).parents[1]
THRESHOLD = 20_000

FLOOR = f"""
import os, sys, uuid
if sys.argv[2] == "3":
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    import airflow.models.xcom
    from airflow.sdk.execution_time.xcom import XCom
    from airflow.sdk import ObjectStoragePath
else:
    from airflow.providers_manager import ProvidersManager
    ProvidersManager().initialize_providers_configuration()
    from airflow.models.xcom import XCom
    from airflow.io.path import ObjectStoragePath
from types import SimpleNamespace
base = ObjectStoragePath(sys.argv[1])
bucket = base.path.lstrip("/").partition("/")[0]
base.fs.info(bucket)
canary = base / "benchmark" / str(uuid.uuid4())
canary.write_bytes(b"canary")
canary.fs.invalidate_cache()
canary.stat()
assert canary.read_bytes() == b"canary"
list(canary.parent.iterdir())
canary.unlink()
for value in ["x" * {THRESHOLD}, *range(int(sys.argv[3]))]:  # the threshold is 0 here
    stored = XCom.serialize_value(value, key="k", task_id="t", dag_id="benchmark", run_id="r")
    row = SimpleNamespace(value=stored)
    assert XCom.deserialize_value(row) == value
    XCom.purge(SimpleNamespace(value=XCom.__mro__[1].deserialize_value(row)), None)
"""


class _Steps:
    @contextlib.contextmanager
    def step(self, id: str, title: str) -> Iterator[Waiting]:
        print(f"  {title}", file=sys.stderr)
        yield self

    def waiting(self, what: str) -> None:
        """Nobody watches."""


def run(command: list[str], environment: Mapping[str, str]) -> tuple[float, str]:
    """How long one run of a command takes, and what it printed. Ends the benchmark when it fails."""
    started = time.perf_counter()
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - started, done.stdout


def main() -> None:
    """Start a sandbox, run the three in turn, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--airflow", default="3.3", help="Airflow line (default: 3.3)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: 5)")
    args = parser.parse_args()
    environment = environments.existing(ROOT / ".venvs" / f"airflow-{args.airflow}", store="s3")
    sandbox = Sandbox.create(environment)
    try:
        sandbox.start({}, {}, _Steps())
        assert sandbox.store is not None
        path = sandbox.store.path
        settings = settings_for(Phase.OFFLOAD, path, THRESHOLD)
        names = {setting.env for setting in SETTINGS}
        bare = {name: value for name, value in sandbox.airflow.environment().items() if name not in names}
        resolved = {**bare, **settings}
        with tempfile.TemporaryDirectory() as folder:
            asked = [
                sys.executable, "-m", "xcomctl", "preflight", "--python", str(environment.python), "--functional-s3",
                "--expect-path", path, "--expect-threshold", str(THRESHOLD), "--skip", "config_running", "-o", "json",
                "--journal", str(Path(folder, "journal.jsonl")),
            ]  # fmt: skip
            # Also warms byte code and file cache.
            checks = {check["id"]: check for check in json.loads(run(asked, resolved)[1])["checks"]}
            values = str(checks["round_trip_offload"]["data"]["values"])
            floor = [str(environment.python), "-c", FLOOR, path, str(sandbox.airflow.major), values]
            measure: dict[str, Callable[[], float]] = {
                "floor": lambda: run(floor, {**resolved, THRESHOLD_SETTING.env: "0"})[0],
                "resolved": lambda: run(asked, resolved)[0],
                "planned": lambda: run([*asked, "--planned"], bare)[0],
            }
            for one in measure.values():
                one()
            rounds = [{name: one() for name, one in measure.items()} for _ in range(args.runs)]
    finally:
        sandbox.stop()
    medians = {name: statistics.median(each[name] for each in rounds) for name in measure}
    print(f"Airflow {environment.airflow}, medians of {args.runs}")
    for name, median in medians.items():
        print(f"{name:9} {median:6.2f} s   ratio {median / medians['floor']:5.2f}")


if __name__ == "__main__":
    main()
