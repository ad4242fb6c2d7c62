"""Many references whose objects hold what follows from their number: the database itself can tell what is in each row.

Number *n* is the mapped instance *n* modulo 1,000 of run *n* / 1,000, with an object of its own and a timestamp of its own.
Values have some kB; four of each run are large, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.bulk import Bulk, run_id_of

DAG, TASK = "numbered", "task"
#: Rows of one run.
RUN = 1000
#: The largest value has ``32 << LARGE[-1]`` bytes; one for each of the first rows of a run.
LARGE = (13, 14, 15, 16)
_SINCE = "timestamptz '2026-01-01 00:00:00+00'"

#: The objects by their numbers.
_THINGS = f"""
import hashlib, json, uuid
def md5(text):
    return hashlib.md5(text.encode()).hexdigest()
def thing(n):
    run, index = divmod(n, {RUN})
    parts = 1 << {LARGE}[index] if index < {len(LARGE)} else 32 + n % 97
    text = "".join(md5(f"{{n}} {{part}}") for part in range(1, parts + 1))
    key = f"{DAG}/run_{{run:03}}/{TASK}/{{uuid.UUID(md5(f'object {{n}}'))}}"
    return key, json.dumps({{"n": n, "text": text}}).encode()
"""


@dataclass(frozen=True)
class Held:
    """How many rows hold their reference, their whole value, or something other; the timestamp that they had belongs to it."""

    references: int
    values: int
    other: int


class Numbered:
    """Such rows in a database, from number 0 on."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        self.rows = 0
        large = " ".join(f"WHEN {index} THEN {1 << power}" for index, power in enumerate(LARGE))
        parts = f"CASE n % {RUN} {large} ELSE 32 + n % 97 END"
        text = f"(SELECT string_agg(md5(n || ' ' || p), '' ORDER BY p) FROM generate_series(1, {parts}) p)"
        path = f"'{bulk.base_path}/{DAG}/' || {run_id_of(f'n / {RUN}')} || '/{TASK}/' || md5('object ' || n)::uuid"
        if bulk.line == "2":
            self._reference = f"""convert_to('"' || {path} || '"', 'UTF8')"""
            self._value = f"""convert_to('{{"n": ' || n || ', "text": "' || {text} || '"}}', 'UTF8')"""
        else:
            self._reference = f"to_jsonb({path})"
            self._value = f"jsonb_build_object('n', n, 'text', {text})"

    def add(self, count: int) -> None:
        """So many more rows with their objects: a whole number of runs, or the only ones."""
        start, end = self.rows, self.rows + count
        assert start % RUN == 0, start
        self._bulk.put(_THINGS, start, end)
        first, last = start // RUN, (end - 1) // RUN + 1
        self._bulk.add_runs(DAG, first, last, _SINCE)
        self._bulk.add_instances(DAG, TASK, f"n / {RUN}", f"n % {RUN}", start, end)
        self._bulk.sql(
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            f"SELECT d.id, '{TASK}', n % {RUN}, 'return_value', '{DAG}', d.run_id, {self._reference}, {_at('n')} "
            f"FROM generate_series({start}, {end - 1}) n "
            f"JOIN dag_run d ON d.dag_id = '{DAG}' AND d.run_id = {run_id_of(f'n / {RUN}')}"
        )
        self._bulk.sql("ANALYZE xcom; ANALYZE task_instance")
        self.rows = end

    def held(self) -> Held:
        """What they hold, each of them compared as a whole."""
        is_one = f"WHEN value = {self._reference} THEN 0 WHEN value = {self._value} THEN 1"
        kind = f"CASE WHEN timestamp <> {_at('n')} THEN 2 {is_one} ELSE 2 END AS kind"
        found = self._bulk.sql(f"SELECT {kind}, count(*) FROM ({_NUMBERS}) x GROUP BY kind")
        counts = {int(kind): int(count) for kind, count in found}
        assert sum(counts.values()) == self.rows, counts
        return Held(*(counts.get(kind, 0) for kind in range(3)))

    def keys_and_times(self) -> str:
        """A checksum over everything but the values."""
        row = "concat_ws('/', dag_run_id, dag_id, run_id, task_id, map_index, key, extract(epoch FROM timestamp))"
        return self._bulk.sql(f"SELECT md5(string_agg({row}, ',' ORDER BY dag_run_id, map_index)) FROM xcom")[0][0]

    def put_back(self) -> None:
        """References again, as if nothing had been written."""
        references = f"SELECT place, {self._reference} AS reference FROM ({_NUMBERS}) x"
        self._bulk.sql(f"UPDATE xcom SET value = y.reference FROM ({references}) y WHERE xcom.ctid = y.place")
        self._bulk.sql("VACUUM ANALYZE xcom")


#: Every row with its number.
_NUMBERS = (
    f"SELECT ctid AS place, value, timestamp, substr(run_id, 5)::int * {RUN} + map_index AS n "
    f"FROM xcom WHERE dag_id = '{DAG}'"
)


def _at(number: str) -> str:
    """When that one was pushed."""
    return f"{_SINCE} + {number} * interval '1.000001 second'"
