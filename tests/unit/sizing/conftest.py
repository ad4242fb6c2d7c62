"""A PostgreSQL and an Airflow 3.x for all that is about what a column holds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import postgres
from tests.unit.sizing import backend
from tests.unit.sizing.backend import Backend


@pytest.fixture(scope="session")
def airflow_and_postgres(tmp_path_factory) -> Iterator[Backend]:
    with postgres.running() as url, backend.running(url, tmp_path_factory.mktemp("airflow")) as found:
        yield found
