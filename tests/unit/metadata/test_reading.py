"""Reading from a real SQLite; what only PostgreSQL can show is in the live tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from xcomctl.metadata import reading
from xcomctl.metadata.reading import cancellable, read_only
from xcomctl.metadata.tables import tables
from xcomctl.metadata.xcoms import about_how_many
from xcomctl.model.phases import Line

#: Counts to a number that takes minutes.
ENDLESS = """
WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 3000000000)
SELECT max(n) FROM counter
"""


@pytest.fixture
def engine(tmp_path) -> Iterator[Any]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    yield engine
    engine.dispose()


class NotWanted(BaseException):
    """What the far end of the protocol raises at a safe point is no ``Exception`` either."""


def test_a_statement_that_nobody_waits_for_is_cancelled(engine, monkeypatch) -> None:
    monkeypatch.setattr(reading, "ASK_EVERY_S", 0.01)
    asked: list[float] = []

    def wanted() -> None:
        asked.append(time.monotonic())
        if len(asked) > 3:
            raise NotWanted

    with read_only(engine) as connection:
        with cancellable(connection, wanted):
            for _ in range(2):  # the next one as well, until somebody looks why
                with pytest.raises(sa.exc.OperationalError, match="interrupted"):
                    connection.execute(sa.text(ENDLESS))
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1
    count = len(asked)
    assert count > 3
    time.sleep(0.05)
    assert len(asked) == count, "nobody is asked any more once the scan is over"


def test_a_statement_that_is_wanted_runs_to_its_end(engine, monkeypatch) -> None:
    monkeypatch.setattr(reading, "ASK_EVERY_S", 0.01)
    threads = threading.active_count()
    with read_only(engine) as connection, cancellable(connection, lambda: None):
        assert connection.execute(sa.text(ENDLESS.replace("3000000000", "300000"))).scalar() == 300_000
    assert threading.active_count() == threads


def test_sqlite_has_no_estimate_to_offer(engine) -> None:
    with read_only(engine) as connection:
        assert about_how_many(connection, tables(Line.AF3)) is None
