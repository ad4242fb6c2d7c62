"""The plan of a change: what was asked of a context for it, the steps, and the report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.requests import Record
from xcomctl.model.verdicts import Check, Status, Verdict

SCHEMA = "xcomctl.plan/1"

#: Newest references whose objects are read to see whether the column could hold them.
VALUES = 1000


@dataclass(frozen=True)
class StepFactsQuery(Record):
    """What a step depends on. ``threshold``: count the values from there up. ``values``: read so many objects (0: none).

    ``base_path`` and ``default_base_path`` are as for every request about references.
    """

    threshold: Optional[int] = None
    values: int = 0
    base_path: Optional[str] = None
    default_base_path: Optional[str] = None


@dataclass(frozen=True)
class Above(Record):
    """Inline values of at least ``threshold`` bytes: how many, their bytes, how many of them in unfinished runs.

    On 3.x the bytes are at most twice what ``json.dumps`` writes, where a value is not ASCII; so ``rows`` may be too many.
    """

    threshold: int
    rows: int
    bytes: int
    rows_in_all: int
    exact: bool


@dataclass(frozen=True)
class Misfit(Record):
    """A value that fits in the store and not in the column (F37), and why."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    reason: str


@dataclass(frozen=True)
class StepFactsAnswer(Record):
    """What was asked for. ``looked_at`` of ``references`` objects were read, the newest, and ``misfits`` (some of
    ``misfit_count``) do not fit in the column; ``unread`` could not be read, ``unread_why`` says why the first could not.

    ``column`` is what holds values: ``jsonb``, ``json`` or ``bytes``; where it holds everything, no object is read.
    """

    column: str
    above: Optional[Above] = None
    references: int = 0
    looked_at: int = 0
    misfit_count: int = 0
    misfits: tuple[Misfit, ...] = ()
    unread: int = 0
    unread_why: str = ""
    warnings: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "above":
            return None if value is None else Above.from_json(value)
        if name == "misfits":
            return tuple(Misfit.from_json(each) for each in value)
        return super()._read_field(name, value)


# --- the report ---------------------------------------------------------------------------------------------------------

#: The ``state`` of a step. ``LATER``: another one comes first, and its gates are looked at then.
READY, REFUSED, UNKNOWN, LATER = "ready", "refused", "unknown", "later"


@dataclass(frozen=True)
class PlannedStep:
    """One step: what it does, what stands in its way now, and the commands, in the order in which they are typed;
    one that begins with ``#`` says what is to be done by hand.

    ``estimates`` are rows and bytes by name, ``None`` for what could not be estimated. ``notes`` are sentences.
    """

    start: str
    target: str
    direction: str
    state: str
    title: str
    gates: tuple[Check, ...] = ()
    commands: tuple[str, ...] = ()
    estimates: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The step as plain JSON values."""
        return {
            "start": self.start,
            "target": self.target,
            "direction": self.direction,
            "state": self.state,
            "title": self.title,
            "gates": [gate.to_json() for gate in self.gates],
            "commands": list(self.commands),
            "estimates": dict(self.estimates),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class PlanReport:
    """The way from where the contexts are to a phase. ``observed`` is what it rests on, as plain JSON values.

    ``start`` is ``None`` where the contexts do not agree, or none answered; ``because`` then says so, and there are no
    steps. No steps and a start: there is nothing to do.
    """

    at: str
    deployment: Optional[str]
    start: Optional[str]
    target: str
    because: str
    observed: Mapping[str, Any]
    steps: tuple[PlannedStep, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether the next step may be taken: a plan whose first step is refused is refused."""
        if self.start is None:
            return Verdict.INCONCLUSIVE
        if not self.steps or self.steps[0].state == READY:
            return Verdict.OK
        return Verdict.INCONCLUSIVE if self.steps[0].state == UNKNOWN else Verdict.REFUSED

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What to type next: what unblocks the first step, or its commands."""
        if not self.steps:
            return ()
        first = self.steps[0]
        if first.state == READY:
            return tuple(command for command in first.commands if not command.startswith("#"))
        return tuple(dict.fromkeys(gate.hint for gate in first.gates if gate.hint and is_in_the_way(gate)))

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values; ``docs/change-reports.md`` says what they mean."""
        return {
            "schema": SCHEMA,
            "at": self.at,
            "deployment": self.deployment,
            "verdict": self.verdict.value,
            "exit_code": self.verdict.exit_code,
            "start": self.start,
            "target": self.target,
            "because": self.because,
            "observed": dict(self.observed),
            "steps": [step.to_json() for step in self.steps],
            "warnings": list(self.warnings),
            "next_steps": list(self.next_steps),
        }


def is_in_the_way(gate: Check) -> bool:
    """Whether a gate keeps a step from being taken: what could not be told does too."""
    return gate.status in (Status.FAIL, Status.SKIP)


def state_of(gates: tuple[Check, ...]) -> str:
    """What its gates make of a step."""
    if any(gate.status is Status.FAIL for gate in gates):
        return REFUSED
    return UNKNOWN if any(gate.status is Status.SKIP for gate in gates) else READY


def digest(plan: Mapping[str, Any]) -> str:
    """The hash (hex) by which the journal's entries name the plan that they belong to."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
