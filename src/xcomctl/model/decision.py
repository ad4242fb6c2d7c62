"""The decision on paper: what it rests on, what was chosen and by whom, and what is said of each section's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from xcomctl.model.phases import Phase
from xcomctl.model.plan import PlannedStep
from xcomctl.model.preflight import PreflightOptions
from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.model.requests import Record
from xcomctl.model.size import Effect, SizeReport
from xcomctl.model.transitions import Direction
from xcomctl.model.verdicts import Check, Verdict

SCHEMA = "xcomctl.decision/1"

DECISION, MEASURED, THRESHOLDS, PREFLIGHT = "decision", "measured", "thresholds", "preflight"
REHEARSAL, PLAN_UP, PLAN_DOWN, WARNING = "rehearsal", "plan-up", "plan-down", "warning"
RISKS, SOURCES = "risks", "sources"
#: The generated sections by the names in their markers, in the order of a new file, with their headings.
TITLES: Mapping[str, str] = {
    DECISION: "Decision",
    MEASURED: "What was measured",
    THRESHOLDS: "What a threshold does",
    PREFLIGHT: "Pre-flight",
    REHEARSAL: "Rehearsal",
    PLAN_UP: "Plan up",
    PLAN_DOWN: "Plan down",
    WARNING: "Standing warning: the dotted section",
    RISKS: "Open risks",
    SOURCES: "Sources",
}
SECTIONS = tuple(TITLES)
#: Those about which something can be missing or wrong.
JUDGED = (DECISION, MEASURED, THRESHOLDS, PREFLIGHT, REHEARSAL, PLAN_UP)


@dataclass(frozen=True)
class Source:
    """Where one input is from: ``where`` it lies, ``at`` when it was made (ISO 8601), its verdict and schema.

    ``unnamed``: a deployment was asked for, and it names none.
    """

    where: str
    at: str
    verdict: str
    schema: str
    unnamed: bool = False


@dataclass(frozen=True)
class PreflightSeen:
    """A pre-flight as its JSON, or its entry in the journal, tells it.

    ``contexts`` has each context's ``name`` and ``target`` settings. ``checks`` are of the context before them, ``None``
    for all together. ``whole``: with titles, details and hints, which the journal does not keep.
    """

    at: str
    verdict: str
    versions: Mapping[str, Any]
    options: PreflightOptions
    contexts: tuple[Mapping[str, Any], ...]
    checks: tuple[tuple[Optional[str], Check], ...]
    whole: bool
    next_steps: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PreflightSeen:
        """From its JSON, or from what the journal's entry has of it. Raises as :meth:`Check.from_json`."""
        return cls(
            at=record["at"],
            verdict=Verdict(record["verdict"]).value,
            versions=record.get("versions") or {},
            options=PreflightOptions.from_json(record.get("options") or {}),
            contexts=tuple(record.get("contexts") or ()),
            checks=tuple((each.get("context"), Check.from_json(each)) for each in record["checks"]),
            whole=record.get("whole", True),
            next_steps=tuple(record.get("next_steps") or ()),
        )

    @property
    def targets(self) -> tuple[Mapping[str, Any], ...]:
        """The settings that it tried, of each context that answered."""
        found = (each.get("target") for each in self.contexts)
        return tuple(each for each in found if isinstance(each, Mapping))


@dataclass(frozen=True)
class RehearsalSeen:
    """A rehearsal. ``report`` is ``None`` where only the journal's entry is at hand; ``named`` is the ``report.json`` that the
    entry names, on the machine that the rehearsal was made on."""

    at: str
    verdict: str
    settings: Mapping[str, Any]
    fingerprint: Mapping[str, Any]
    scenarios: tuple[str, ...]
    report: Optional[RehearsalReport] = None
    named: str = ""

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RehearsalSeen:
        """From its ``report.json``, or from what the journal's entry has of it (with ``named``). Raises ``KeyError``,
        ``TypeError`` or ``ValueError``."""
        if "named" in record:
            verdict, scenarios = Verdict(record["verdict"]).value, tuple(record["scenarios"])
            return cls(
                record["at"], verdict, record["settings"], record["fingerprint"], scenarios, None, record["named"]
            )
        report = RehearsalReport.from_json(record)
        return cls(report.finished, report.verdict.value, report.settings, report.fingerprint, report.scenarios, report)


@dataclass(frozen=True)
class PlanSeen:
    """A plan up as its JSON tells it. ``contexts`` is what each context resolved, by its name."""

    at: str
    deployment: Optional[str]
    verdict: str
    start: Optional[str]
    target: str
    because: str
    contexts: Mapping[str, Any]
    steps: tuple[PlannedStep, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> PlanSeen:
        """From its JSON. Raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        return cls(
            at=record["at"],
            deployment=record["deployment"],
            verdict=Verdict(record["verdict"]).value,
            start=record["start"],
            target=record["target"],
            because=record["because"],
            contexts=record["observed"].get("contexts") or {},
            steps=tuple(_planned(each) for each in record["steps"]),
            warnings=tuple(record.get("warnings") or ()),
        )

    @property
    def is_up(self) -> bool:
        """Whether it leads towards ``offload``: by its steps, else by where it would lead."""
        for step in self.steps:
            if step.direction != Direction.REPAIR.value:
                return step.direction == Direction.UP.value
        return self.target == Phase.OFFLOAD.value or (
            self.target == Phase.DUAL_READ.value and self.start != Phase.OFFLOAD.value
        )


@dataclass(frozen=True)
class Evidence:
    """What the decision rests on, ``None`` for what is missing. ``sources`` are by the section that each is for."""

    size: Optional[SizeReport] = None
    preflight: Optional[PreflightSeen] = None
    rehearsal: Optional[RehearsalSeen] = None
    up: Optional[PlanSeen] = None
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Decided(Record):
    """Who decided on which threshold (bytes), and when, as it was written."""

    threshold: int
    by: str
    at: str


@dataclass(frozen=True)
class State(Record):
    """What the file remembers between two runs: the threshold (bytes) that was named last, and the last decision."""

    threshold: Optional[int] = None
    decided: Optional[Decided] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "decided":
            return None if value is None else Decided.from_json(value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class Choice:
    """The threshold (bytes), ``None`` where nothing says one, and why that one. ``suggested`` is the measurement's.

    ``decided`` is the decision for it; ``before`` one for another threshold, which does not count.
    """

    threshold: Optional[int]
    why: str
    suggested: Optional[int]
    decided: Optional[Decided]
    before: Optional[Decided]
    state: State


@dataclass(frozen=True)
class Judged:
    """What is said of one section: its check, and what is missing or stale, with the commands that make it anew."""

    check: Check
    said: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class DecisionRecord:
    """All that the file is made from.

    ``judged`` and ``risks`` follow from the evidence. ``chart`` is the name of the plot's file, empty for none.
    ``contexts`` and ``carrier`` are the options that stand behind the commands that are printed; ``again`` is the command
    that writes the file anew.
    """

    deployment: Optional[str]
    base_path: Optional[str]
    choice: Choice
    evidence: Evidence
    judged: Mapping[str, Judged]
    risks: tuple[str, ...]
    chart: str = ""
    contexts: str = ""
    carrier: str = ""
    again: str = ""


def effect_of(report: Optional[SizeReport], threshold: Optional[int]) -> Optional[Effect]:
    """What that threshold does, where it was measured; the exact figure, if there are two."""
    if report is None or threshold is None:
        return None
    known = (*report.answer.thresholds, *(each.effect for each in report.answer.suggestions))
    return max((each for each in known if each.threshold == threshold), key=lambda each: each.exact, default=None)


def _planned(each: Mapping[str, Any]) -> PlannedStep:
    return PlannedStep(
        start=each["start"], target=each["target"], direction=each["direction"], state=each["state"],
        title=each["title"], gates=tuple(Check.from_json(gate) for gate in each.get("gates") or ()),
        commands=tuple(each.get("commands") or ()), estimates=each.get("estimates") or {},
        notes=tuple(each.get("notes") or ()),
    )  # fmt: skip
