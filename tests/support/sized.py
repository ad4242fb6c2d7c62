"""Values pushed by Airflow's own classes: what the backend decides at each threshold, and the row that BaseXCom writes.

    python sized.py    by the Python that has Airflow, in a context that offloads: values on its input, and what came of each

Run as a program it imports nothing of ours but what it is about.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Pushed:
    """One value: the bytes that the backend compared, and for each threshold whether the value went into the store."""

    size: int
    offloaded: Mapping[int, bool]


def pushed(python: Path, environment: Mapping[str, str], values: Mapping[str, str], run_id: str) -> dict[str, Pushed]:
    """Push values (Python expressions) as the XCom of a run of a DAG each, by BaseXCom; and by the backend at thresholds
    of one byte less than its size, just that, and one more. By the names of the DAGs."""
    done = subprocess.run(
        [str(python), __file__],
        input=json.dumps({"values": dict(values), "run_id": run_id}),
        env={**environment, "PYTHONPATH": str(_SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return {
        name: Pushed(each["size"], {int(threshold): went for threshold, went in each["offloaded"].items()})
        for name, each in found.items()
    }


def _push(values: Mapping[str, str], run_id: str) -> dict[str, Any]:
    import collections
    import datetime
    import decimal

    import sqlalchemy as sa

    from xcomctl.airflow_compat import configuration, database, loading, xcom_class
    from xcomctl.metadata.tables import tables

    loading.airflow()
    xcom_class.resolved_class()
    from airflow.utils.json import XComEncoder

    names = {"collections": collections, "datetime": datetime, "decimal": decimal,
             "Point": collections.namedtuple("Point", "x y")}  # fmt: skip
    base_path = str(configuration.resolve_settings()["path"].value)
    schema = tables(loading.line(), database.schema())
    found: dict[str, Any] = {}
    with database.engine().begin() as connection:
        for dag_id, expression in values.items():
            value = eval(expression, dict(names))
            size = len(json.dumps(value, cls=XComEncoder).encode())
            owner: dict[str, Any] = {"key": "return_value", "dag_id": dag_id, "run_id": run_id, "task_id": "task"}
            offloaded = {}
            for threshold in (size - 1, size, size + 1):
                with xcom_class.threshold_of(threshold):
                    stored = xcom_class.serialize(value, **owner)
                text = json.loads(stored) if isinstance(stored, bytes) else stored
                went = isinstance(text, str) and text.startswith(f"{base_path}/{dag_id}/")
                offloaded[threshold] = went
                if went:
                    xcom_class.purge(text)
            run = schema.dag_run
            number = connection.execute(
                sa.select(run.c.id).where(run.c.dag_id == dag_id, run.c.run_id == run_id)
            ).scalar_one()
            row = xcom_class.serialize(value, by=xcom_class.base_class(), **owner)
            now = datetime.datetime.now(datetime.UTC)
            connection.execute(
                schema.xcom.insert().values(dag_run_id=number, map_index=-1, value=row, timestamp=now, **owner)
            )
            found[dag_id] = {"size": size, "offloaded": offloaded}
    return found


if __name__ == "__main__":
    given = json.loads(sys.stdin.read())
    answers = os.dup(1)
    os.dup2(2, 1)  # Airflow may say something
    print_to = os.fdopen(answers, "w")
    print(json.dumps(_push(given["values"], given["run_id"])), file=print_to, flush=True)
