"""The metadata database as Airflow has configured it."""

from __future__ import annotations

from typing import Any, Optional

from xcomctl.airflow_compat import configuration, loading
from xcomctl.airflow_compat.errors import AirflowUnusable


def engine() -> Any:
    """Airflow's own SQLAlchemy engine. Raises :class:`AirflowUnusable` where the context has no database."""
    settings = loading.module("airflow.settings")
    if settings.engine is None:
        settings.configure_vars()
        settings.configure_orm()
    if settings.engine is None:
        raise AirflowUnusable(
            "this context has no metadata database", "ask a scheduler's context: 3.x workers have none"
        )
    return settings.engine


def schema() -> Optional[str]:
    """The database schema in which Airflow's tables live, ``None`` for the connection's default."""
    return configuration.option("database", "sql_alchemy_schema") or None
