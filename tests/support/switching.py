"""Kill-switches on the walk, as they are typed: a fleet in ``offload`` once more with a run at the hold point, and what became of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import dags
from tests.support.commands import Done, api_options, xcomctl
from tests.support.deploys import deploying, reading, restart
from tests.support.walk import THRESHOLD, Walk, literal, sql
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.settings import settings_for

MINE, SIZE = "switched_consumers", 3 * THRESHOLD
#: DAGs of one file: paused before, and not.
PAUSED_BEFORE, NOT_PAUSED = "killswitch_was_paused", "killswitch_was_not"
TWO_DAGS = f"""
from datetime import datetime, timezone

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

for name in ({PAUSED_BEFORE!r}, {NOT_PAUSED!r}):
    globals()[name] = DAG(name, schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc), catchup=False)
"""
#: Has the backend's import fail, as a package that is missing or does not fit does.
BROKEN = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == {OBJECT_STORAGE_BACKEND.rpartition(".")[0]!r}:
            raise ImportError("cannot import name 'gone' from 'a_package'")

sys.meta_path.insert(0, Missing())
"""


class Switching:
    """The commands, as they are typed; one journal for each kill-switch."""

    def __init__(self, walk: Walk, deploy: str, folder: Path) -> None:
        self.walk, self.folder = walk, folder
        self._deploy = deploy
        (folder / "broken").mkdir()
        (folder / "broken" / "sitecustomize.py").write_text(BROKEN)
        assert walk.rehearsal.stage is not None
        self.stage = walk.rehearsal.stage
        self.carrier = walk.sandbox.airflow.carrier
        self.api, self.login = api_options(walk)
        #: What has the store not answer.
        self.away: dict[str, str] = {}
        #: Whether the backend does not import.
        self.broken = False

    def journal(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"

    def call(self, name: str, *arguments: str, killed: str | None = None) -> Done:
        """In a context that has what the carrier says when it is asked, and is loaded already unless its backend is broken."""
        via, door = self.walk.warm.carried(self.carrier)
        if self.broken:
            via, door = (
                shlex.join([*shlex.split(reading(self.carrier)), "env", f"PYTHONPATH={self.folder / 'broken'}"]),
                {},
            )
        where = ["--via", via, "--python", str(self.walk.python)]
        return xcomctl(
            self.walk, "killswitch", "--carrier", str(self.carrier), "--deploy", self._deploy, "--timeout", "240", "-y",
            *arguments, *where,
            variables={**self.walk.sandbox.airflow.environment(), **self.login, **self.away, **door}, journal=self.journal(name), killed_after=killed,
        )  # fmt: skip

    def offload(self, base_path: str, run_id: str) -> None:
        """Put the fleet into ``offload``, with a run at the hold point that holds one reference."""
        airflow = self.walk.sandbox.airflow
        self.walk.sandbox.configure(settings_for(Phase.OFFLOAD, base_path, THRESHOLD))
        restart(self.walk.sandbox)
        airflow.wait_for_dag(PAUSED_BEFORE, lambda what: None)
        airflow.api.set_paused(PAUSED_BEFORE, True)
        self.stage.hold(True)
        dags.hold_run(self.walk, MINE, run_id, SIZE)
        assert self.references(run_id) == 1

    def release(self, run_id: str) -> None:
        """Let that run go on, and wait until it is over."""
        self.stage.hold(False)
        dags.wait_for_run(self.walk, MINE, run_id)

    def entries(self, name: str) -> list[dict[str, Any]]:
        """What the journal of a kill-switch has."""
        return [json.loads(line) for line in self.journal(name).read_text().splitlines()]

    def pauses(self) -> dict[str, bool]:
        return self.walk.sandbox.airflow.api.pauses()

    def settings(self) -> dict[str, str]:
        return EnvFile.read(self.carrier).settings()

    def references(self, run_id: str) -> int:
        of_it = f"dag_id = {literal(MINE)} AND run_id = {literal(run_id)}"
        value = "convert_from(value, 'UTF8')" if self.walk.line == "2" else "value #>> '{}'"
        rows = sql(self.walk, f"SELECT count(*) FROM xcom WHERE {of_it} AND {value} LIKE '%{self.walk.base_path}/%'")
        return int(rows[0][0])


@contextmanager
def switching(walk: Walk, folder: Path) -> Iterator[Switching]:
    """Afterwards the fleet is ``inline`` as it was, and nothing of it is left."""
    airflow = walk.sandbox.airflow
    file = airflow.folder / "dags" / "killswitch_two.py"
    before = EnvFile.read(airflow.carrier).settings()
    try:
        file.write_text(TWO_DAGS)
        dags.add(walk, MINE)
        with deploying(walk.sandbox) as deploy:
            yield Switching(walk, deploy, folder)
    finally:
        assert walk.rehearsal.stage is not None
        walk.rehearsal.stage.hold(False)
        file.unlink(missing_ok=True)
        for name in (MINE, PAUSED_BEFORE, NOT_PAUSED):
            dags.forget_dag(walk, name)
        if EnvFile.read(airflow.carrier).settings() != before:
            walk.sandbox.configure(before)
            restart(walk.sandbox)


def actions(journal: list[dict[str, Any]], verdict: str | None = "ok") -> list[str]:
    return [each["action"] for each in journal if each["verdict"] == verdict]
