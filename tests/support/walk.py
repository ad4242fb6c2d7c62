"""The walk: a sandbox that went through the whole short rehearsal, and what was seen on the way."""

from __future__ import annotations

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.visits import Visit
from tests.support.warm import WarmContexts
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model.rehearsal import RehearsalReport, StrategyResult
from xcomctl.model.settings import SETTINGS
from xcomctl.model.verdicts import Check
from xcomctl.rehearsal.rehearse import Rehearsal
from xcomctl.rehearsal.sandbox.deployment import Sandbox
from xcomctl.rehearsal.sandbox.postgres import binaries

#: Small, so that a walk is short; every size class of the full rehearsal is there.
THRESHOLD = 20_000
SIZES = (2_000, 5_000, 19_999, 20_000, 60_000)
#: Sizes of what one run offloads, and of what is still referenced at the end: by the finished run that the runbook leaves behind.
OFFLOADED = tuple(size for size in SIZES if size >= THRESHOLD)
KEPT = OFFLOADED
#: Sizes of the objects of the reference DAG that no row names at the end: of the runbook's run, and of the rehydrated one.
LEFT = OFFLOADED * 2
#: What a walk plays; all of it is played by ``make test-full PART=rehearsal``.
WALKED = ("runbook", "soft")


class Site(ABC):
    """A sandbox that is up, whatever it went through."""

    #: Contexts of the sandbox in which Airflow is loaded already, ``None`` where each is started.
    warm: WarmContexts | None = None

    @property
    @abstractmethod
    def sandbox(self) -> Sandbox:
        """It."""

    @property
    def line(self) -> str:
        """``"2"`` or ``"3"``."""
        return str(self.sandbox.airflow.major)

    @property
    def python(self) -> Path:
        return self.sandbox.environment.python

    @property
    def base_path(self) -> str:
        assert self.sandbox.store is not None
        return self.sandbox.store.path

    @property
    def env(self) -> Mapping[str, str]:
        """The environment of the sandbox's Airflow, without the four settings."""
        names = {setting.env for setting in SETTINGS}
        return {name: value for name, value in self.sandbox.airflow.environment().items() if name not in names}

    def reach(self, environment: Mapping[str, str]) -> LocalReach:
        """A way to the sandbox's Airflow with this environment."""
        return LocalReach(self.python, environment, label="walk")


@dataclass(frozen=True)
class Walk(Site):
    """A sandbox that was walked up and down, and is still up; Airflow is ``inline`` again."""

    rehearsal: Rehearsal
    report: RehearsalReport
    #: What the visits on the way returned, or raised (:mod:`tests.support.visits`).
    outcomes: Mapping[Visit, tuple[Any, Exception | None]]
    warm: WarmContexts

    @property
    def sandbox(self) -> Sandbox:
        assert self.rehearsal.sandbox is not None, self.rehearsal.failure
        return self.rehearsal.sandbox

    def seen(self, visit: Visit) -> Any:
        """What a visit on the way returned; raises what it raised."""
        assert visit in self.outcomes, (visit.__name__, self.report.failure)
        result, error = self.outcomes[visit]
        if error is not None:
            raise error
        return result

    def strategy(self, name: str) -> StrategyResult:
        """What that way down cost. A walk that stopped before says why."""
        found = [each for each in self.report.strategies if each.name == name]
        assert len(found) == 1, (name, self.report.failure)
        return found[0]

    def check(self, id: str) -> Check:
        """The observation with this id. A walk that stopped before it says why."""
        found = [check for check in self.report.checks if check.id == id]
        assert len(found) == 1, (id, self.report.failure, [check.id for check in self.report.checks])
        return found[0]


def psql(site: Site) -> tuple[list[str], dict[str, str]]:
    """``psql`` in the metadata database: its words, and its environment."""
    database = site.sandbox.database
    assert database is not None
    argv = [str(binaries() / "psql"), "-h", "127.0.0.1", "-p", str(database.port), "-U", "airflow", "-d", "airflow"]
    return [*argv, "-qAtF\t", "-v", "ON_ERROR_STOP=1"], {"PATH": os.defpath, "PGPASSWORD": database.password}


def answer(site: Site, statement: str, timeout_s: float | None = 60) -> str:
    """What one statement in the metadata database gives, as ``psql`` prints it."""
    argv, environment = psql(site)
    done = subprocess.run(
        [*argv, "-c", statement],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sql(site: Site, statement: str, timeout_s: float | None = 60) -> list[list[str]]:
    """The rows of one statement in the metadata database, columns as text."""
    return [line.split("\t") for line in answer(site, statement, timeout_s).splitlines()]


def literal(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"
