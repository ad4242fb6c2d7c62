"""Verification of a flip: what is asked about a run, and the report with the runbook's words for its verdict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.requests import Record, Resolution
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Check, Status, Verdict

SCHEMA = "xcomctl.verify/1"

#: The verdicts, in the runbook's words.
VALIDATED, KILL_SWITCH, INCONCLUSIVE = "validated", "KILL-SWITCH", "inconclusive"

#: Categories of checks: layer A is about contexts, layer B about a run.
RESOLUTION, RUN = "resolution", "run"

#: How the runbook's reference DAG says what a task pushed: an XCom of this key beside the value.
PUSHED_KEY = "pushed"


_SHA_256 = re.compile("[0-9a-f]{64}")


def is_pushed_digest(value: Any) -> bool:
    """Whether a value is what the reference DAG says of another: its type, size and digest. Not some other "pushed"."""
    return (
        isinstance(value, Mapping)
        and set(value) == {"type", "bytes", "digest"}
        and isinstance(value["digest"], str)
        and _SHA_256.fullmatch(value["digest"]) is not None
    )


@dataclass(frozen=True)
class RunReviewQuery(Record):
    """Which run to look at, and what was seen of the contexts' phases before (``observations``).

    ``default_base_path`` is what to take where the context resolves no base path. With ``logs`` the logs of the run's tasks
    are read as well.
    """

    dag_id: str
    run_id: str
    observations: tuple[Observation, ...] = ()
    default_base_path: Optional[str] = None
    logs: bool = False

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "observations":
            return tuple(Observation.from_json(each) for each in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class RunReviewAnswer(Record):
    """What the run is. ``handed_over`` names instances that got, or may have got, a path string, for the way out."""

    run_state: Optional[str]
    phase: str
    base_path: str
    handed_over: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunStateAnswer(Record):
    """How far a run is: its state (``None`` for no such run), and its task instances counted by state; when it ``began`` and
    ``ended`` (ISO 8601)."""

    run_state: Optional[str]
    instances: Mapping[str, int] = field(default_factory=dict)
    began: Optional[str] = None
    ended: Optional[str] = None


@dataclass(frozen=True)
class VerifiedContext:
    """One context: what it resolves (``None`` when it did not answer), and the checks about that.

    ``phases`` are those of what starts tasks there, with who has it: ``now`` for a fresh process.
    """

    name: str
    resolution: Optional[Resolution]
    checks: tuple[Check, ...]
    airflow: str = ""
    common_io: str = ""
    phases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class VerifyReport:
    """A whole verification. ``run`` names the run that was looked at (``dag_id``, ``run_id``, ``state``)."""

    contexts: tuple[VerifiedContext, ...]
    fleet: tuple[Check, ...] = ()
    run: Mapping[str, Any] = field(default_factory=dict)
    run_checks: tuple[Check, ...] = ()
    next_steps: tuple[str, ...] = ()
    at: str = ""

    @property
    def checks(self) -> tuple[Check, ...]:
        """Every check: of the contexts, of all of them together, of the run."""
        return (*(check for context in self.contexts for check in context.checks), *self.fleet, *self.run_checks)

    @property
    def verdict(self) -> str:
        """One of the runbook's words. A fail is a kill-switch, whatever else could not be measured."""
        seen = {check.status for check in self.checks}
        if Status.FAIL in seen:
            return KILL_SWITCH
        return INCONCLUSIVE if Status.SKIP in seen or not seen else VALIDATED

    @property
    def exit_code(self) -> int:
        """0, 3 or 5."""
        return self.as_verdict.exit_code

    @property
    def as_verdict(self) -> Verdict:
        """The same as the journal and the exit codes know it."""
        return {VALIDATED: Verdict.OK, KILL_SWITCH: Verdict.FAILED, INCONCLUSIVE: Verdict.INCONCLUSIVE}[self.verdict]

    @property
    def table(self) -> tuple[tuple[str, str, str], ...]:
        """The rows of the runbook's table: what to see, what was seen, what that means."""
        return tuple((row.what, row.seen(self), row.verdict(self)) for row in _TABLE)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values; ``docs/verify-report.md`` says what they mean."""
        checks = [{**check.to_json(), "context": each.name} for each in self.contexts for check in each.checks]
        checks += [{**check.to_json(), "context": None} for check in (*self.fleet, *self.run_checks)]
        return {
            "schema": SCHEMA,
            "at": self.at,
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "contexts": [
                {
                    "name": each.name,
                    "airflow": each.airflow,
                    "common_io": each.common_io,
                    **({} if each.resolution is None else each.resolution.to_json()),
                }
                for each in self.contexts
            ],
            "run": dict(self.run) or None,
            "checks": checks,
            "table": [{"observation": what, "seen": seen, "verdict": verdict} for what, seen, verdict in self.table],
            "next_steps": list(self.next_steps),
        }


@dataclass(frozen=True)
class _Row:
    """A row of the runbook's table, and the checks that measure it."""

    what: str
    ids: tuple[str, ...]

    def seen(self, report: VerifyReport) -> str:
        """The observation: the worst check's own words."""
        found = self._worst(report)
        return "not looked at" if found is None else found.detail

    def verdict(self, report: VerifyReport) -> str:
        """What it means."""
        found = self._worst(report)
        if found is None:
            return "-"
        return {Status.FAIL: KILL_SWITCH, Status.SKIP: INCONCLUSIVE}.get(found.status, "ok")

    def _worst(self, report: VerifyReport) -> Optional[Check]:
        order = (Status.FAIL, Status.SKIP, Status.WARN, Status.OK)
        found = [check for check in report.checks if check.id in self.ids]
        return min(found, key=lambda check: order.index(check.status), default=None)


_TABLE = (
    _Row("every context resolves path, threshold and class", ("resolution_settings", "resolution_class", "resolution_running", "config_drift", "context_answers")),
    _Row("run success", ("run_succeeded",)),
    _Row("0 XCom-failed task", ("tasks_failed_after_push",)),
    _Row("trajectory readable", ("trajectory_readable", "references_resolve", "values_equal_pushed")),
    _Row("offload confirmed", ("offload_confirmed",)),
    _Row("no task received a path", ("no_path_handed_over", "started_under_inline")),
    _Row("0 log error", ("logs_clean", "logs_loki")),
)  # fmt: skip
