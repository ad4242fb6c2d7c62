"""identify: which Python, which Airflow, which database."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Optional

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests.common import database_problem
from xcomctl.airflow_compat import database, loading
from xcomctl.metadata import revisions
from xcomctl.metadata.reading import read_only
from xcomctl.model.redaction import redact
from xcomctl.model.requests import Identity


def run(context: RequestContext) -> Identity:
    """Answer the request. A database that does not answer is a warning: everything else is known all the same."""
    line = loading.line()
    warnings = []
    dialect: Optional[str] = None
    revision: Optional[str] = None
    loading.airflow()
    context.check()
    try:
        engine = database.engine()
        dialect = engine.dialect.name
        with read_only(engine) as connection:
            revision = revisions.current(connection, database.schema())
        warning = revisions.warning(revision)
        if warning is not None:
            warnings.append(warning)
    except Exception as error:
        warnings.append(redact(database_problem(error)))
    return Identity(
        python=platform.python_version(),
        executable=sys.executable,
        airflow=loading.version(),
        line=line.value,
        providers=loading.providers(),
        sqlalchemy=metadata.version("sqlalchemy"),
        dialect=dialect,
        schema_revision=revision,
        schema_known=revision in revisions.KNOWN,
        hostname=platform.node(),
        pid=os.getpid(),
        warnings=tuple(warnings),
    )
