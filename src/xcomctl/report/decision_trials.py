"""The sections about what was tried and what is planned: pre-flight, rehearsal, the plan up and the plan down."""

from __future__ import annotations

from collections.abc import Iterable

from xcomctl.model import decision, way_out
from xcomctl.model.decision import DecisionRecord, RehearsalSeen
from xcomctl.model.phases import Phase
from xcomctl.model.plan import LATER, READY, REFUSED, PlannedStep
from xcomctl.model.verdicts import Check, Status
from xcomctl.report import check_words, units
from xcomctl.report import rehearsal_story as story
from xcomctl.report.decision_figures import caution
from xcomctl.report.markdown import block, bullets, escape, join, table

#: The ways down that a rehearsal compares.
_WAYS_DOWN = ("runbook", "hard", "soft")
_STATE = {READY: "can be taken now", REFUSED: "refused now", LATER: "later"}


def preflight(record: DecisionRecord) -> str:
    """How the pre-flight ended, what it did not like, what it left out."""
    name, seen = decision.PREFLIGHT, record.evidence.preflight
    parts = [f"## {decision.TITLES[name]}", *caution(record.judged[name])]
    if seen is None:
        return join(parts)
    checks = [check for _, check in seen.checks]
    parts.append(f"{_verdict(seen.verdict)}, {escape(units.moment(seen.at))}: {check_words.tally(checks)}.")
    tried = [(str(each.get("name", "")), *_target(each.get("target"))) for each in seen.contexts]
    if tried:
        parts.append(table(("Context", "Base path", "Threshold", "Compression"), tried, right=(2,)))
    open_ones = [(context, check) for context, check in seen.checks if check.status is not Status.OK]
    if open_ones:
        rows = [
            (check_words.label(check.status), check.id, context or "all", _told(check)) for context, check in open_ones
        ]
        parts.append(table(("Status", "Check", "Context", "What was seen"), rows))
        if not seen.whole:
            parts.append(
                "The journal keeps the outcomes alone. The details are in the JSON of the pre-flight (`--preflight FILE`)."
            )
    hints = dict.fromkeys(check.hint for _, check in open_ones if check.status is Status.FAIL and check.hint)
    if hints:
        parts += ["What mends the fails:", block(_lines(hints))]
    left_out = seen.options.skip
    parts.append(escape(f"Left out by name: {', '.join(left_out)}.") if left_out else "Nothing was left out by name.")
    if not seen.options.functional:
        parts.append("The store was not tried (`--functional-s3`).")
    return join(parts)


def rehearsal(record: DecisionRecord) -> str:
    """How the rehearsal ended, with what, and what every way down cost."""
    name, seen = decision.REHEARSAL, record.evidence.rehearsal
    parts = [f"## {decision.TITLES[name]}", *caution(record.judged[name])]
    if seen is None:
        return join(parts)
    parts.append(f"{_verdict(seen.verdict)}, {escape(units.moment(seen.at))}.")
    report = seen.report
    if report is not None:
        parts.append(escape(story.verdict_line(report)))
        parts.append(table(story.STRATEGY_COLUMNS, _strategies(seen), right=range(1, 6)))
        parts.append(
            "Time broken runs from the edit that reverts the backend until the last affected run was green. A task is broken "
            "when it got a path string instead of its data, whatever its state."
        )
        if report.failure is not None and report.failure.hint:
            parts.append(f"→ {escape(report.failure.hint)}")
        bad = [check for check in report.checks if check.status is not Status.OK]
        if bad:
            parts.append(table(("Status", "Observation", "What was seen"), [(check_words.label(check.status), check.id, _told(check)) for check in bad]))  # fmt: skip
    parts.append(table(("What", "Rehearsed with"), list(_rehearsed_with(seen))))
    return join(parts)


def plan_up(record: DecisionRecord) -> str:
    """The steps up, with what stood in their way, and the commands."""
    name, seen = decision.PLAN_UP, record.evidence.up
    parts = [f"## {decision.TITLES[name]}", *caution(record.judged[name])]
    if seen is None:
        return join(parts)
    way = escape(f"{seen.start or 'not one phase'} → {seen.target}")
    parts.append(f"{way}, as of {escape(units.moment(seen.at))}: {escape(seen.because)}.")
    parts.append(bullets(f"warning: {each}" for each in seen.warnings))
    if not seen.steps:
        parts.append("There was nothing to do then." if seen.start else "There is no plan from there.")
    for number, step in enumerate(seen.steps, 1):
        parts += _step(number, step)
    return join(parts)


def plan_down(record: DecisionRecord) -> str:
    """The steps down: what to type in an incident, and how the provider is taken out later."""
    offload, dual_read, inline = Phase.OFFLOAD.value, Phase.DUAL_READ.value, Phase.INLINE.value
    carrier, contexts = record.carrier, record.contexts
    *soon, last = way_out.after_soft(contexts, carrier, handed_over=False)
    at_once = way_out.once([*way_out.steps(offload, record.base_path, contexts, carrier), *soon])
    by_steps = [
        f"xcomctl rehydrate{contexts}",
        f"xcomctl flip --to {inline}{carrier}{contexts}",
        "# deploy the carrier to every component",
        f"xcomctl wait --to {inline}{contexts}",
        *way_out.after_inline(contexts),
    ]
    return join(
        [
            f"## {decision.TITLES[decision.PLAN_DOWN]}",
            "A bare revert to BaseXCom hands path strings to tasks instead of their data (F1), so it is not among these.",
            f"### 1. {escape(f'{offload} → {dual_read}')}: in an incident",
            "One deploy:",
            block(at_once, "sh"),
            "Where there is time for the gates of a flip, in place of the first:",
            block([f"xcomctl flip --to {dual_read}{carrier}{contexts}"], "sh"),
            f"### 2. {escape(f'{dual_read} → {inline}')}: by daylight, and only to take the provider out",
            "References go back into the database first. In one go:",
            block([last], "sh"),
            "Or step by step:",
            block(by_steps, "sh"),
        ]
    )


def _step(number: int, step: PlannedStep) -> Iterable[str]:
    yield f"### {number}. {escape(f'{step.start} → {step.target}')}: {_STATE.get(step.state, 'cannot be told')}"
    yield f"{escape(step.title)}."
    if step.gates:
        rows = [(check_words.label(gate.status), gate.id, _told(gate), gate.hint if gate.status is not Status.OK else "") for gate in step.gates]  # fmt: skip
        yield table(("Status", "Gate", "What was seen", "What mends it"), rows)
    elif step.state == LATER:
        yield "Its gates are looked at when its turn comes."
    yield bullets(step.notes)
    if step.commands:
        yield block(step.commands, "sh")


def _strategies(seen: RehearsalSeen) -> list[tuple[str, ...]]:
    assert seen.report is not None
    rows = [story.strategy_row(each) for each in seen.report.strategies]
    known = {each.name for each in seen.report.strategies}
    nothing = (units.NOT_MEASURED,) * (len(story.STRATEGY_COLUMNS) - 1)
    return [*rows, *((f"{name} (not rehearsed)", *nothing) for name in _WAYS_DOWN if name not in known)]


def _rehearsed_with(seen: RehearsalSeen) -> Iterable[tuple[str, str]]:
    yield "Scenarios", ", ".join(seen.scenarios) or "none to its end"
    for key, value in seen.settings.items():
        yield key, story.setting(value)
    for key, value in seen.report.versions.items() if seen.report is not None else ():
        yield f"Version of {key}", str(value)
    print_of = [
        f"{name} {seen.fingerprint[name]}" for name in ("airflow", "common_io", "digest") if name in seen.fingerprint
    ]
    yield "Fingerprint", ", ".join(print_of) or "none: offload was not reached"


def _target(target: object) -> tuple[str, str, str]:
    if not isinstance(target, dict):
        return ("did not answer", "", "")
    threshold = target.get("threshold")
    shown = units.number(threshold) if isinstance(threshold, int) else str(threshold)
    return (str(target.get("path") or "(not set)"), shown, str(target.get("compression") or "none"))


def _verdict(verdict: str) -> str:
    return "Passed" if verdict == "ok" else f"**{escape(verdict.capitalize())}**"


def _told(check: Check) -> str:
    return check_words.told(check) or "not in the journal"


def _lines(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(line for text in texts for line in text.splitlines()))
