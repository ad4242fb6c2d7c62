"""The corpus of control flow: values with which tasks steer a DAG, and what becomes of each kind when it is stored.

Every one of them is small: what matters is that it comes back as what it was. What the metadata column cannot hold at
all (F37) is here too, since the store can.
"""

from __future__ import annotations

import datetime
import importlib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: No value of the corpus has a JSON form of so many bytes, whatever the base path.
LONGEST_JSON = 2_000


@dataclass(frozen=True)
class Value:
    """One value under an id that never changes.

    ``control_flow``: it is what DAGs branch on or map over, so a difference reaches further than the data. Reading one
    that ``asks_store`` from the database asks the store, so it may be read only where that is allowed. ``objects`` have
    to lie in the store before it is read: content by URI.
    """

    id: str
    value: Any
    control_flow: bool = True
    asks_store: bool = False
    objects: Mapping[str, bytes] = field(default_factory=dict)


def corpus(base_path: str, folder: str) -> tuple[Value, ...]:
    """Every value, made anew. ``folder`` is the name below the base path in which it may have files of its own."""
    return (
        *_plain(), *_texts(), *_paths(base_path.rstrip("/"), folder), *_collections(), *_operators(), *_keys(), *_times(),
    )  # fmt: skip


def _plain() -> tuple[Value, ...]:
    return (
        Value("none", None),
        Value("true", True),
        Value("false", False),
        Value("zero", 0),
        Value("one", 1),
        Value("minus-one", -1),
        Value("date-number", 20260606),
        Value("beyond-double", 2**53 + 1),
        Value("float", 1.5),
        Value("whole-float", 1.0),
        Value("large-float", 1e16),
        Value("minus-zero", -0.0),
        Value("nan", float("nan")),
        Value("infinity", float("inf")),
        Value("minus-infinity", float("-inf")),
    )


def _texts() -> tuple[Value, ...]:
    return (
        Value("empty-text", ""),
        Value("blank-text", " "),
        Value("branch-id", "section.load_defi_top5"),
        Value("sentence", "all 12 cells are green"),
        Value("digits-text", "20260606"),
        Value("padded-digits-text", " 7 "),
        Value("leading-zero-text", "007"),
        Value("decimal-text", "1.5"),
        Value("exponent-text", "1e5"),
        Value("true-text", "true"),
        Value("python-true-text", "True"),
        Value("null-text", "null"),
        Value("python-none-text", "None"),
        Value("nan-text", "NaN"),
        Value("infinity-text", "Infinity"),
        Value("object-text", '{"a": 1}'),
        Value("array-text", "[1]"),
        Value("quoted-text", '"quoted"'),
        Value("broken-object-text", '{"a": '),
        Value("iso-date-text", "2026-06-06"),
        Value("run-id-text", "scheduled__2026-06-06T00:00:00+00:00"),
        Value("umlauts", "Größe übermäßig"),
        Value("emoji", "\U0001f680 done \U0001f469\u200d\U0001f52c"),
        Value("combining", "e\u0301 is not \u00e9"),
        Value("right-to-left", "\u05e9\u05dc\u05d5\u05dd"),
        Value("line-breaks", "one\r\ntwo\n\tthree\u2028four"),
        Value("null-character", "a\x00b"),
        Value("lone-surrogate", "a\ud800b"),
    )


def _paths(base_path: str, folder: str) -> tuple[Value, ...]:
    """Strings in which the backend looks for a URL, and those under the base path, which it takes for its own."""
    own = f"{base_path}/{folder}/own/report.json"
    return (
        Value("https-url", "https://example.org/report.json?day=2026-06-06#top"),
        Value("git-url", "git://example.org/repository"),
        Value("git-prose", "git: fix the build"),
        Value("cache-prose", "filecache: cold"),
        Value("note-prose", "note: 12 rows"),
        Value("windows-path", "C:\\data\\report.csv"),
        Value("posix-path", "/data/report.csv"),
        Value("file-url", "file:///data/report.csv"),
        Value("foreign-s3-url", "s3://elsewhere/report.json"),
        Value("broken-url", "https://[example"),
        Value("base-path", base_path, asks_store=True),
        Value("own-path-missing", f"{base_path}/{folder}/own/missing.json", asks_store=True),
        Value("own-path", own, asks_store=True, objects={own: b'{"made": "by the user"}'}),
    )


def _collections() -> tuple[Value, ...]:
    return (
        Value("branch-ids", ["load_a", "load_b"]),
        Value("followed", {"followed": ["section.load_a", "section.load_b"]}),
        Value("skipped", {"skipped": ["section.load_c"]}),
        Value("mapped-list", [1, 2, 3]),
        Value("mapped-dicts", [{"cell": 1, "name": "a"}, {"cell": 2, "name": None}]),
        Value("mapped-dict", {"a": 1, "b": [True, None, 0.5]}),
        Value("texts-in-list", ["20260606", "true", "null", "git://example.org/repository"]),
        Value("empty-list", []),
        Value("empty-dict", {}),
        Value("empty-tuple", ()),
        Value("list-of-none", [None]),
        Value("tuple", (1, "a", None)),
        Value("tuple-in-list", [(1, 2), (3, 4)]),
        Value("tuple-in-dict", {"pair": (1, 2)}),
        Value("tuple-in-tuple", (1, (2, 3))),
        Value("list-in-tuple", (1, [2, 3])),
        Value("set", {1, 2, 3}),
        Value("set-in-dict", {"seen": {"a", "b"}}),
        Value("frozenset", frozenset({1, 2})),
        Value("nested", {"a": {"b": [{"c": [[], {}]}]}}),
    )


def _operators() -> tuple[Value, ...]:
    """What operators push besides return values, and what tasks hand on about assets and the runs that they trigger."""
    return (
        Value("followed-and-skipped", {"followed": ["section.load_a"], "skipped": ["section.load_b"]}),
        Value("nothing-followed", {"followed": []}),
        Value("mapped-length", 3),
        Value("triggered-run-id", "manual__2026-06-06T12:30:15.250000+00:00"),
        Value("link", "https://example.org/dags/load/grid?dag_run_id=manual__2026-06-06T12%3A30%3A15%2B00%3A00"),
        Value("asset-uri", "s3://elsewhere/asset.parquet"),
        Value(
            "asset-event",
            {"uri": "s3://elsewhere/asset.parquet", "extra": {"rows": 12, "until": "2026-06-06T00:00:00+00:00"}},
        ),
    )


def _keys() -> tuple[Value, ...]:
    """Dicts whose keys are no text: JSON knows no others, and each encoder has its own way with them."""
    return (
        Value("int-keys", {1: "a", -2: "b"}),
        Value("bool-keys", {True: "a", False: "b"}),
        Value("none-key", {None: "a"}),
        Value("float-keys", {1.5: "a", 1e16: "b"}),
        Value("tuple-keys", {(1, 2): "a"}),
        Value("tuple-keys-below", [{"cells": {(1, 2): "a"}}]),
        Value("date-keys", {datetime.date(2026, 6, 6): 1}),
        Value("datetime-keys", {datetime.datetime(2026, 6, 6, 12, tzinfo=datetime.timezone.utc): 1}),
    )


def _times() -> tuple[Value, ...]:
    naive = datetime.datetime(2026, 6, 6, 12, 30, 15, 250_000)  # noqa: DTZ001 — that it has no zone is the point
    # The second 02:30 of that night: the clocks go back at 03:00.
    folded = datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Vienna"), fold=1)
    return (
        Value("naive-datetime", naive),
        Value("utc-datetime", naive.replace(tzinfo=datetime.timezone.utc)),
        Value("offset-datetime", naive.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30)))),
        Value("zone-datetime", naive.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Vienna"))),
        Value("folded-datetime", folded),
        Value("datetime-in-dict", {"until": naive.replace(tzinfo=datetime.timezone.utc)}),
        Value("date", datetime.date(2026, 6, 6)),
        Value("duration", datetime.timedelta(days=-1, seconds=3, microseconds=5)),
        *_airflow_times(),
    )


def _airflow_times() -> tuple[Value, ...]:
    """The class of Airflow's own times (``logical_date``, ``data_interval_end``), which tasks push on."""
    try:
        pendulum = importlib.import_module("pendulum")
    except ImportError:  # no Airflow here
        return ()
    return (
        Value("pendulum-utc", pendulum.datetime(2026, 6, 6, 12, 30, 15, 250_000)),
        Value("pendulum-zone", pendulum.datetime(2026, 6, 6, 12, tz="Europe/Vienna")),
    )
