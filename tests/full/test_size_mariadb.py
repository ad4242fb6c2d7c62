"""A MariaDB for metadata: sizes are counted there as everywhere. Run with ``make test-full PART=size-mariadb``."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.full.test_rehydrate_mariadb import DIALECTS, server, tables
from tests.support.rehydrating import TASK
from xcomctl.metadata.disk import on_disk
from xcomctl.metadata.reading import limit_statements, read_only
from xcomctl.metadata.tables import Tables
from xcomctl.model.phases import Line
from xcomctl.model.size import SizeQuery
from xcomctl.sizing import measure as measuring_module
from xcomctl.sizing.answer import Summary
from xcomctl.sizing.measure import Measuring

__all__ = ["server", "tables"]
BUDGET_S = 120
ROWS = 1_000


def filled(url: str, tables: Tables, dialect: str, values: list[Any]) -> sa.Engine:
    """An engine over a table with these values, one hour apart."""
    engine = sa.create_engine(f"{dialect}+pymysql:{url}")
    now = datetime.now(UTC)
    rows = [
        {
            "dag_run_id": 1, "task_id": TASK, "map_index": number, "key": f"key_{number % 5}", "dag_id": "dag",
            "run_id": "run", "timestamp": (now - timedelta(hours=number)).replace(tzinfo=None),
            "value": json.dumps(value).encode() if tables.line is Line.AF2 else value,
        }
        for number, value in enumerate(values)
    ]  # fmt: skip
    with engine.begin() as connection:
        connection.execute(tables.xcom.insert(), rows)
    return engine


def measured(engine: sa.Engine, tables: Tables, query: SizeQuery) -> dict[str, Any]:
    with read_only(engine, snapshot=True) as connection:
        limit_statements(connection, 60)
        measuring = Measuring(connection, tables, query, datetime.now(UTC), "s3://b/xcom", lambda _: None)
        found = measuring.inline()
        floor = measuring.floor()
        found.near = measuring.doubt.near(query.thresholds)
        found.accuracy = measuring.doubt.accuracy(found.sizes, found.share)
        disk = on_disk(connection, tables)
    assert disk.table and disk.database and disk.table <= disk.database
    return Summary(found, floor, tables.line is Line.AF2).fields(query.quantile, query.thresholds, None)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_sizes_windows_places_and_what_is_no_value(server: str, tables: Tables, dialect: str) -> None:
    text = [*("x" * (number - 1) for number in range(1, ROWS)), "s3://b/xcom/dag/run/task/x"]
    engine = filled(server, tables, dialect, text)
    told = measured(engine, tables, SizeQuery(thresholds=(501, 1_000)))
    assert (told["values"], told["smallest"], told["largest"]) == (ROWS - 1, 2, ROWS)
    assert [each.bytes for each in told["quantiles"]] == [501, 901, 951, 991, 1_000, 1_000]
    assert [each.values for each in told["thresholds"]] == [500, 1]
    assert [each.values for each in told["windows"]] == [24, 168, 720]
    assert sum(each.values for each in told["top_bytes"]) == ROWS - 1
    assert [effect.exact for effect in told["thresholds"]] == [True, True]
    sample = measured(engine, tables, SizeQuery(sample=0.999))
    assert sample["values"] in (0, round((ROWS - 1) / 0.999))  # one run: all of it, or nothing
    engine.dispose()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_large_table_has_its_small_values_from_a_sample(
    server: str, tables: Tables, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring_module, "MOST_GROUPS", 100)
    engine = filled(server, tables, dialect, ["x" * (200 if number % 10 else 20_000) for number in range(ROWS)])
    told = measured(engine, tables, SizeQuery(quantile=0.8))
    assert (told["values"], told["largest"]) == (ROWS, 20_002)
    assert sum(place.above for place in told["top_above"]) == ROWS // 10
    engine.dispose()


@pytest.mark.parametrize("tables", [Line.AF3], indirect=True)  # 2.x has no doubt
def test_near_a_threshold_tuples_are_measured(server: str, tables: Tables, measure: Callable[[str, Any], None]) -> None:
    pair = {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [1, 2]}
    size = len(json.dumps([[1, 2]] * 200))
    engine = filled(server, tables, "mysql", [[pair] * 200])
    told = measured(engine, tables, SizeQuery(thresholds=(size - 1, size, size + 1)))
    assert [(each.values, each.uncertain) for each in told["thresholds"]] == [(1, 0), (1, 0), (0, 0)]
    measure("dialects", list(DIALECTS))
    engine.dispose()
