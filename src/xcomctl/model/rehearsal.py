"""What a rehearsal leaves behind: the record that report.json, report.md and report.html are made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.verdicts import Check, Status, Verdict

SCHEMA = "xcomctl.rehearsal/1"
#: Every process of a rehearsal's sandbox has this variable; its value is the sandbox's folder.
SANDBOX_VARIABLE = "XCOMCTL_SANDBOX"

#: What can be played, by the names that ``--only`` takes; the first ones are ways down, compared in one table.
SCENARIOS: Mapping[str, str] = {
    "runbook": "a bare revert under a run in flight, then the search for victims and the re-trigger",
    "hard": "the hard kill-switch under a run in flight: pause first, revert, rehydrate, clear what is left, unpause",
    "soft": "inline, dual-read, offload, each step behind its barrier; under runs in flight back to dual-read, then inline",
    "store-stopped": "the store away during offload and during dual-read: loud errors, never a path, and recovery",
    "object-deleted": "an object gone behind a reference: what upstream hands over, and that the scan finds it",
    "misconfigured": "the common.io variables removed with the backend kept: refused, and detected",
}
#: What cannot be played where the store is a folder: there is nothing to stop.
NEEDS_SERVER = frozenset({"store-stopped"})


@dataclass(frozen=True)
class Step:
    """One step of a scenario; ``scenario`` is empty for what all have in common. Times are seconds since the rehearsal began."""

    id: str
    title: str
    status: Status
    start_s: float
    end_s: float
    detail: str = ""
    scenario: str = ""


@dataclass(frozen=True)
class Span:
    """A measured stretch of time, for the timeline. Times are seconds since the rehearsal began.

    ``lane`` groups spans in one row: ``sandbox``, ``phase``, ``restart``, ``run``, ``broken``.
    """

    lane: str
    label: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class StrategyResult:
    """What one way down cost. ``None`` means: not measured, shown as n/a.

    ``time_broken_s`` runs from the edit that reverts the backend, its deploy included, until the last affected run was green;
    it is 0 when no task was broken or run again.
    ``bytes_moved`` are those that went from the store back into the database, in ``time_moved_s`` seconds.
    A task instance is *broken* when it received a reference where data was expected, whatever its state.
    """

    name: str
    tasks_broken: Optional[int]
    tasks_rerun: Optional[int]
    time_broken_s: Optional[float]
    objects_orphaned: Optional[int]
    bytes_orphaned: Optional[int]
    bytes_moved: Optional[int]
    time_moved_s: Optional[float] = None


@dataclass(frozen=True)
class Failure:
    """Why and where a rehearsal stopped or failed; ``log`` holds the lines that matter, oldest first."""

    step: str
    message: str
    hint: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class RehearsalReport:
    """The whole record.

    ``settings`` are the settings of the offload that was rehearsed; ``fingerprint`` is what a later gate compares
    (see :mod:`xcomctl.model.fingerprint`). ``planned`` are the scenarios that were to be played, ``scenarios`` those that were, to their end. ``started`` and ``finished`` are ISO 8601 in UTC. ``orphans`` are
    objects that no reference names any more (``path``, ``size`` in bytes); ``stranded`` counts references of
    finished runs that a plain revert leaves behind.
    """

    verdict: Verdict
    started: str
    finished: str
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    steps: tuple[Step, ...] = ()
    checks: tuple[Check, ...] = ()
    timeline: tuple[Span, ...] = ()
    planned: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    strategies: tuple[StrategyResult, ...] = ()
    orphans: tuple[Mapping[str, Any], ...] = ()
    stranded: Optional[int] = None
    restarts_s: tuple[float, ...] = ()
    peak_memory_bytes: Optional[int] = None
    failure: Optional[Failure] = None
    next_steps: tuple[str, ...] = ()
    stopped_at: Optional[str] = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values: ``report.json``, whose fields ``docs/rehearsal-report.md`` explains."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "started": self.started,
            "finished": self.finished,
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "fingerprint": dict(self.fingerprint),
            "steps": [{**dataclasses.asdict(step), "status": step.status.value} for step in self.steps],
            "checks": [check.to_json() for check in self.checks],
            "timeline": [dataclasses.asdict(span) for span in self.timeline],
            "planned": list(self.planned),
            "scenarios": list(self.scenarios),
            "strategies": [dataclasses.asdict(strategy) for strategy in self.strategies],
            "orphans": [dict(orphan) for orphan in self.orphans],
            "stranded": self.stranded,
            "restarts_s": list(self.restarts_s),
            "peak_memory_bytes": self.peak_memory_bytes,
            "failure": None
            if self.failure is None
            else {
                "step": self.failure.step,
                "message": self.failure.message,
                "hint": self.failure.hint,
                "log": list(self.failure.log),
            },
            "next_steps": list(self.next_steps),
            "stopped_at": self.stopped_at,
            "extra": dict(self.extra),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RehearsalReport:
        """The inverse of :meth:`to_json`; fields that this version does not know are ignored.

        Raises ``ValueError`` with a sentence for a record that is no report of this schema.
        """
        if record.get("schema") != SCHEMA:
            raise ValueError(f"not a {SCHEMA} report: its schema is {record.get('schema')!r}")
        try:
            failure = record.get("failure")
            return cls(
                verdict=Verdict(record["verdict"]),
                started=record["started"],
                finished=record["finished"],
                versions=dict(record["versions"]),
                settings=dict(record["settings"]),
                fingerprint=dict(record["fingerprint"]),
                steps=tuple(
                    Step(**{**_known(Step, step), "status": Status(step["status"])}) for step in record.get("steps", ())
                ),
                checks=tuple(Check.from_json(check) for check in record.get("checks", ())),
                timeline=tuple(Span(**_known(Span, span)) for span in record.get("timeline", ())),
                planned=tuple(record.get("planned", ())),
                scenarios=tuple(record.get("scenarios", ())),
                strategies=tuple(
                    StrategyResult(**_known(StrategyResult, each)) for each in record.get("strategies", ())
                ),
                orphans=tuple(dict(orphan) for orphan in record.get("orphans", ())),
                stranded=record.get("stranded"),
                restarts_s=tuple(record.get("restarts_s", ())),
                peak_memory_bytes=record.get("peak_memory_bytes"),
                failure=None
                if failure is None
                else Failure(
                    step=failure["step"],
                    message=failure["message"],
                    hint=failure.get("hint", ""),
                    log=tuple(failure.get("log", ())),
                ),
                next_steps=tuple(record.get("next_steps", ())),
                stopped_at=record.get("stopped_at"),
                extra=dict(record.get("extra", {})),
            )
        except KeyError as error:
            raise ValueError(f"not a {SCHEMA} report: {error.args[0]} is missing") from None
        except (AttributeError, TypeError) as error:
            raise ValueError(f"not a {SCHEMA} report: {error}") from None


def _known(kind: type, record: Mapping[str, Any]) -> dict[str, Any]:
    names = {spec.name for spec in dataclasses.fields(kind)}
    return {name: value for name, value in record.items() if name in names}
