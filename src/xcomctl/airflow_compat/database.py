"""The metadata database as Airflow has configured it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from xcomctl.airflow_compat import configuration, loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model import requests

#: What to do in a context without one.
ASK_ELSEWHERE = "ask in a scheduler's context, which has one"


def engine() -> Any:
    """Airflow's own SQLAlchemy engine.

    Raises :class:`AirflowUnusable` (``no-database``) where the context has no database: 3.x workers have none, and
    Airflow's default when nothing is set is a SQLite file, which asking would create.
    """
    settings = loading.module("airflow.settings")
    if settings.engine is None:
        settings.configure_vars()
        settings.configure_orm()
    if settings.engine is None:
        raise AirflowUnusable("this context has no metadata database", ASK_ELSEWHERE, requests.NO_DATABASE)
    url = settings.engine.url
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        raise AirflowUnusable(
            f"this context has no metadata database: Airflow's default, {url.database}, does not exist",
            ASK_ELSEWHERE,
            requests.NO_DATABASE,
        )
    return settings.engine


def schema() -> Optional[str]:
    """The database schema in which Airflow's tables live, ``None`` for the connection's default."""
    return configuration.option("database", "sql_alchemy_schema") or None
