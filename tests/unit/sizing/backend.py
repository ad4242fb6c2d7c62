"""What Airflow 3.x makes of values, beside what PostgreSQL makes of that, and what a measurement says of them.

    python backend.py URL    by the Python that has Airflow: one call per line, and one line of what came of it

Nothing is left in the database: what is inserted is rolled back.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.support.lines import ROOT


class Float64(float):
    """``numpy.float64``, which is a float too. numpy is in no environment here."""

    def __repr__(self) -> str:
        return f"Float64({float(self)!r})"


@dataclass(frozen=True)
class Stored:
    """One value: ``text`` is what ``BaseXCom`` stores, as JSON; ``jsonb`` the same out of PostgreSQL's column.

    ``truth`` is what the backend compares, in bytes.
    """

    text: str
    jsonb: str
    truth: int


@dataclass(frozen=True)
class Judged:
    """What a measurement says of a threshold where there is one value. ``size`` is the database's figure."""

    threshold: int
    truth: int
    size: int
    values: int
    bytes: int
    uncertain: int
    measured: int
    exact: bool


class Backend:
    """Airflow 3.x and a PostgreSQL."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def stored(self, values: Sequence[Any]) -> list[Stored]:
        """What is stored of each value."""
        return [Stored(*each) for each in self._call("stored", values)]

    def judged(self, values: Sequence[Any], most: int = 1) -> list[list[Judged]]:
        """What is said of each value at its size, one byte more and less, and at that of the database; ``most`` fetched."""
        return [[Judged(*each) for each in found] for found in self._call("judged", values, most)]

    def _call(self, name: str, values: Sequence[Any], *more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, [repr(each) for each in values], *more]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"bug": "it is gone"}')
        assert "bug" not in answer, answer["bug"]
        return answer["found"]


@contextmanager
def running(url: str, home: Path) -> Iterator[Backend]:
    """One on the database of that URL."""
    python = ROOT / ".venvs" / "airflow-3.3" / "bin" / "python"
    assert python.exists(), "run: make envs"
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    environment = {"PATH": os.defpath, "HOME": str(home), "AIRFLOW_HOME": str(home), "PYTHONPATH": path}
    with (
        (home / "backend.log").open("w") as log,
        subprocess.Popen(
            [str(python), __file__, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**environment, "PYTHONDONTWRITEBYTECODE": "1"}, cwd=home,
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None
        try:
            yield Backend(process)
        finally:
            process.stdin.close()


class _Served:
    """The far side."""

    def __init__(self, url: str) -> None:
        import sqlalchemy as sa
        from airflow.sdk import serde

        from xcomctl.metadata.tables import tables
        from xcomctl.model.phases import Line

        # What the serializer of numpy.float64 gives.
        serde._serializers["numpy.float64"] = SimpleNamespace(  # type: ignore[assignment]
            serialize=lambda value: (float(value), "numpy.float64", 1, True)
        )
        Float64.__module__, Float64.__qualname__ = "numpy", "float64"
        self._engine = sa.create_engine(url)
        self._tables = tables(Line.AF3)
        self._tables.xcom.metadata.drop_all(self._engine)
        self._tables.xcom.metadata.create_all(self._engine)

    def stored(self, values: list[Any]) -> list[tuple[str, str, int]]:
        with self._engine.connect() as connection:
            return self._fill(connection, values)

    def _fill(self, connection: Any, values: list[Any]) -> list[tuple[str, str, int]]:
        """In a transaction that nobody ends well: the table is empty afterwards."""
        import sqlalchemy as sa
        from airflow.sdk.serde import serialize
        from airflow.utils.json import XComEncoder

        texts = [json.dumps(serialize(value)) for value in values]
        truths = [len(json.dumps(value, cls=XComEncoder).encode()) for value in values]
        insert = sa.text(
            "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp) "
            "SELECT n, 'd' || n, 'r', 't', -1, 'k', CAST(given AS jsonb), now() "
            "FROM unnest(CAST(:texts AS text[])) WITH ORDINALITY AS each(given, n)"
        )
        connection.execute(insert, {"texts": texts})
        rows = connection.execute(sa.text("SELECT CAST(value AS text) FROM xcom ORDER BY dag_run_id"))
        return list(zip(texts, (row[0] for row in rows), truths, strict=True))

    def judged(self, values: list[Any], most: int) -> list[list[tuple[Any, ...]]]:
        from xcomctl.model.size import SizeQuery
        from xcomctl.sizing import doubt, measure, suggest
        from xcomctl.sizing.answer import Summary

        doubt.MEASURED_AT_MOST = most
        found: list[list[tuple[Any, ...]]] = []
        with self._engine.connect() as connection:
            for number, (_, jsonb, truth) in enumerate(self._fill(connection, values), 1):
                size = len(jsonb.encode())
                thresholds = tuple(each for each in sorted({truth - 1, truth, truth + 1, size, size + 1}) if each > 0)
                now = datetime.datetime.now(datetime.UTC)
                query = SizeQuery(dag_id=f"d{number}")
                measuring = measure.Measuring(connection, self._tables, query, now, None, lambda _: None)
                summary = Summary(measuring.inline(), suggest.floor_of(0), False)
                found.append([])
                # One by one, since what is looked at depends on the lowest; and all of them.
                for asked in (*((each,) for each in thresholds), thresholds):
                    summary.found.near = measuring.doubt.near(asked)
                    found[-1].extend(
                        (each.threshold, truth, size, each.values, each.bytes, each.uncertain, each.measured, each.exact)
                        for each in summary.fields(0.5, asked, None)["thresholds"]
                    )  # fmt: skip
        return found


def _serve(url: str) -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # Airflow may say something
    served = _Served(url)
    for line in sys.stdin:
        name, values, *more = json.loads(line)
        try:
            answer: dict[str, Any] = {"found": getattr(served, name)([eval(each) for each in values], *more)}
        except Exception as error:
            answer = {"bug": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
