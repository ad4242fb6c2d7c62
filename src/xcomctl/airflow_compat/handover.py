"""What the child of a task needs from it: on 3.x a task's process is cut off from the metadata database."""

from __future__ import annotations

import json
from typing import Optional

from xcomctl.airflow_compat import connections, loading
from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model.phases import Line

#: What Airflow 3 puts in the place of the database's URL for its tasks keeps a child from importing Airflow at all: no
#: SQLAlchemy parses it. This one is parsed, and nothing is ever opened there.
_NO_DATABASE = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////dev/null"}


def variables(conn_id: Optional[str]) -> dict[str, str]:
    """The environment variables with which a task's child imports Airflow and resolves the task's connection.

    A task of 3.x asks its supervisor for connections, over a descriptor that a child does not have; one that does not
    resolve is not handed over. A child of a task of 2.x needs nothing.
    """
    if loading.line() is Line.AF2:
        return {}
    try:
        found = connections.require_connection(conn_id)
    except AirflowUnusable:
        found = None  # for the connection's own check to tell
    if conn_id is None or found is None:
        return _NO_DATABASE
    fields = ("conn_type", "host", "login", "password", "port", "schema", "extra")
    record = {name: getattr(found, name, None) for name in fields}
    given = json.dumps({name: value for name, value in record.items() if value is not None})
    return {**_NO_DATABASE, connections.variable(conn_id): given}
