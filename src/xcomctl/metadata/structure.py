"""Which tasks lie upstream of which, from the serialised DAG in the metadata database. Nothing of Airflow is imported."""

from __future__ import annotations

import json
import zlib
from typing import Any, Optional

from xcomctl.metadata.tables import Tables
from xcomctl.model.upstream import Upstream, transitive


def upstream_of(connection: Any, tables: Tables, dag_id: str) -> Optional[Upstream]:
    """The tasks upstream of each task of a DAG, however far; ``None`` when the DAG is not serialised, or not in a
    known way.

    Of several versions of a DAG (3.x) the latest one.
    """
    row = connection.execute(serialized_select(tables, dag_id)).first()
    if row is None:
        return None
    if row.data is not None or row.data_compressed is None:
        return upstream_in(row.data)
    try:
        return upstream_in(json.loads(zlib.decompress(bytes(row.data_compressed))))
    except (zlib.error, ValueError):
        return None


def serialized_select(tables: Tables, dag_id: str) -> Any:
    """The latest version of a DAG, as JSON or compressed."""
    import sqlalchemy as sa

    serialized = sa.table(
        "serialized_dag",
        sa.column("dag_id"),
        sa.column("data", sa.JSON),
        sa.column("data_compressed", sa.LargeBinary),
        sa.column("last_updated"),
        schema=tables.xcom.schema,
    )
    return (
        sa.select(serialized.c.data, serialized.c.data_compressed)
        .where(serialized.c.dag_id == dag_id)
        .order_by(serialized.c.last_updated.desc())
        .limit(1)
    )


def upstream_in(data: Any) -> Optional[Upstream]:
    """The same from a serialised DAG's own JSON; ``None`` for one that is written in a way that is not known."""
    try:
        tasks = [task.get("__var", task) for task in data["dag"]["tasks"]]
        downstream = {task["task_id"]: list(task.get("downstream_task_ids") or ()) for task in tasks}
    except (KeyError, TypeError, AttributeError):
        return None
    return transitive(downstream)
