"""A rehearsal told in words and rows: what every renderer says, said once.

Texts here may hold anything that came from outside; escaping is each renderer's own business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xcomctl.model.rehearsal import SCENARIOS, RehearsalReport, StrategyResult
from xcomctl.model.verdicts import Status, Verdict
from xcomctl.report import units

#: The check whose ``data`` holds ``received`` (the path string that the consumer got) and ``task_state``; optionally
#: ``task_id``, ``dag_id``, ``run_id``.
BREAK_CHECK = "break_path_string"

#: The scenario in which a break has to be seen.
RUNBOOK = "runbook"

#: Heads of the columns of the strategies table, the strategy's name first.
STRATEGY_COLUMNS = ("Way back", "Tasks broken", "Tasks re-run", "Time broken", "Objects orphaned", "Bytes moved")
#: Heads of the columns of the scenarios table, the scenario's name first.
SCENARIO_COLUMNS = ("Scenario", "Observed", "Took", "Plays")

_HEADLINES = {
    Verdict.OK: "Rehearsal passed",
    Verdict.WARNINGS: "Rehearsal passed with warnings",
    Verdict.FAILED: "Rehearsal failed",
    Verdict.INCONCLUSIVE: "Rehearsal inconclusive",
    Verdict.REFUSED: "Rehearsal refused",
    Verdict.INTERRUPTED: "Rehearsal interrupted",
}


@dataclass(frozen=True)
class BreakStory:
    """What a bare revert did to the run in flight. ``received`` is None where the break was not seen."""

    headline: str
    received: str | None
    task_state: str | None
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """One of the numbers that people look for first; ``note`` says what it spans."""

    label: str
    value: str
    note: str = ""


def headline(report: RehearsalReport) -> str:
    """The outcome in two or three words."""
    return _HEADLINES[report.verdict]


def verdict_line(report: RehearsalReport) -> str:
    """The outcome in one sentence: where it stopped, or what did or did not hold."""
    held = Counter(check.status for check in report.checks)
    total = len(report.checks)
    if report.verdict is Verdict.INTERRUPTED:
        where = f" during “{step_title(report, report.stopped_at)}”" if report.stopped_at else ""
        return f"Interrupted{where}. What follows was measured until then."
    if report.failure is not None:
        return f"Stopped at “{step_title(report, report.failure.step)}”: {report.failure.message.strip()}"
    if report.verdict is Verdict.OK:
        warned = f"; {units.count(held[Status.WARN], 'warning')}" if held[Status.WARN] else ""
        return f"All {total - held[Status.WARN]} required observations were made{warned}."
    bad = Status.SKIP if report.verdict is Verdict.INCONCLUSIVE else Status.FAIL
    bad = Status.WARN if report.verdict is Verdict.WARNINGS else bad
    names = ", ".join(check.id for check in report.checks if check.status is bad)
    verb = {Status.SKIP: "could not be measured", Status.WARN: "need a look"}.get(bad, "did not hold")
    return f"{held[bad]} of {total} observations {verb}{f': {names}' if names else ''}."


def step_title(report: RehearsalReport, step_id: str | None) -> str:
    """The title of the step with this id; the id itself if the record has no such step."""
    return next((step.title for step in report.steps if step.id == step_id), step_id or "")


def took(report: RehearsalReport) -> float | None:
    """How long the rehearsal ran, in seconds; None if the record does not tell."""
    elapsed = units.between(report.started, report.finished)
    if elapsed is None:
        elapsed = max((step.end_s for step in report.steps), default=None)
    return elapsed


def break_story(report: RehearsalReport) -> BreakStory | None:
    """What the consumer received after the bare revert, in words; None if this rehearsal never meant to break anything."""
    check = next((check for check in report.checks if check.id == BREAK_CHECK), None)
    if check is None:
        if report.verdict is Verdict.OK or (report.planned and RUNBOOK not in report.planned):
            return None
        why = "The rehearsal ended before the backend was reverted under a run in flight: it proves no way back."
        return BreakStory("The break was not reached", None, None, (why,))
    received, state = check.data.get("received"), check.data.get("task_state")
    state = str(state) if state is not None else None
    if check.status is Status.SKIP:
        return BreakStory("The break could not be measured", None, state, (sentence(check.detail or check.title),))
    if check.status is Status.FAIL or not isinstance(received, str):
        reasons = (
            sentence(check.detail or check.title),
            "A rehearsal that cannot show the break proves nothing about the way back.",
        )
        return BreakStory("The break did not happen", received if isinstance(received, str) else None, state, reasons)
    who = f"Task {check.data['task_id']}" if check.data.get("task_id") else "The consumer"
    sentences = (
        f"{who} asked for its input and Airflow gave it the text above, as if that were the value. "
        "The data was still in the object store; the backend that follows such a reference was gone.",
        _what_the_grid_showed(state),
        *_recovery(report),
    )
    return BreakStory(
        "After the bare revert, the consumer got a path string instead of its data", received, state, sentences
    )


def _what_the_grid_showed(state: str | None) -> str:
    if state == "success":
        return (
            "Its task ended as success. Nothing turned red there: an alert on failed tasks stays silent wherever code "
            "trusts its input, and the wrong value travels on."
        )
    if state is None:
        return "How its task ended was not recorded."
    return (
        f"Its task ended as {state}, so the grid shows it here. A consumer that does not check its input ends as "
        "success and passes the wrong value on."
    )


def _recovery(report: RehearsalReport) -> Iterable[str]:
    worst = _breaking(report)
    if worst is not None and worst.time_broken_s is not None:
        yield (
            f"The way back, {worst.name}: {units.count(worst.tasks_broken, 'task')} broken, "
            f"{units.count(worst.tasks_rerun, 'task')} run again, {units.seconds(worst.time_broken_s)} from the revert "
            "until the last affected run was green."
        )


def _breaking(report: RehearsalReport) -> StrategyResult | None:
    broke = [result for result in report.strategies if result.tasks_broken]
    return max(broke, key=lambda result: result.time_broken_s or 0.0, default=None)


def figures(report: RehearsalReport) -> tuple[Figure, ...]:
    """The measured figures, most wanted first. Those of the costliest way back if several were rehearsed."""
    worst = _breaking(report) or next(iter(report.strategies), None)
    found: list[Figure] = []
    if worst is not None:
        found += [
            Figure("Time broken", units.seconds(worst.time_broken_s), "revert until the last affected run is green"),
            Figure("Tasks broken", units.number(worst.tasks_broken), "received a path instead of data"),
            Figure("Tasks re-run", units.number(worst.tasks_rerun), "cleared to heal"),
        ]
    if report.restarts_s:
        mean = sum(report.restarts_s) / len(report.restarts_s)
        spread = f"{units.seconds(min(report.restarts_s))} to {units.seconds(max(report.restarts_s))}"
        note = f"mean of {len(report.restarts_s)}, {spread}" if len(report.restarts_s) > 1 else "measured once"
        found.append(Figure("Restart per flip", units.seconds(mean), note))
    if report.orphans or report.stranded is not None:
        found.append(Figure("Objects orphaned", units.number(len(report.orphans)), units.size(orphan_bytes(report))))
    if report.peak_memory_bytes is not None:
        found.append(Figure("Peak memory", units.memory(report.peak_memory_bytes), "the whole sandbox"))
    return tuple(found)


def strategy_row(result: StrategyResult) -> tuple[str, ...]:
    """One row of the strategies table, in the order of :data:`STRATEGY_COLUMNS`."""
    return (
        result.name,
        units.number(result.tasks_broken),
        units.number(result.tasks_rerun),
        units.seconds(result.time_broken_s),
        units.number(result.objects_orphaned)
        + (f" ({units.size(result.bytes_orphaned)})" if result.objects_orphaned and result.bytes_orphaned else ""),
        units.size(result.bytes_moved)
        + (
            f" ({units.seconds(result.time_moved_s)})" if result.bytes_moved and result.time_moved_s is not None else ""
        ),
    )


def scenario_rows(report: RehearsalReport) -> list[tuple[str, ...]]:
    """The scenarios that were to be played, as rows in the order of :data:`SCENARIO_COLUMNS`."""
    return [_scenario_row(report, name) for name in dict.fromkeys((*report.planned, *report.scenarios))]


def _scenario_row(report: RehearsalReport, name: str) -> tuple[str, ...]:
    steps = [step for step in report.steps if step.scenario == name]
    ids = {step.id for step in steps}
    made = Counter(check.status for check in report.checks if check.category in ids)
    seen = f"{made[Status.OK]} of {made.total() - made[Status.WARN]}"
    if name not in report.scenarios:
        seen = f"{seen}, not to its end" if steps else "not reached"
    took = sum(step.end_s - step.start_s for step in steps) if steps else None
    return name, seen, units.seconds(took), SCENARIOS.get(name, "")


def orphan_bytes(report: RehearsalReport) -> int | None:
    """The orphans' known sizes added up, in bytes; None if there are orphans and no size is known."""
    sizes = [size for orphan in report.orphans if (size := orphan_size(orphan)) is not None]
    return sum(sizes) if sizes or not report.orphans else None


def orphan_size(orphan: Mapping[str, object]) -> int | None:
    """One orphan's size in bytes; None if it is unknown."""
    size = orphan.get("size")
    return size if isinstance(size, int) else None


def orphan_path(orphan: Mapping[str, object]) -> str:
    """One orphan's path; empty if the record has none."""
    return str(orphan.get("path", ""))


def orphans_line(report: RehearsalReport) -> str:
    """How many objects no reference names any more, and how large they are together."""
    if not report.orphans:
        return (
            "No orphaned objects were found." if report.verdict is Verdict.OK else "No orphaned objects were recorded."
        )
    return (
        f"{units.count(len(report.orphans), 'object')}, {units.size(orphan_bytes(report))}, which no reference names "
        "any more. Airflow never deletes them; a lifecycle rule on the store does."
    )


def stranded_line(report: RehearsalReport) -> str:
    """What a plain revert leaves behind unreadable in finished runs."""
    if report.stranded is None:
        return "References of finished runs were not counted."
    if report.stranded == 0:
        return "No finished run keeps a reference."
    return (
        f"{units.count(report.stranded, 'reference')} of finished runs: whoever reads one under BaseXCom gets a path "
        "string (a task cleared alone, include_prior_dates, a pull from another run). Write them back into the database "
        "before going inline."
    )


def setting(value: object) -> str:
    """A setting's value as text: whole numbers with thousands separated, ``(not set)`` for None."""
    if value is None or value == "":
        return "(not set)"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value} ({units.size(value)})" if value >= 10_000 else str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={setting(inner)}" for key, inner in value.items()) or "(none)"
    if isinstance(value, list | tuple):
        return ", ".join(setting(inner) for inner in value) or "(none)"
    return str(value)


def sentence(text: str) -> str:
    """The text as a sentence. Only an ordinary word gets its capital: identifiers stay what they are."""
    text = text.strip()
    if text.partition(" ")[0].isalpha():
        text = text[0].upper() + text[1:]
    return text if not text or text[-1] in ".!?" else f"{text}."
