"""A run's XComs as text: where each lay, what a task gets, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from xcomctl.model.pull import OBJECT, PulledAnswer, PulledItem
from xcomctl.model.redaction import redact
from xcomctl.report import units
from xcomctl.report.text import ascii_only, holds_unicode, printable

#: Characters of a value that are shown unless all of it is wanted.
_SHOWN = 400


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
        _write(line, stream)


def render_file(item: PulledItem, what: str, stream: TextIO) -> None:
    """One XCom that goes to a file."""
    _write(f"{item.name}  {what}", stream)


def _write(line: str, stream: TextIO) -> None:
    text = redact(printable(line))  # whoever wants a value to the letter writes it to a file
    stream.write((text if holds_unicode(stream) else ascii_only(text)) + "\n")


def _value(item: PulledItem, full: bool) -> str:
    if full and item.has_json:
        import json

        return json.dumps(item.json)
    if item.whole_text and (full or len(item.text) <= _SHOWN):
        return item.text
    how = "" if item.value_bytes is None else f" ({item.value_bytes:,} bytes; --full, or --to DIR)"
    return f"{item.text[:_SHOWN]}…{how}"


def render_end(
    answer: PulledAnswer,
    counts: Mapping[str, int],
    problems: Mapping[str, int],
    object_bytes: int,
    kept: int,
    steps: Sequence[str],
    stream: TextIO,
) -> None:
    """What the whole came to. ``kept`` counts files that were there, ``steps`` are what to do next."""
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
    if kept:
        lines.append(f"{units.count(kept, 'file')} {'was' if kept == 1 else 'were'} there and kept: --force replaces")
    lines += answer.warnings
    lines += [f"→ {step}" for step in steps]
    for line in lines:
        _write(line, stream)
