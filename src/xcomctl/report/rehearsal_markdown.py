"""A rehearsal as Markdown, for a ticket or a pull request. Whatever came from outside is escaped, HTML included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report import check_words, units
from xcomctl.report import rehearsal_story as story
from xcomctl.report.text import printable

_ORPHANS_SHOWN = 20
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#&])")
_NO_LINE_START = re.compile(r"^(\s*)([-+]|\d+[.)])(\s)")


def to_markdown(report: RehearsalReport) -> str:
    """The whole report as one Markdown document (tables as GitHub reads them), ending with a newline."""
    parts: list[str] = [f"# {story.headline(report)}", f"**{_escape(story.verdict_line(report))}**"]
    facts = [f"Started {units.moment(report.started)}", f"took {units.seconds(story.took(report))}"]
    parts.append(_escape(", ".join([*facts, f"exit code {report.verdict.exit_code}"]) + "."))
    parts += _failure(report)
    told = story.break_story(report)
    if told is not None:
        parts.append(f"## {_escape(told.headline)}")
        if told.received is not None:
            parts.append(_block([told.received]))
        parts += [_escape(sentence) for sentence in told.sentences]
    found = story.figures(report)
    if found:
        parts.append("## Measured")
        parts.append(
            _table(("Figure", "Value", "What it spans"), [(f.label, f.value, f.note) for f in found], right=(1,))
        )
    if report.strategies:
        parts.append("## Ways back")
        rows = [story.strategy_row(result) for result in report.strategies]
        parts.append(_table(story.STRATEGY_COLUMNS, rows, right=range(1, 6)))
    if report.planned:
        parts.append("## Scenarios")
        parts.append(_table(story.SCENARIO_COLUMNS, story.scenario_rows(report), right=(1, 2)))
    if report.checks:
        parts.append("## Observations")
        parts.append(f"{check_words.tally(report.checks)}.")
        for category, members in check_words.by_category(report.checks).items():
            parts.append(f"### {_escape(category)}")
            parts.append(
                "| Status | Check | What was seen |\n| --- | --- | --- |\n"
                + "\n".join(
                    f"| {check_words.label(check.status)} | {_code(check.id)} | {_escape(check_words.told(check))}"
                    + (f"<br>→ {_code(check.hint)}" if check.hint and check.status.value != "ok" else "")
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
        parts.append(_table(("Status", "Began at", "Took", "Step"), steps, right=(1, 2)))
    parts += _left_behind(report)
    if report.next_steps:
        parts += ["## Next", _block(report.next_steps, "sh")]
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
        yield _escape(failure.message)
    if failure.hint:
        yield f"→ {_escape(failure.hint)}"
    if failure.log:
        yield "The log lines that matter:"
        yield _block(failure.log)


def _left_behind(report: RehearsalReport) -> Iterable[str]:
    if not report.orphans and report.stranded is None:
        return
    yield "## Left behind"
    yield _escape(story.orphans_line(report))
    if report.orphans:
        shown = [
            f"| {units.size(story.orphan_size(orphan))} | {_code(story.orphan_path(orphan))} |"
            for orphan in report.orphans[:_ORPHANS_SHOWN]
        ]
        yield "\n".join(["| Size | Object |", "| ---: | --- |", *shown])
        if len(report.orphans) > _ORPHANS_SHOWN:
            yield f"… and {units.number(len(report.orphans) - _ORPHANS_SHOWN)} more; all of them are in `report.json`."
    yield _escape(story.stranded_line(report))


def _mapping(head: str, values: Mapping[str, object]) -> str:
    if not values:
        return ""
    rows = [f"| {_escape(str(key))} | {_code(story.setting(value))} |" for key, value in values.items()]
    return "\n".join([f"| {head} | |", "| --- | --- |", *rows])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    rules = ["---:" if index in set(right) else "---" for index in range(len(heads))]
    lines = [heads, rules, *([_escape(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escape(text: str) -> str:
    """Plain text as Markdown that shows exactly that text, on one line."""
    text = _SPECIAL.sub(r"\\\1", printable(text)).replace(r"\<", "&lt;").replace(r"\>", "&gt;").replace(r"\&", "&amp;")
    text = re.sub(r"(?<=\w)\\_(?=\w)", "_", text)  # a_b is no emphasis, and reads better unescaped
    return _NO_LINE_START.sub(r"\1\\\2\3", text)


def _code(text: str) -> str:
    """The text as inline code, also within a table."""
    text = printable(text).replace("|", "\\|") or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _block(lines: Iterable[str], language: str = "") -> str:
    """The lines as a fenced block, the fence longer than any within."""
    body = "\n".join(printable(line) for line in lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"
