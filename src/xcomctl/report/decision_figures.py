"""The sections about the threshold: who decided on which, what was measured, what each one does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import quote

from xcomctl.model import decision
from xcomctl.model.decision import DecisionRecord, Judged
from xcomctl.model.size import SizeReport
from xcomctl.report import size_story, units
from xcomctl.report.markdown import block, bullets, escape, join, table
from xcomctl.report.size_story import Section
from xcomctl.report.size_text import histogram

#: Columns of the histogram: what a page of Markdown shows without scrolling.
_WIDTH = 80
#: What :func:`xcomctl.report.size_story.sections` tells of thresholds.
_EFFECTS, _SUGGESTIONS = "thresholds", "suggestions"


def caution(judged: Judged) -> list[str]:
    """What is missing or does not count, in bold, and the commands that mend it; nothing where all is well."""
    if not judged.said:
        return []
    said = [f"**{escape(sentence)}**" for sentence in judged.said]
    return [" ".join(said), *([block(judged.commands, "sh")] if judged.commands else [])]


def decided(record: DecisionRecord) -> str:
    """Who decided on which threshold, why that one, and what it moves."""
    choice = record.choice
    parts = [f"## {decision.TITLES[decision.DECISION]}"]
    if choice.threshold is None:
        parts += ["**Not decided yet: no threshold is chosen.** Name one, or measure:", block([f"{record.again} --threshold BYTES"], "sh")]  # fmt: skip
    elif choice.decided is None:
        parts += [
            f"**Not decided yet.** What follows is about {_in_bytes(choice.threshold)}. To decide on it:",
            block([f"{record.again} --threshold {choice.threshold} --decided-by NAME"], "sh"),
        ]
    if choice.before is not None:
        parts.append(
            escape(f"{choice.before.by} decided on {_in_bytes(choice.before.threshold)}; that is not this one.")
        )
    rows: list[tuple[str, str]] = []
    if choice.threshold is not None:
        rows += [("Threshold", _in_bytes(choice.threshold)), ("Why", choice.why)]
        rows += [("Leaves the database", moved) for moved in _moved(record.evidence.size, choice.threshold)]
    if record.deployment:
        rows.append(("Deployment", record.deployment))
    if record.base_path:
        rows.append(("Base path", record.base_path))
    if choice.decided is not None:
        rows += [("Decided by", choice.decided.by), ("Decided on", choice.decided.at)]
    return join([*parts, table(("What", "Value"), rows) if rows else ""])


def measured(record: DecisionRecord) -> str:
    """The distribution: figures, a histogram, a plot, where the bytes are."""
    parts = [f"## {decision.TITLES[decision.MEASURED]}", *caution(record.judged[decision.MEASURED])]
    report = record.evidence.size
    if report is None:
        return join(parts)
    parts.append(escape(f"{size_story.headline(report)}; {size_story.verdict_line(report)}."))
    for each in size_story.sections(report):
        if each.id == size_story.DISTRIBUTION:
            parts += [_title(each), block(histogram(report.answer, _WIDTH), "text")]
            parts += [f"![Distribution of the sizes of XComs](<{quote(record.chart)}>)"] if record.chart else []
        elif each.id not in (_EFFECTS, _SUGGESTIONS):
            parts += _told(each)
    return join(parts)


def thresholds(record: DecisionRecord) -> str:
    """What each threshold does that was suggested or asked for, and why it was suggested; the chosen one is marked."""
    parts = [f"## {decision.TITLES[decision.THRESHOLDS]}", *caution(record.judged[decision.THRESHOLDS])]
    report = record.evidence.size
    if report is None:
        return join(parts)
    told = [each for each in size_story.sections(report) if each.id in (_EFFECTS, _SUGGESTIONS)]
    for each in told:
        rows = each.rows
        if each.id == _EFFECTS:
            chosen = units.number(record.choice.threshold)
            rows = tuple((row[0], f"{row[1]}, chosen", *row[2:]) if row[0] == chosen else row for row in rows)
        parts += _told(replace(each, rows=rows, title="" if each.id == _EFFECTS else each.title))
    return join([*parts, "" if told else "No threshold was suggested or asked for."])


def _told(section: Section) -> Iterator[str]:
    """A section of a measurement as Markdown."""
    yield _title(section)
    yield from (escape(line) for line in section.lines)
    if section.rows:
        yield table(section.heads or [""] * len(section.rows[0]), section.rows, right=section.right)
    yield bullets(section.notes)
    if section.commands:
        yield block(section.commands, "sh")


def _title(section: Section) -> str:
    return f"### {escape(section.title)}" if section.title else ""


def _moved(report: SizeReport | None, threshold: int) -> Iterator[str]:
    """What that threshold takes out of the database, as the measurement tells it; nothing where that was not measured."""
    number = units.number(threshold)
    for section in size_story.sections(report) if report is not None else ():
        if section.id == _EFFECTS:
            for row in (row for row in section.rows if row[0] == number):
                of_values, size, of_bytes, objects = row[3:7]
                notes = "".join(f"; {note.partition(': ')[2].rstrip('.')}" for note in section.notes if note.startswith(f"{number}: "))  # fmt: skip
                yield f"{row[2]} values ({of_values}), {size} ({of_bytes} of the bytes), {objects} objects a day{notes}"
                return


def _in_bytes(value: int) -> str:
    return f"{units.number(value)} bytes ({units.size(value)})"
