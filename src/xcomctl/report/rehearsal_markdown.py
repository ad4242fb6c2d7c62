"""A rehearsal as Markdown, for a ticket or a pull request. Whatever came from outside is escaped, HTML included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import check_words, units
from xcomctl.report import rehearsal_story as story
from xcomctl.report.markdown import block, code, escape, table

_ORPHANS_SHOWN = 20


def to_markdown(report: RehearsalReport) -> str:
    """The whole report as one Markdown document (tables as GitHub reads them), ending with a newline."""
    parts: list[str] = [f"# {story.headline(report)}", f"**{escape(story.verdict_line(report))}**"]
    facts = [f"Started {units.moment(report.started)}", f"took {units.seconds(story.took(report))}"]
    parts.append(escape(", ".join([*facts, f"exit code {report.verdict.exit_code}"]) + "."))
    parts += _failure(report)
    told = story.break_story(report)
    if told is not None:
        parts.append(f"## {escape(told.headline)}")
        if told.received is not None:
            parts.append(block([told.received]))
        parts += [escape(sentence) for sentence in told.sentences]
    found = story.figures(report)
    if found:
        parts.append("## Measured")
        parts.append(
            table(("Figure", "Value", "What it spans"), [(f.label, f.value, f.note) for f in found], right=(1,))
        )
    if report.strategies:
        parts.append("## Ways back")
        rows = [story.strategy_row(result) for result in report.strategies]
        parts.append(table(story.STRATEGY_COLUMNS, rows, right=range(1, 6)))
    if report.planned:
        parts.append("## Scenarios")
        parts.append(table(story.SCENARIO_COLUMNS, story.scenario_rows(report), right=(1, 2)))
    if report.checks:
        parts.append("## Observations")
        parts.append(f"{check_words.tally(report.checks)}.")
        for category, members in check_words.by_category(report.checks).items():
            parts.append(f"### {escape(category)}")
            parts.append(
                "| Status | Check | What was seen |\n| --- | --- | --- |\n"
                + "\n".join(
                    f"| {check_words.label(check.status)} | {code(check.id)} | {escape(check_words.told(check))}"
                    + (f"<br>→ {code(check.hint)}" if check.hint and check.status.value != "ok" else "")
                    + " |"
                    for check in members
                )
            )
    if report.steps:
        parts.append("## Steps")
        steps = [
            (
                check_words.label(step.status),
                units.seconds(step.start_s),
                units.seconds(step.end_s - step.start_s),
                step.title + (f": {step.detail}" if step.detail else ""),
            )
            for step in report.steps
        ]
        parts.append(table(("Status", "Began at", "Took", "Step"), steps, right=(1, 2)))
    parts += _left_behind(report)
    if report.next_steps:
        parts += ["## Next", block(report.next_steps, "sh")]
    parts.append("## What was rehearsed")
    parts.append(_mapping("Setting", report.settings))
    parts.append(_mapping("Version of", report.versions))
    if report.fingerprint:
        parts.append(_mapping("Fingerprint", report.fingerprint))
    if report.extra:
        parts.append(_mapping("Also recorded", report.extra))
    return "\n\n".join(part for part in parts if part) + "\n"


def _failure(report: RehearsalReport) -> Iterable[str]:
    failure = report.failure
    if failure is None:
        return
    if report.verdict is Verdict.INTERRUPTED:
        yield escape(failure.message)
    if failure.hint:
        yield f"→ {escape(failure.hint)}"
    if failure.log:
        yield "The log lines that matter:"
        yield block(failure.log)


def _left_behind(report: RehearsalReport) -> Iterable[str]:
    if not report.orphans and report.stranded is None:
        return
    yield "## Left behind"
    yield escape(story.orphans_line(report))
    if report.orphans:
        shown = [
            f"| {units.size(story.orphan_size(orphan))} | {code(story.orphan_path(orphan))} |"
            for orphan in report.orphans[:_ORPHANS_SHOWN]
        ]
        yield "\n".join(["| Size | Object |", "| ---: | --- |", *shown])
        if len(report.orphans) > _ORPHANS_SHOWN:
            yield f"… and {units.number(len(report.orphans) - _ORPHANS_SHOWN)} more; all of them are in `report.json`."
    yield escape(story.stranded_line(report))


def _mapping(head: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    rows = [f"| {escape(str(key))} | {code(story.setting(value))} |" for key, value in values.items()]
    return "\n".join([f"| {head} | |", "| --- | --- |", *rows])
