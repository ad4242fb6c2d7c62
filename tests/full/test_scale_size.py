"""Ten million XComs in PostgreSQL: ``xcomctl size`` beside one plain aggregate that reads the same column.

Most values have less than 1 kB, one in 170 up to several MB. The figures are checked against the database's own
``percentile_disc``; memory is compared with that of a tenth of the rows.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.bulk import Bulk
from tests.support.commands import typed
from tests.support.resumable import ROOT, once
from tests.support.walk import answer
from tests.support.watched import Watched, watched
from xcomctl.model.phases import Phase
from xcomctl.model.size import SizeAnswer
from xcomctl.model.size_bounds import QUANTILES

BUDGET_S = 1500
#: Small rows of one run, runs of a tenth of the table, and large values for each of them.
ROWS_OF_RUN, RUNS, LARGE = 100, 9_940, 6_000
ROWS = RUNS * ROWS_OF_RUN + LARGE
TENTHS = 10
ROUNDS = 3
#: What an agent may have in memory, Airflow included, and what ten times the rows may cost.
MEMORY_BYTES, SLOPE_BYTES = 200_000_000, 40_000_000
DAGS = 400

#: Small values, to be taken in turn: the sizes of six in ten are alike, the others are log-normal.
POOL = """
CREATE TABLE pool AS SELECT i, jsonb_build_object('id', i, 'status', 'success', 'rows', i::bigint * 7919 % 100003,
 'table', 'warehouse.fact_' || i % 300, 'note',
 left((SELECT string_agg(md5(i || ' ' || p), '') FROM generate_series(1, 1 + len / 32) p), len)) AS v
FROM (SELECT i, CASE WHEN i % 10 < 6 THEN i % 80 ELSE
 least(3500, exp(3.5 + 1.2 * sqrt(-2 * ln((i::bigint * 48271 % 65521 + 1) / 65522.0)) * cos(i * 0.7)))::int END AS len
 FROM generate_series(0, 49999) i) x;
CREATE UNIQUE INDEX ON pool (i); ANALYZE pool
"""


class Scale:
    """What is put into a sandbox's database."""

    def __init__(self, bulk: Bulk) -> None:
        self.bulk = bulk
        bulk.sql(POOL)
        # Without them rows go in four times as fast; they are made again before anything is measured.
        self._indexes = [row[0] for row in bulk.sql(_SECONDARY)]
        bulk.sql("; ".join(f"DROP INDEX {name}" for (name,) in bulk.sql(_SECONDARY_NAMES)) or "SELECT 1")

    def add(self, tenth: int) -> None:
        """So many more rows: each a row of a task that nobody knows, as foreign keys are not looked at here."""
        value, as_column = "p.v", ("convert_to({}::text, 'UTF8')" if self.bulk.line == "2" else "{}")
        first, last = tenth * RUNS, (tenth + 1) * RUNS - 1
        columns = "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
        when = f"now() - (({TENTHS * RUNS} - r) * interval '80 seconds')"
        text = "(SELECT string_agg(md5(n || ' ' || p), '') FROM generate_series(1, parts) p)"
        large = as_column.format(f"jsonb_build_object('n', n, 'text', {text})")
        parts = "exp(5.2 + 1.6 * abs(sqrt(-2 * ln((n::bigint * 48271 % 65521 + 1) / 65522.0)) * cos(n * 0.7)))::int"
        self.bulk.sql(
            "SET session_replication_role = replica; "
            f"{columns} SELECT r, 'task_' || k % 25, k, CASE k % 2 WHEN 0 THEN 'return_value' ELSE 'key_' || k % 25 END, "
            f"'team_' || r % 20 || '_dag_' || r % {DAGS}, 'scheduled__2026-01-01T00:00:00+00:00_' || r, "
            f"{as_column.format(value)}, {when} FROM generate_series({first}, {last}) r, "
            f"generate_series(0, {ROWS_OF_RUN - 1}) k, "
            "LATERAL (SELECT v FROM pool WHERE i = (r * 7919::bigint + k * 104729) % 50000) p; "
            f"{columns} SELECT {first} + n, 'load_' || n % 7, -1, 'return_value', 'team_0_dag_' || n % 40, 'large_' || n, "
            f"{large}, now() - (n % 800) * interval '1 hour' "
            f"FROM (SELECT n, {parts} AS parts FROM generate_series({tenth * LARGE}, {(tenth + 1) * LARGE - 1}) n) x"
        )

    def ready(self) -> None:
        """Indexes and statistics as they would be."""
        for statement in self._indexes:
            self.bulk.sql(statement.replace("CREATE INDEX ", "CREATE INDEX IF NOT EXISTS ", 1))
        self.bulk.sql("VACUUM ANALYZE xcom")

    def size(self, folder: Path, *arguments: str) -> Watched:
        """``xcomctl size``, as it is typed."""
        command = typed(self.bulk, "size", "-o", "json", *arguments, journal=folder / "journal.jsonl")
        done = watched(command, keep=100_000)
        assert done.code == 0, done.kept
        return done

    @property
    def stored(self) -> str:
        """The size in the column, as SQL."""
        return "octet_length(value)" if self.bulk.line == "2" else "octet_length(value::text)"

    def floor(self) -> float:
        """One plain aggregate over the same column: its seconds."""
        started = time.monotonic()
        answer(self.bulk, f"SELECT count(*), sum({self.stored}) FROM xcom", None)
        return time.monotonic() - started


_SECONDARY = "SELECT indexdef FROM pg_indexes WHERE tablename = 'xcom' AND indexname NOT LIKE '%pkey'"
_SECONDARY_NAMES = _SECONDARY.replace("indexdef", "indexname", 1)


@pytest.mark.parametrize("line", ["3.3", "2.11"])
def test_ten_million_values(line: str, tmp_path: Path, measure: Callable[[str, Any], None]) -> None:
    def run() -> dict[str, Any]:
        with Bulk(ROOT / ".venvs" / f"airflow-{line}", Phase.INLINE) as bulk:
            return measured(Scale(bulk))

    def measured(scale: Scale) -> dict[str, Any]:
        scale.add(0)
        scale.ready()
        tenth = scale.size(tmp_path)
        assert tenth.record["answer"]["values"] == ROWS
        for number in range(1, TENTHS):
            scale.add(number)
        scale.ready()
        rounds = [(scale.floor(), scale.size(tmp_path)) for _ in range(ROUNDS)]
        floor = statistics.median(floor for floor, _ in rounds)
        whole = statistics.median(seen.seconds for _, seen in rounds)
        told = SizeAnswer.from_json(rounds[-1][1].record["answer"])
        in_context = statistics.median(seen.record["answer"]["seconds"] for _, seen in rounds)
        start = statistics.median(seen.seconds - seen.record["answer"]["seconds"] for _, seen in rounds)
        truth = scale.bulk.sql(
            f"SELECT count(*), sum(s), max(s), percentile_disc(ARRAY{list(QUANTILES)}) WITHIN GROUP (ORDER BY s) "
            f"FROM (SELECT {scale.stored} AS s FROM xcom) x"
        )[0]
        assert [told.values, told.bytes, told.largest] == [
            int(each) for each in truth[:3]
        ] and told.values == TENTHS * ROWS
        assert [each.bytes for each in told.quantiles] == [int(each) for each in truth[3].strip("{}").split(",")]
        exact = scale.size(tmp_path, "--threshold", str(told.suggested))
        (effect,) = [each for each in exact.record["answer"]["thresholds"] if each["threshold"] == told.suggested]
        assert effect["exact"]
        sampled = scale.size(tmp_path, "--sample", "5%")
        of_sample = SizeAnswer.from_json(sampled.record["answer"])
        held = [
            each.interval is not None and each.interval.low <= known.bytes <= (each.interval.high or float("inf"))
            for each, known in zip(of_sample.quantiles, told.quantiles, strict=True)
        ]
        peak = max(seen.agent for _, seen in rounds)
        slope = peak - tenth.agent
        assert peak < MEMORY_BYTES and slope < SLOPE_BYTES, (peak, slope)
        return {
            "rows": told.values,
            "bytes": told.bytes,
            "largest": told.largest,
            "table_bytes": told.table_bytes,
            "floor_s": round(floor, 2),
            "seconds": round(whole, 2),
            "ratio_to_floor": round(whole / floor, 2),
            "start_s": round(start, 2),
            "in_context_s": round(in_context, 2),
            "ratio_in_context": round(in_context / floor, 2),
            "statements": told.statements,
            "with_threshold": {
                "threshold": told.suggested,
                "seconds": round(exact.seconds, 2),
                "measured": effect["measured"],
            },
            "sample": {"seconds": round(sampled.seconds, 2), "quantiles_in_interval": sum(held), "of": len(held)},
            "peak_bytes": {"desk": max(seen.desk for _, seen in rounds), "agent": peak, "with_threshold": exact.agent},
            "slope_bytes": slope,
        }

    measure(line, once("scale-size", line, run))
