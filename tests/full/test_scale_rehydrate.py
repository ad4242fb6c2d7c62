"""A hundred thousand references with an object each, back into the database: how fast, and in memory that stays the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.bulk import Bulk
from tests.support.commands import typed
from tests.support.numbered import Held, Numbered
from tests.support.resumable import ROOT, once
from tests.support.watched import Watched, watched
from xcomctl.model.phases import Phase

BUDGET_S = 1500
#: What a call that writes more rows may take more, in bytes, of either process; the large values among them are no larger.
#: The first call has rows enough that the allocator has what it takes for these in parallel.
SLOPE_BYTES = 40_000_000


@dataclass(frozen=True)
class Case:
    """So many rows are written by each call, one after the other, beside those that were written before."""

    line: str
    rows: tuple[int, ...]


CASES = {
    "3.3": Case("3.3", (10_000, 90_000)),
    "2.11": Case("2.11", (5_000, 15_000)),
}


def rehydrated(numbered: Numbered, bulk: Bulk, rows: int, journal: Path) -> tuple[Watched, dict[str, Any]]:
    """Put so many more rows and their objects, and call it; its figures."""
    started = time.monotonic()
    numbered.add(rows)
    put_s = time.monotonic() - started
    before = numbered.rows - rows
    untouched = numbered.keys_and_times()
    seen = watched(typed(bulk, "rehydrate", "-y", "-o", "json", journal=journal), keep=1000)
    record = seen.record
    answer = record["answer"]
    assert (seen.code, record["verdict"], answer["left"], answer["gone"]) == (0, "ok", {}, 0), record
    assert (answer["references"], answer["rows"], record["left_in_all"]["references"]) == (rows, rows, 0)
    assert answer["requests"] == rows  # each object is asked for once: less than that is not possible
    assert numbered.held() == Held(references=0, values=before + rows, other=0)
    assert numbered.keys_and_times() == untouched
    return seen, {
        "rows": rows,
        "bytes": answer["bytes"],
        "largest_bytes": answer["largest_bytes"],
        "seconds": round(seen.seconds, 1),
        "writing_s": record["seconds"],
        "agent_cpu_s": round(seen.agent_cpu_s, 1),
        "rows_per_s": round(rows / record["seconds"]),
        "bytes_per_s": round(answer["bytes"] / record["seconds"]),
        "requests_per_row": answer["requests"] / rows,
        "peak_bytes": {"desk": seen.desk, "agent": seen.agent},
        "put_objects_s": round(put_s, 1),
    }


@pytest.mark.parametrize("name", CASES)
def test_many_references_back_into_the_database(name: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    case = CASES[name]

    def run() -> dict[str, Any]:
        with Bulk(ROOT / ".venvs" / f"airflow-{case.line}", Phase.DUAL_READ) as bulk:
            numbered = Numbered(bulk)
            calls = [rehydrated(numbered, bulk, rows, tmp_path / f"{rows}.jsonl") for rows in case.rows]
        least, most = calls[0][0], calls[-1][0]
        slopes = {"desk": most.desk - least.desk, "agent": most.agent - least.agent}
        assert max(slopes.values()) < SLOPE_BYTES, slopes
        return {"calls": [figures for _, figures in calls], "slope_bytes": slopes}

    measure(name, once("scale-rehydrate", name, run))
