"""The open risks that follow from what a decision rests on. Each is one sentence; people add their own in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from xcomctl.assess.decision_judged import differences
from xcomctl.assess.decision_terms import Terms
from xcomctl.model import decision
from xcomctl.model.decision import Choice, Evidence, Judged, PlanSeen, effect_of
from xcomctl.model.fingerprint import Severity
from xcomctl.model.plan import REFUSED, UNKNOWN
from xcomctl.model.verdicts import Check, Status
from xcomctl.report import check_words, units

_OPEN = (Status.FAIL, Status.SKIP, Status.WARN)


def risks(evidence: Evidence, choice: Choice, judged: Mapping[str, Judged], terms: Terms) -> tuple[str, ...]:
    """Every risk, what was chosen first, each once."""
    return tuple(dict.fromkeys([
        *_choice(evidence, choice),
        *_inputs(judged),
        *(f"{decision.TITLES[name]}: it names no deployment, so it may be of another one." for name, each in evidence.sources.items() if each.unnamed),
        *_size(evidence, choice, terms),
        *_preflight(evidence),
        *_rehearsal(evidence, choice),
        *(_plan(evidence.up) if evidence.up is not None else ()),
    ]))  # fmt: skip


def _choice(evidence: Evidence, choice: Choice) -> Iterator[str]:
    if choice.threshold is None:
        yield "No threshold is chosen."
        return
    floor = evidence.size.answer.floor if evidence.size is not None else None
    if floor is not None and choice.threshold < floor.bytes:
        yield (
            f"The threshold is below the floor of {units.number(floor.bytes)} bytes: control-flow XComs that the scheduler "
            "reads past the backend would be offloaded, and skipped branches run (F36)."
        )
    if choice.suggested is not None and choice.threshold != choice.suggested:
        yield f"The threshold is {units.number(choice.threshold)} bytes, and the measurement suggests {units.number(choice.suggested)}."
    if choice.before is not None:
        yield f"{choice.before.by} decided on {units.number(choice.before.threshold)} bytes, not on what is chosen here."
    elif choice.decided is None:
        yield "Nobody has decided yet."


def _inputs(judged: Mapping[str, Judged]) -> Iterator[str]:
    for name, each in judged.items():
        if each.said:
            yield f"{decision.TITLES[name]}: {' '.join(each.said)}"


def _size(evidence: Evidence, choice: Choice, terms: Terms) -> Iterator[str]:
    report = evidence.size
    if report is None:
        return
    effect = effect_of(report, choice.threshold)
    if effect is not None and effect.uncertain:
        yield f"Up to {units.count(effect.uncertain, 'value')} more may reach the threshold: their size is not known well enough."
    if report.answer.sampled is not None:
        yield f"Measured on a sample of {units.share(report.answer.sampled.share)} of the table: what is rare may not be in it."
    for check in report.checks:
        count = check.data.get("count")
        if check.status in _OPEN and count != 0:
            counted = f" ({units.number(count)})" if isinstance(count, int) and not isinstance(count, bool) else ""
            yield f"Values that cannot make the trip, {check.id}{counted}: {check_words.told(check)}"
    if report.checks_at is None:
        yield f"Nobody looked for values that cannot make the trip: xcomctl size --trip{terms.contexts}"
    stored = report.answer.offloaded
    if stored is not None and stored.dangling:
        yield f"{units.count(stored.dangling, 'reference')} have no object any more: they are read as path strings (F2)."
    for warning in report.answer.warnings:
        yield f"The measurement warns: {warning}"


def _preflight(evidence: Evidence) -> Iterator[str]:
    seen = evidence.preflight
    if seen is None:
        return
    for context, check in seen.checks:
        if check.status in _OPEN:
            where = f" in {context}" if context else ""
            yield f"Pre-flight {check_words.label(check.status)} {check.id}{where}{_told(check)}"
    if seen.options.skip:
        yield f"The pre-flight was told to leave out {', '.join(seen.options.skip)}."
    if not seen.options.functional:
        yield "The pre-flight did not try the store (--functional-s3)."


def _rehearsal(evidence: Evidence, choice: Choice) -> Iterator[str]:
    seen = evidence.rehearsal
    if seen is None:
        return
    for check in seen.report.checks if seen.report is not None else ():
        if check.status in _OPEN:
            yield f"Rehearsal {check_words.label(check.status)} {check.id}{_told(check)}"
    found, why = differences(evidence, choice.threshold)
    if why:
        yield f"What was rehearsed cannot be compared: {why}"
    # What the gate of a flip would refuse, or what was rehearsed with another backend, the section says itself.
    yield from (f"The rehearsal differs in {each.sentence}." for each in found if each.severity is Severity.WARN and each.field != "compression")  # fmt: skip
    if seen.report is not None and seen.report.stranded:
        yield f"A bare revert leaves {units.count(seen.report.stranded, 'reference')} of finished runs behind as path strings (rehearsed)."


def _plan(seen: PlanSeen) -> Iterator[str]:
    for step in seen.steps:
        for gate in step.gates:
            if gate.status in _OPEN:
                yield f"Plan {step.start} → {step.target}, {check_words.label(gate.status)} {gate.id}{_told(gate)}"
        if step.state in (REFUSED, UNKNOWN) and not step.gates:
            yield f"Plan {step.start} → {step.target}: the step is {step.state}."
    for warning in seen.warnings:
        yield f"Plan to {seen.target}: {warning}"


def _told(check: Check) -> str:
    """The check's own words; the journal keeps none."""
    words = check_words.told(check)
    return f": {words}" if words else ""
