"""The metadata database as Airflow has configured it."""

from __future__ import annotations

import re
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


def engine_at(url: str) -> Any:
    """An engine for another URL than the configured one, such as a replica's. Nothing is kept open between uses.

    Raises :class:`AirflowUnusable` for a URL that is none, or whose driver is not installed here. The message says
    nothing of the URL, which may hold a password.
    """
    import sqlalchemy
    from sqlalchemy.engine import make_url
    from sqlalchemy.pool import NullPool

    def unusable(why: str) -> AirflowUnusable:
        hint = (
            "name it as Airflow does: postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE, with what is special escaped"
        )
        return AirflowUnusable(f"the given database cannot be opened: {why}", hint)

    try:
        # Heroku's spelling, which Airflow takes too.
        parsed = make_url(re.sub(r"^postgres(?=[:+])", "postgresql", url))
        if "+" not in parsed.drivername:  # the driver that is here, whatever SQLAlchemy's own choice is
            own = loading.module("airflow.configuration").conf.get("database", "sql_alchemy_conn", fallback="")
            scheme = str(own).partition("://")[0]
            if scheme.partition("+")[0] == parsed.drivername and "async" not in scheme:
                parsed = parsed.set(drivername=scheme)
            elif parsed.drivername == "postgresql":
                parsed = parsed.set(drivername="postgresql+psycopg2")
        engine = sqlalchemy.create_engine(parsed, poolclass=NullPool)
    except (sqlalchemy.exc.ArgumentError, ImportError, ValueError) as error:
        raise unusable(
            str(error) if isinstance(error, ImportError) else "it is no URL that SQLAlchemy understands"
        ) from None
    if getattr(engine.dialect, "is_async", False):
        raise unusable(f"{engine.dialect.driver} is a driver for asyncio")
    if engine.dialect.name == "sqlite" and not Path(engine.url.database or "").is_file():
        raise unusable("there is no such file")  # which asking would create
    return engine


def schema() -> Optional[str]:
    """The database schema in which Airflow's tables live, ``None`` for the connection's default."""
    return configuration.option("database", "sql_alchemy_schema") or None
