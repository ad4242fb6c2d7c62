"""The state of a deployment in one screen: what one context answers, and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.phases import Phase, path_problem
from xcomctl.model.references import covers, normalized_base
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.requests import Record, Resolution
from xcomctl.model.verdicts import Check, Verdict, verdict_of

SCHEMA = "xcomctl.status/1"

#: Categories of the screen's rows, in their order.
CONTEXTS, REFERENCES, TASKS, SIGNALS, JOURNAL = "contexts", "references", "tasks", "signals", "journal"

#: Seconds that the store may take to answer, and that a screen looks back for failed tasks.
STORE_TIMEOUT_S = 2.0
LOOK_BACK_S = 3600.0
#: Seconds that it may take to find the store's connection and to open its file system.
OPEN_TIMEOUT_S = 30.0
#: Runs and instances that are named.
EXAMPLES = 5
#: Neither these nor what they start push or pull an XCom: one that hides its environment is no reason to warn.
RUN_NO_TASKS = ("api-server", "webserver")


@dataclass(frozen=True)
class StatusQuery(Record):
    """What to look at. ``database``: answer for the metadata database too, which is the same for every context."""

    database: bool = True
    store: bool = True
    look_back_s: float = LOOK_BACK_S


@dataclass(frozen=True)
class StoreState(Record):
    """Whether the store answers, and the bucket is there. ``reachable`` is ``None`` where it was not asked.

    ``message`` says what is wrong, in words that follow the context's name.
    """

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
class RunningProcess(Record):
    """An Airflow process that started with other settings than a fresh one resolves (F41), or that hides its own.

    ``phase`` is what its settings amount to, ``None`` when they cannot be read. ``differs`` says in what.
    """

    component: str
    pid: int
    phase: Optional[str]
    path: Optional[str] = None
    differs: str = ""


@dataclass(frozen=True)
class Elsewhere(Record):
    """References in unfinished runs that the backend wrote under another base path (F3), and a run that holds some.

    ``base_path`` is empty for all that is beyond the first few base paths.
    """

    base_path: str
    references: int
    dag_id: str
    run_id: str


@dataclass(frozen=True)
class DatabaseState(Record):
    """What the metadata database says now. ``error`` is why it says nothing; ``missing`` that another context may.

    ``references`` and ``aliases`` are those of unfinished runs under ``base_path`` (``None``: none resolves and none is
    named), ``at_risk`` some of these runs, ``elsewhere`` what these runs hold under other base paths. ``failed`` are
    some of the ``failed_count`` instances that failed after a push, ``failed_unknown`` those of which it is not known what
    lies upstream, and ``failed_more`` that there are more than were looked at.
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
    base_path: Optional[str] = None
    elsewhere: tuple[Elsewhere, ...] = ()
    error: str = ""
    missing: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "at_risk":
            return tuple(AtRiskRun.from_json(each) for each in value)
        if name == "elsewhere":
            return tuple(Elsewhere.from_json(each) for each in value)
        if name == "failed":
            return tuple(FailedTask.from_json(each) for each in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class StatusAnswer(Record):
    """What one context is and sees. ``database`` is ``None`` when it was not asked.

    ``processes`` counts the Airflow processes there whose settings can be read, ``running`` are those that differ or
    hide theirs.
    """

    airflow: str
    line: str
    python: str
    hostname: str
    providers: Mapping[str, str]
    resolution: Resolution
    store: StoreState
    database: Optional[DatabaseState] = None
    processes: int = 0
    running: tuple[RunningProcess, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "running":
            return tuple(RunningProcess.from_json(each) for each in value)
        if name == "resolution":
            return Resolution.from_json(value)
        if name == "store":
            return StoreState.from_json(value)
        if name == "database":
            return None if value is None else DatabaseState.from_json(value)
        return super()._read_field(name, value)


def path_strings(phase: Optional[str], path: Optional[str], database: Optional[DatabaseState]) -> int:
    """How many references of unfinished runs a reader gets as path strings under a phase and its path.

    None where that cannot be told: an unknown class, settings that cannot be read, no database.
    """
    if database is None or phase is None or phase == Phase.UNKNOWN.value:
        return 0
    held = [(each.base_path, each.references) for each in database.elsewhere]
    if database.base_path is not None:
        held.append((database.base_path, database.references))
    return sum(references for base_path, references in held if not _reads(phase, path, base_path))


def _reads(phase: str, path: Optional[str], base_path: str) -> bool:
    """Whether references under a base path resolve: the phase reads any, and its path is that one or lies above it.

    ``misconfigured`` with a path that is one has a threshold that is none: pushes fail, and reads do not.
    """
    if phase == Phase.INLINE.value or path is None or path_problem(path) is not None:
        return False
    return covers(path, base_path)


def one_path(database: DatabaseState) -> Optional[str]:
    """The path under which every reference in unfinished runs resolves, if there is one: theirs, or one above them all."""
    held = [each.base_path for each in database.elsewhere if each.references]
    if database.base_path is not None and database.references:
        held.append(normalized_base(database.base_path))
    if not held or not all(held):
        return None
    names = [base_path.split("/") for base_path in held]
    common = []
    for level in zip(*names):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    # Scheme, the empty name behind it, and the bucket have to be the same; a bare bucket is one above them too.
    return None if len(common) < 3 else normalized_base("/".join(common))


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
