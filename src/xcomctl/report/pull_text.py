"""A run's XComs as text: where each lay, what a task gets, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from xcomctl.model.pull import OBJECT, PulledAnswer, PulledItem
from xcomctl.model.redaction import redact
from xcomctl.report import units
from xcomctl.report.text import ascii_only, holds_unicode, printable


def render_item(item: PulledItem, stream: TextIO, *, full: bool) -> None:
    """One XCom: a line of what it is, below it the object's URL and the value (``full``: all of it), or the problem."""
    size = item.object_bytes if item.place == OBJECT else item.stored_bytes
    facts = [item.name, f"{item.place} {units.size(size)}" if size is not None else item.place]
    facts += [item.type] if item.type else []
    facts += ["ALIAS"] if item.alias else []
    facts += [f"sha256 {item.digest[:12]}"] if item.digest and item.place == OBJECT else []
    facts += [units.moment(item.pushed)] if item.pushed else []
    lines = ["  ".join(facts)]
    if item.problem:
        lines.append(f"    ERROR {item.problem}: {item.detail}")
    else:
        if item.uri:
            lines.append(f"    {item.uri}")
        lines.append(f"    {_value(item, full)}")
    for line in lines:
        text = redact(printable(line))  # whoever wants a value to the letter writes it to a file
        stream.write((text if holds_unicode(stream) else ascii_only(text)) + "\n")


def _value(item: PulledItem, full: bool) -> str:
    if full and item.has_json:
        import json

        return json.dumps(item.json)
    if item.whole_text:
        return item.text
    how = "" if item.value_bytes is None else f" ({item.value_bytes:,} bytes; --full, or --to DIR)"
    return f"{item.text}…{how}"


def render_end(
    answer: PulledAnswer,
    counts: Mapping[str, int],
    problems: Mapping[str, int],
    object_bytes: int,
    stream: TextIO,
) -> None:
    """What the whole came to."""
    shown = f"{answer.shown:,} of {answer.xcoms:,} XComs" if answer.shown < answer.xcoms else f"{answer.xcoms:,} XComs"
    lines = [
        f"{shown} of a run that is {answer.run_state or 'in no state'}: {counts['inline']:,} inline, "
        f"{units.count(counts['objects'], 'object')}"
        + (f" ({units.size(object_bytes)})" if counts["objects"] else "")
        + f"; read under {answer.phase}"
    ]
    if problems:
        named = ", ".join(f"{count:,} {problem}" for problem, count in sorted(problems.items()))
        lines.append(f"not what a task should get: {named}")
    lines += answer.warnings
    stream.write("\n".join(lines) + "\n")
