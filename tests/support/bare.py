"""What a context's Python has to do before any tool can say a thing there: the floor of a command that only looks."""

from __future__ import annotations

import subprocess
import time

from tests.support.walk import Site

#: Imports the class that Airflow resolves, opens the metadata database, asks the store for one object. Its arguments are the
#: base path and the line.
PROGRAM = """
import os, sys
if sys.argv[2] == "3":
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    import airflow.models.xcom
    from airflow.sdk import ObjectStoragePath
else:
    from airflow.providers_manager import ProvidersManager
    ProvidersManager().initialize_providers_configuration()
    from airflow.models.xcom import XCom
    from airflow.io.path import ObjectStoragePath
import sqlalchemy
from airflow import settings
with settings.engine.connect() as connection:
    connection.execute(sqlalchemy.text("SELECT 1"))
(ObjectStoragePath(sys.argv[1]) / "none").exists()
"""


def seconds(site: Site) -> float:
    """How long that takes in a context of its own."""
    command = [str(site.python), "-c", PROGRAM, site.base_path, site.line]
    started = time.monotonic()
    subprocess.run(command, env=site.sandbox.airflow.environment(), capture_output=True, check=True, timeout=120)
    return time.monotonic() - started
