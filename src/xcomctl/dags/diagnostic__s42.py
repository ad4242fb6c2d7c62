"""``diagnostic__s42``: a DAG whose XComs span the offload threshold, for rehearsals and for proving a flip.

It needs nothing but Airflow itself (2.9 and later, 3.0 and later) and touches nothing outside its own XComs.

* ``plan_cells`` returns the list that ``discriminate_cell`` is mapped over (an XCom that drives an expansion).
* ``discriminate_cell`` returns one dict per cell, of exactly the asked size as the object-storage backend measures
  it; beside it, under the key ``pushed``, the type, size and digest of what it pushed.
* ``choose_path`` (a branch) and ``wants_deep_dive`` (a short-circuit) decide from XComs what runs.
* ``hold`` stands between producers and consumers. Give it a pool with 0 slots (``XCOMCTL_HOLD_POOL`` in the
  environment of the DAG processor names the pool) and it stays ``scheduled`` until the pool has a slot.
* ``compare_cells`` compares what it pulls with what was pushed, records that under the key ``observed``, and fails on
  any difference. ``summarise`` does what most code does with a value: it trusts it, and succeeds whatever it got.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from datetime import datetime, timezone

try:
    from airflow.sdk import Param, dag, get_current_context, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models.param import Param
    from airflow.operators.python import get_current_context

HOLD_POOL = os.environ.get("XCOMCTL_HOLD_POOL", "default_pool")

# Serialized sizes in bytes. Most are a few kB, one is near the p99.9 (1.5 MB), one lies just below the threshold of
# 1,600,000 bytes, one exactly on it, one above.
CELL_SIZES = [2_000, 3_000, 5_000, 8_000, 40_000, 1_500_000, 1_599_999, 1_600_000, 2_000_000]


def build_cell(crypto_group: str, index: int, size: int) -> dict:
    """A dict that ``json.dumps`` turns into exactly ``size`` bytes; the same arguments give the same dict.

    Only values that every metadata column returns as they were: no NaN, no float from 1e16 up, no -0.0.
    """
    draw = random.Random(f"{crypto_group}/{index}/{size}")
    cell = {"crypto_group": crypto_group, "cell": index, "scores": [], "converged": True, "note": None, "padding": ""}
    room = size - len(json.dumps(cell))
    if room < 0:
        raise ValueError(f"a cell has at least {len(json.dumps(cell))} bytes, not {size}")
    # A number takes 10 bytes at the most ("0.123456, "). A third of the room is numbers, the rest is padding.
    cell["scores"] = [round(draw.uniform(0.1, 0.9), 6) for _ in range(room // 30)]
    cell["padding"] = "x" * (size - len(json.dumps(cell)))
    return cell


def describe(value: object) -> dict:
    """Type, size and digest of a value; the digest does not depend on the order of keys."""
    canonical = json.dumps(value, sort_keys=True, default=repr).encode()
    return {
        "type": type(value).__name__,
        "bytes": len(json.dumps(value, default=repr)),
        "digest": hashlib.sha256(canonical).hexdigest(),
    }


@dag(
    dag_id="diagnostic__s42",
    schedule=None,
    start_date=datetime(2024, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 0},
    max_active_runs=16,
    tags=["xcomctl", "diagnostic"],
    doc_md=__doc__,
    params={
        "crypto_group": Param("defi_top5", type="string", description="Names the run's data; any text will do."),
        "cell_sizes": Param(
            CELL_SIZES,
            type="array",
            items={"type": "integer", "minimum": 200},
            description="Serialized size of each cell's dict, in bytes.",
        ),
        "deep_dive_from": Param(
            100_000_000, type="integer", description="The short-circuit passes if a cell has this many bytes or more."
        ),
    },
)
def diagnostic__s42():
    """See the top of this file."""

    @task
    def plan_cells() -> list:
        params = get_current_context()["params"]
        return [{"cell": index, "size": size} for index, size in enumerate(params["cell_sizes"])]

    # One XCom per cell: Airflow reads `-> dict` as "and one XCom per key".
    @task(multiple_outputs=False)
    def discriminate_cell(spec: dict) -> dict:
        context = get_current_context()
        cell = build_cell(context["params"]["crypto_group"], spec["cell"], spec["size"])
        context["ti"].xcom_push(key="pushed", value=describe(cell))
        return cell

    @task.branch
    def choose_path(plan: list) -> str:
        if not isinstance(plan, list):
            raise TypeError(f"the plan arrived as {type(plan).__name__}")
        return "many_cells" if len(plan) > 1 else "one_cell"

    @task.short_circuit
    def wants_deep_dive(plan: list) -> bool:
        return any(spec["size"] >= get_current_context()["params"]["deep_dive_from"] for spec in plan)

    @task
    def many_cells() -> None: ...

    @task
    def one_cell() -> None: ...

    @task
    def deep_dive() -> None: ...

    @task(pool=HOLD_POOL)
    def hold() -> None: ...

    @task
    def compare_cells(plan: list) -> None:
        ti = get_current_context()["ti"]
        observed = []
        for spec in plan:
            index = spec["cell"]
            got = ti.xcom_pull(task_ids="discriminate_cell", map_indexes=index)
            pushed = ti.xcom_pull(task_ids="discriminate_cell", map_indexes=index, key="pushed")
            record = {"map_index": index, "pushed": pushed, "got": describe(got)}
            record["equal"] = record["got"] == pushed
            if isinstance(got, str):
                record["received"] = got[:2000]
            observed.append(record)
        ti.xcom_push(key="observed", value=observed)
        different = [record["map_index"] for record in observed if not record["equal"]]
        if different:
            raise ValueError(f"map indexes {different} of discriminate_cell are not what was pushed: {observed}")

    @task
    def summarise(plan: list) -> int:
        ti = get_current_context()["ti"]
        total, observed = 0, []
        for spec in plan:
            got = ti.xcom_pull(task_ids="discriminate_cell", map_indexes=spec["cell"])
            total += len(got)
            record = {"map_index": spec["cell"], "got": {"type": type(got).__name__}, "length": len(got)}
            if isinstance(got, str):
                record["received"] = got[:2000]
            observed.append(record)
        ti.xcom_push(key="observed", value=observed)
        return total

    plan = plan_cells()
    cells = discriminate_cell.expand(spec=plan)
    choose_path(plan) >> [many_cells(), one_cell()]
    wants_deep_dive(plan) >> deep_dive()
    cells >> hold() >> [compare_cells(plan), summarise(plan)]


diagnostic__s42()
