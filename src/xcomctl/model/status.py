"""The state of a deployment in one screen: what one context answers, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import Record, Resolution
from xcomctl.model.verdicts import Check, Verdict, verdict_of

SCHEMA = "xcomctl.status/1"

#: Categories of the screen's rows, in their order.
CONTEXTS, REFERENCES, TASKS, SIGNALS, JOURNAL = "contexts", "references", "tasks", "signals", "journal"

#: Seconds that the store may take to answer, and that a screen looks back for failed tasks.
STORE_TIMEOUT_S = 2.0
LOOK_BACK_S = 3600.0
#: Runs and instances that are named.
EXAMPLES = 5


@dataclass(frozen=True)
class StatusQuery(Record):
    """What to look at. ``database``: answer for the metadata database too, which is the same for every context."""

    database: bool = True
    store: bool = True
    look_back_s: float = LOOK_BACK_S


@dataclass(frozen=True)
class StoreState(Record):
    """Whether the store answers. ``reachable`` is ``None`` where there is nothing to ask (no base path)."""

    reachable: Optional[bool]
    latency_ms: Optional[float] = None
    message: str = ""


@dataclass(frozen=True)
class FailedTask(Record):
    """A task instance that failed with an upstream that pushed."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    try_number: int


@dataclass(frozen=True)
class DatabaseState(Record):
    """What the metadata database says now. ``error`` is why it says nothing; ``missing`` that another context may.

    ``references`` and ``aliases`` are those of unfinished runs, ``at_risk`` some of these runs. ``failed`` are some of
    the ``failed_count`` instances that failed after a push, ``failed_unknown`` those whose DAG is not serialised.
    """

    unfinished_runs: int = 0
    references: int = 0
    aliases: int = 0
    at_risk_runs: int = 0
    at_risk: tuple[AtRiskRun, ...] = ()
    failed_count: int = 0
    failed: tuple[FailedTask, ...] = ()
    failed_unknown: int = 0
    failed_more: bool = False
    no_base_path: bool = False
    error: str = ""
    missing: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "at_risk":
            return tuple(AtRiskRun.from_json(each) for each in value)
        if name == "failed":
            return tuple(FailedTask.from_json(each) for each in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class StatusAnswer(Record):
    """What one context is and sees. ``database`` is ``None`` when it was not asked."""

    airflow: str
    line: str
    python: str
    hostname: str
    providers: Mapping[str, str]
    resolution: Resolution
    store: StoreState
    database: Optional[DatabaseState] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "resolution":
            return Resolution.from_json(value)
        if name == "store":
            return StoreState.from_json(value)
        if name == "database":
            return None if value is None else DatabaseState.from_json(value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class StatusReport:
    """One screen. ``contexts`` are what each context answered, ``None`` for one that did not."""

    at: str
    deployment: Optional[str]
    contexts: Mapping[str, Optional[StatusAnswer]]
    checks: tuple[Check, ...]
    next_step: str = ""
    because: str = ""
    journal: Mapping[str, Any] = field(default_factory=dict)
    fail_on_warn: bool = False

    @property
    def verdict(self) -> Verdict:
        """What the rows amount to."""
        return verdict_of(self.checks, fail_on_warn=self.fail_on_warn)

    def to_json(self) -> dict[str, Any]:
        """The screen as plain JSON values; ``docs/status-report.md`` says what they mean."""
        return {
            "schema": SCHEMA,
            "at": self.at,
            "deployment": self.deployment,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "contexts": [
                {"name": name, **({} if answer is None else answer.to_json())} for name, answer in self.contexts.items()
            ],
            "checks": [check.to_json() for check in self.checks],
            "journal": dict(self.journal),
            "because": self.because,
            "next_steps": [self.next_step] if self.next_step else [],
        }
