"""A metadata database on SQLite with what there is about one run, as either line has it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from xcomctl.metadata.tables import Tables, tables
from xcomctl.model.phases import Line

BASE = "s3://store@bucket/xcom"
NOON = datetime(2026, 6, 6, 12, tzinfo=UTC)


class Database:
    """A SQLite with the run ``dag`` ``run``, whose tasks are those of a DAG ``a >> b``."""

    def __init__(self, line: Line) -> None:
        self.engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self.tables: Tables = tables(line)
        self.tables.xcom.metadata.create_all(self.engine)
        conf = "BLOB" if line is Line.AF2 else "JSON"
        for statement in (
            "CREATE TABLE task_reschedule (dag_id TEXT, run_id TEXT, task_id TEXT, map_index INT)",
            "CREATE TABLE job (job_type TEXT, state TEXT, hostname TEXT, start_date TIMESTAMP, end_date TIMESTAMP, "
            "latest_heartbeat TIMESTAMP)",
            "CREATE TABLE serialized_dag (dag_id TEXT, data JSON, data_compressed BLOB, last_updated TIMESTAMP)",
            "CREATE TABLE rendered_task_instance_fields (dag_id TEXT, run_id TEXT, task_id TEXT, map_index INT, "
            "rendered_fields JSON)",
            "ALTER TABLE task_instance ADD COLUMN next_kwargs JSON",
            "ALTER TABLE task_instance ADD COLUMN trigger_id INT",
            "CREATE TABLE trigger (id INT, kwargs TEXT)",
            "CREATE TABLE dag (dag_id TEXT, is_paused BOOLEAN)",
            f"ALTER TABLE dag_run ADD COLUMN conf {conf}",
        ):
            self.add(statement)
        structure = {"dag": {"tasks": [{"task_id": "a", "downstream_task_ids": ["b"]}, {"task_id": "b"}]}}
        self.add("INSERT INTO serialized_dag VALUES ('dag', ?, NULL, '2026-06-06')", json.dumps(structure))
        self.add("INSERT INTO dag_run (id, dag_id, run_id, state) VALUES (5, 'dag', 'run', 'success')")

    def add(self, statement: str, *values: object) -> None:
        """One statement."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement, values)

    def instance(self, task_id: str, state: str | None, minutes: float | None = 0, **columns: object) -> None:
        """A task instance that started at a minute and ended one later."""
        names = {"dag_id": "dag", "run_id": "run", "task_id": task_id, "map_index": -1, "state": state, "try_number": 1}
        if minutes is not None:
            names |= {"start_date": text(minutes), "end_date": text(minutes + 1)}
        names |= columns
        marks = ", ".join("?" for _ in names)
        self.add(f"INSERT INTO task_instance ({', '.join(names)}) VALUES ({marks})", *names.values())

    def ran(self, task_id: str, minutes: float, map_index: int = -1, event: str = "running") -> None:
        """A row of the log."""
        self.add("INSERT INTO log VALUES ('dag', 'run', ?, ?, ?, ?)", task_id, map_index, event, text(minutes))

    def pushed(self, task_id: str, value: object = 1, minutes: float = 0, run_id: str = "run") -> None:
        """An XCom; one of another run is one of the run number 9."""
        stored: object = json.dumps(value)
        if self.tables.line is Line.AF2:
            stored = str(stored).encode()
        self.add(
            "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp) "
            "VALUES (?, ?, -1, 'k', 'dag', ?, ?, ?)",
            5 if run_id == "run" else 9, task_id, run_id, stored, text(minutes),
        )  # fmt: skip

    def scheduler(self, start: float, end: float | None) -> None:
        """A scheduler that lived from one minute to another, or lives."""
        beat = text(end) if end is not None else datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        state = "running" if end is None else "success"
        self.add(
            "INSERT INTO job VALUES ('SchedulerJob', ?, 'host', ?, ?, ?)",
            state, text(start), None if end is None else text(end), beat,
        )  # fmt: skip


def at(minutes: float) -> datetime:
    """So many minutes past noon."""
    return NOON + timedelta(minutes=minutes)


def text(minutes: float) -> str:
    """The same as SQLite has it."""
    return at(minutes).strftime("%Y-%m-%d %H:%M:%S.%f")
