"""Rows that hold references, and what rehydrates them, in a context's own Airflow: its Python, its database, its store.

    python rehydrating.py    by the Python that has Airflow: one call per line, and one line of what came of it

Values are pushed through the real backend; what is called is the agent's own request.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xcomctl.model.rehydrate import CHANGED, WORDS
from xcomctl.rehydrate.run import DONE, READ, SWAPPED, Rehydration

_SOURCE = Path(__file__).parents[2] / "src"


@dataclass(frozen=True)
class Came:
    """What came of a call: the answer and the rows that were told, or the error."""

    answer: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    #: Of each key that somebody else pushed again meanwhile, when.
    raced: dict[str, str] = field(default_factory=dict)

    def why(self) -> dict[str, list[str]]:
        """The keys of rows, by what was told of them."""
        found: dict[str, list[str]] = {}
        for row in self.rows:
            found.setdefault(row["why"], []).append(row["key"])
        return {why: sorted(keys) for why, keys in found.items()}


@dataclass(frozen=True)
class Held:
    """A row: what its column holds (as text), its timestamp, and what BaseXCom and the backend make of it."""

    stored: str
    timestamp: str
    base: str
    backend: str


class Rehydrating:
    """The near side."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def corpus(self) -> list[str]:
        """The ids of every value of the round-trip corpus."""
        return list(self._call("corpus")["ids"])

    def push(
        self, run_id: str, ids: Sequence[str] = (), *, compression: str = "", values: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Push values of the corpus, or JSON values by key, with a threshold of 0; key → what the backend reads, or empty
        for one that cannot be pushed."""
        return dict(
            self._call("push", run_id=run_id, ids=list(ids), compression=compression, values=dict(values or {}))["read"]
        )

    def run(
        self, *, kill_at: str = "", after: int = 1, race: Mapping[str, tuple[str, str]] | None = None, **query: Any
    ) -> Came:
        """Rehydrate. ``kill_at``: the process kills itself there, at that point's so many-th time; then nothing comes.

        ``race``: key → the point of that row at which somebody else does something with it, and what
        (:meth:`_Served.push_again` and so on). It is waited for, but for where we hold the row ourselves.
        """
        found = self._call("run", query=query, kill_at=kill_at, after=after, race=dict(race or {}))
        return Came(found.get("answer", {}), found.get("rows", []), found.get("error", ""), found.get("raced", {}))

    def held(self, run_id: str) -> dict[str, Held]:
        """The rows of a run, by their keys."""
        return {key: Held(**each) for key, each in self._call("held", run_id=run_id)["rows"].items()}

    def sql(self, statement: str, **values: Any) -> list[list[Any]]:
        """One statement in the metadata database."""
        return list(self._call("sql", statement=statement, values=values)["rows"])

    def begin(self, name: str, **arguments: Any) -> None:
        """Send a call whose answer is fetched with :meth:`finish`."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, arguments]) + "\n")
        self.process.stdin.flush()

    def finish(self) -> dict[str, Any]:
        """The answer of a call that was begun; raises ``EOFError`` where the process is gone."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise EOFError
        answer: dict[str, Any] = json.loads(line)
        assert "bug" not in answer, answer["bug"]
        return answer

    def _call(self, name: str, **arguments: Any) -> dict[str, Any]:
        self.begin(name, **arguments)
        return self.finish()


@contextlib.contextmanager
def rehydrating(python: Path, environment: Mapping[str, str], log: Path, *more: Path) -> Iterator[Rehydrating]:
    """A context with this environment, in which the object-storage backend resolves; ``more`` folders of modules."""
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [str(python), __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**environment, "PYTHONPATH": os.pathsep.join(map(str, (_SOURCE, *more)))},
        ) as process,
    ):  # fmt: skip
        assert process.stdin is not None
        try:
            yield Rehydrating(process)
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


TASK = "pushed"


# --- what holds whatever the database --------------------------------------------------------------------------------


def assert_back(read: Mapping[str, str], before: Mapping[str, Held], came: Came, after: Mapping[str, Held]) -> None:
    """What was read from the store is what is read now, but for what is reported; and nothing but values has changed."""
    assert came.error == ""
    told = came.why()
    for key, held in before.items():
        assert after[key].timestamp == held.timestamp, key
        reasons = {why for why, keys in told.items() if key in keys}
        if reasons & set(WORDS):
            assert after[key] == held, key
        elif reasons:
            assert after[key].stored != held.stored, (key, reasons)
            assert after[key].base == after[key].backend, (key, reasons)
        else:
            assert (after[key].base, after[key].backend) == (read[key], read[key]), key


def assert_survives(there: Rehydrating, doomed: Rehydrating, read: Mapping[str, str], point: str, **of: Any) -> None:
    """A process that is killed at that point leaves each row with its reference or its value; one call writes the rest."""
    before = there.held(of["run_id"])
    try:
        doomed.run(kill_at=point, after=4, jobs=3, **of)
    except EOFError:
        assert doomed.process.wait() == -signal.SIGKILL
    else:
        raise AssertionError("it was not killed")
    halfway = there.held(of["run_id"])
    whole = [key for key, held in halfway.items() if held.base == read[key]]
    kept = [key for key, held in halfway.items() if held == before[key]]
    assert len(whole) + len(kept) == len(before)
    assert kept
    assert whole or point != DONE
    came = there.run(**of)
    assert came.answer["rows"] == len(kept)
    assert not came.rows
    after = there.held(of["run_id"])
    assert {key: held.base for key, held in after.items()} == read
    assert {key: held.timestamp for key, held in after.items()} == {key: held.timestamp for key, held in before.items()}


def assert_raced(
    read: Mapping[str, str], before: Mapping[str, Held], race: Mapping[str, tuple[str, str]], came: Came,
    after: Mapping[str, Held],
) -> None:  # fmt: skip
    """Whatever somebody else did between two steps of a row: it ends as if one had come wholly before the other."""
    assert came.error == ""
    for key, held in before.items():
        point, deed = race.get(key, ("", ""))
        if deed == "delete":
            assert key not in after
        elif deed == "push_again":
            assert after[key].timestamp == came.raced[key] != held.timestamp
            assert "newer" in after[key].backend
            assert after[key].stored != held.stored
        else:  # an object that is purged once it was read is not needed any more
            assert (after[key].base, after[key].timestamp) == (read[key], held.timestamp), (key, point, deed)
    lost = [key for key, (point, deed) in race.items() if point == READ and deed == "push_again"]
    assert came.why() == ({CHANGED: sorted(lost)} if lost else {})


class _Served:
    """The far side."""

    def __init__(self) -> None:
        from xcomctl.airflow_compat import database, loading, xcom_class
        from xcomctl.metadata.tables import tables
        from xcomctl.model import describe

        xcom_class.resolved_class()
        self._line = loading.line()
        self._engine = database.engine()
        self._tables = tables(self._line, database.schema())
        self._xcom, self._describe = xcom_class, describe

    def corpus(self) -> dict[str, Any]:
        return {"ids": list(self._values())}

    def push(self, run_id: str, ids: list[str], compression: str, values: dict[str, Any]) -> dict[str, Any]:
        import sqlalchemy as sa
        from airflow.providers.common.io.xcom import backend

        os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION"] = compression
        os.environ["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD"] = "0"
        for name in ("_get_compression", "_get_threshold"):
            getattr(backend, name).cache_clear()
        known = self._values() if ids else {}
        chosen = {**{each: known[each] for each in ids}, **values}
        read, now = {}, _now()
        with self._engine.begin() as connection:
            statement = f"SELECT id, dag_id FROM {self._tables.dag_run.name} WHERE run_id = :run_id"
            number, dag_id = connection.execute(sa.text(statement), {"run_id": run_id}).one()
            for key, value in chosen.items():
                try:
                    stored = self._xcom.serialize(value, key=key, dag_id=dag_id, run_id=run_id, task_id=TASK)
                except Exception:
                    read[key] = ""
                    continue
                row = {"dag_run_id": number, "task_id": TASK, "map_index": -1, "key": key, "dag_id": dag_id,
                       "run_id": run_id, "value": stored, "timestamp": now}  # fmt: skip
                connection.execute(self._tables.xcom.insert().values(row))
                read[key] = self._read(stored, None)
        return {"read": read}

    def held(self, run_id: str) -> dict[str, Any]:
        import sqlalchemy as sa

        xcom, rows = self._tables.xcom, {}
        with self._engine.connect() as connection:
            for row in connection.execute(
                sa.select(xcom.c.key, xcom.c.value, xcom.c.timestamp).where(xcom.c.run_id == run_id)
            ):
                value = bytes(row.value) if self._line.value == "2" else row.value
                shown = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value)
                rows[row.key] = {
                    "stored": shown[:5000],
                    "timestamp": str(row.timestamp),
                    "base": self._read(value, self._xcom.base_class()),
                    "backend": self._read(value, None),
                }
        return {"rows": rows}

    def run(self, query: dict[str, Any], kill_at: str, after: int, race: dict[str, tuple[str, str]]) -> dict[str, Any]:
        from xcomctl.agent.context import RequestContext, RequestError
        from xcomctl.agent.requests import rehydrate
        from xcomctl.model import frames

        decoder, rows = frames.FrameDecoder(), []
        seen = 0
        others: list[threading.Thread] = []
        raced: dict[str, str] = {}

        def write(data: bytes) -> None:
            for message in decoder.feed(data):
                rows.extend(message.get("items", ()))

        def point(name: str, row: Any) -> None:
            nonlocal seen
            at, what = race.get(row.key, ("", ""))
            if at == name:
                other = threading.Thread(target=lambda: raced.update(getattr(self, what)(row)))
                other.start()
                others.append(other)
                if name != SWAPPED:
                    other.join()
            if name == kill_at:
                seen += 1
                if seen == after:
                    os.kill(os.getpid(), signal.SIGKILL)

        rehydrate.Rehydration = functools.partial(Rehydration, point=point)  # type: ignore[attr-defined, assignment]
        try:
            context = RequestContext(1, {"write": True, **query}, write, threading.Event())
            answer = rehydrate.run(context)
            context.flush()
        except RequestError as error:
            return {"error": f"{error.message} | {error.hint}", "rows": rows}
        finally:
            rehydrate.Rehydration = Rehydration  # type: ignore[attr-defined]
            for each in others:
                each.join()
        return {"answer": answer.to_json(), "rows": rows, "raced": raced}

    # What somebody else does with a row, each in a transaction of its own.

    def push_again(self, row: Any) -> dict[str, str]:
        """As a task that runs again: the row goes, and comes with another value and another time."""
        import sqlalchemy as sa

        value = {"body": "y" * 3000, "newer": row.key}
        stored = self._xcom.serialize(value, key=row.key, dag_id=row.dag_id, run_id=row.run_id, task_id=row.task_id)
        xcom = self._tables.xcom
        with self._engine.begin() as connection:
            connection.execute(xcom.delete().where(*self._is(row)))
            new = {"dag_run_id": row.dag_run_id, "task_id": row.task_id, "map_index": row.map_index, "key": row.key,
                   "dag_id": row.dag_id, "run_id": row.run_id, "value": stored, "timestamp": _now()}  # fmt: skip
            connection.execute(xcom.insert().values(new))
            at = connection.execute(sa.select(xcom.c.timestamp).where(*self._is(row))).scalar()
        return {row.key: str(at)}

    def overwrite(self, row: Any) -> dict[str, str]:
        """As in Airflow 3.4's layout: the same reference with newer content, and a newer time."""
        import sqlalchemy as sa
        from airflow.sdk import ObjectStoragePath

        with ObjectStoragePath(row.text).open("wb") as file:
            file.write(json.dumps({"body": "y" * 3000, "newer": row.key}).encode())
        xcom = self._tables.xcom
        with self._engine.begin() as connection:
            connection.execute(xcom.update().where(*self._is(row)).values(timestamp=_now()))
            at = connection.execute(sa.select(xcom.c.timestamp).where(*self._is(row))).scalar()
        return {row.key: str(at)}

    def purge(self, row: Any) -> dict[str, str]:
        """What is done with the object before its row goes; and no more, as after a crash."""
        self._xcom.purge(row.text)
        return {}

    def delete(self, row: Any) -> dict[str, str]:
        """The row goes, as when its instance is cleared or its run deleted."""
        with self._engine.begin() as connection:
            connection.execute(self._tables.xcom.delete().where(*self._is(row)))
        return {}

    def delete_run(self, row: Any) -> dict[str, str]:
        """The run goes, and the database takes its rows with it."""
        run = self._tables.dag_run
        with self._engine.begin() as connection:
            connection.execute(run.delete().where(run.c.dag_id == row.dag_id, run.c.run_id == row.run_id))
        return {}

    def _is(self, row: Any) -> Any:
        from xcomctl.metadata.tables import key_columns

        return [column == value for column, value in zip(key_columns(self._tables), row.place, strict=True)]

    def sql(self, statement: str, values: dict[str, Any]) -> dict[str, Any]:
        import sqlalchemy as sa

        with self._engine.begin() as connection:
            done = connection.execute(sa.text(statement), values)
            return {"rows": [[str(each) for each in row] for row in done] if done.returns_rows else []}

    def _values(self) -> dict[str, Any]:
        from xcomctl.airflow_compat import configuration
        from xcomctl.roundtrip import control_flow, data

        base = str(configuration.resolve_settings()["path"].value)
        return {each.id: each.value for each in (*control_flow.corpus(base, "folder"), *data.corpus())}

    def _read(self, stored: Any, by: Any) -> str:
        try:
            return str(self._describe.canonical(self._xcom.deserialize(stored, by=by)))
        except Exception as error:
            return f"a {type(error).__name__}"


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _serve() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # Airflow may say something
    served = _Served()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = getattr(served, name)(**arguments)
        except Exception as error:
            import traceback

            answer = {"bug": f"{type(error).__name__}: {error}\n{traceback.format_exc()}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    _serve()
