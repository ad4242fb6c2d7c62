"""Pauses and unpauses DAGs as Airflow itself does it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xcomctl.airflow_compat import loading, xcom_class


def states() -> dict[str, bool]:
    """Whether each active DAG is paused, by id; one whose file is gone is none of them."""
    model, create_session, select = _tools()
    with create_session() as session:
        return {found.dag_id: bool(found.is_paused) for found in session.scalars(select(model)) if _is_there(found)}


def set_paused(dag_ids: Iterable[str], paused: bool) -> list[str]:
    """Pause these DAGs, or unpause them; those that are not there (any more), of which nothing was changed."""
    model, create_session, _ = _tools()
    missing = []
    for dag_id in dag_ids:
        with create_session() as session:
            found = session.get(model, dag_id)
            if found is None or not _is_there(found):
                missing.append(dag_id)
            elif hasattr(found, "set_is_paused"):  # 2.x; what is a DAG of its own is asked for by its own name
                found.set_is_paused(is_paused=paused, including_subdags=False, session=session)
            else:  # 3.x: as `airflow dags pause` does it
                found.is_paused = paused
    return missing


def backfills() -> list[str]:
    """The DAGs of which a 2.x ``airflow dags backfill`` is under way."""
    xcom_class.resolved_class()
    job = loading.module("airflow.jobs.job").Job
    create_session = loading.module("airflow.utils.session").create_session
    select = loading.module("sqlalchemy").select
    with create_session() as session:
        rows = session.scalars(select(job).where(job.job_type == "BackfillJob", job.state == "running"))
        return sorted({str(row.dag_id) for row in rows if row.is_alive()})


def _tools() -> tuple[Any, Any, Any]:
    xcom_class.resolved_class()  # the models import it: without it there is one clear sentence
    return (
        loading.module("airflow.models").DagModel,
        loading.module("airflow.utils.session").create_session,
        loading.module("sqlalchemy").select,
    )


def _is_there(found: Any) -> bool:
    return bool(getattr(found, "is_active", True)) and not getattr(found, "is_stale", False)
