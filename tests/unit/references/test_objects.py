"""A whole scan on a real SQLite in both forms of the column, against a store that does what no real one here does."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from xcomctl.metadata.tables import tables
from xcomctl.model.phases import Line
from xcomctl.model.refs import DANGLING, RefsQuery
from xcomctl.references import objects
from xcomctl.references.objects import Scan
from xcomctl.store.listing import StoredObject
from xcomctl.store.lookup import ObjectInfo

BASE = "s3://store@bucket/xcom"
NAMES = tuple(f"dag/run/task/{number}1234567-89ab-cdef-0123-456789abcdef" for number in range(4))


class Listed:
    """Lists these keys as they come, and has each of them."""

    keys: tuple[str, ...] = ()
    requests = 1

    def __init__(self, base_path: str, under: str = "") -> None:
        assert (base_path, under) == (BASE, "")

    def __iter__(self) -> Iterator[StoredObject]:
        return iter([StoredObject(f"{BASE}/{key}", 1, None) for key in self.keys])

    def info(self, key: str) -> ObjectInfo | None:
        return ObjectInfo(1, None) if key in self.keys else None


@pytest.fixture(params=list(Line))
def scan(request, monkeypatch):
    found = tables(request.param)
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    found.xcom.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(found.dag_run.insert(), [{"id": 1, "dag_id": "dag", "run_id": "run", "state": "success"}])
        for name in NAMES:
            value = f"{BASE}/{name}"
            stored = json.dumps(value).encode() if request.param is Line.AF2 else value
            row = {"dag_run_id": 1, "task_id": "task", "map_index": -1, "key": name, "dag_id": "dag", "run_id": "run"}
            connection.execute(found.xcom.insert(), [{**row, "value": stored}])

    @contextlib.contextmanager
    def connection() -> Iterator[sa.Connection]:
        with engine.connect() as each:
            yield each

    def scanned(*keys: str) -> tuple[set[str], Scan]:
        """The keys that are told to be dangling on the way, and the scan once it is over."""
        monkeypatch.setattr(Listed, "keys", keys)
        monkeypatch.setattr(objects, "Listing", Listed)
        monkeypatch.setattr(objects, "Lookup", Listed)
        whole = Scan(RefsQuery(only=(DANGLING,)), BASE, connection, [found])
        return {item.uri[len(BASE) + 1 :] for item in whole.items()}, whole

    yield scanned
    engine.dispose()


def test_what_is_missing_dangles(scan):
    told, whole = scan(*NAMES[1:])
    assert told == {NAMES[0]}
    assert (whole.totals.dangling, whole.totals.unasked, whole.totals.store_error) == (1, 0, "")


def test_a_store_that_lists_out_of_order_leaves_nothing_that_is_said_to_dangle(scan):
    """The first ones have gone by as missing when it shows that their objects come later."""
    told, whole = scan(NAMES[2], NAMES[0], NAMES[1], NAMES[3])
    assert told == {NAMES[0], NAMES[1]}
    assert (whole.totals.dangling, whole.totals.unasked) == (0, 2)
    assert "does not list its keys in order" in whole.totals.store_error
