"""A PostgreSQL of a test's own, for code that needs a real one and no Airflow. It is there in about two seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xcomctl.rehearsal.sandbox import postgres
from xcomctl.rehearsal.sandbox.ports import free_ports
from xcomctl.rehearsal.sandbox.processes import Family


@contextmanager
def running() -> Iterator[str]:
    """The SQLAlchemy URL of an empty database, for the driver that Airflow's environments have."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o711)  # PostgreSQL may run as another user
        family = Family(folder)
        try:
            server = postgres.start(family, folder / "postgres", free_ports(["postgres"])["postgres"])
            yield server.url.replace("postgresql:", "postgresql+psycopg2:")
        finally:
            family.stop()
