"""The lines of an INI file, each with its place, as Python's ``configparser`` tells them apart."""

from __future__ import annotations

import re
from configparser import RawConfigParser
from dataclasses import dataclass
from enum import Enum

_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_REMARKS = ("#", ";")


class LineKind(Enum):
    """What a line is. ``CONTINUATION`` belongs to the value of the option above it, however it looks."""

    BLANK = "blank"
    REMARK = "remark"
    HEADER = "header"
    OPTION = "option"
    CONTINUATION = "continuation"
    #: Neither: ``configparser`` refuses a file with such a line.
    OTHER = "other"


@dataclass(frozen=True)
class IniLine:
    """One line: its number (from 1), and the section and key that it belongs to, empty where there is none.

    ``start`` and ``end`` are its offsets in the text, line end included. ``value_start`` and ``value_end`` are those of
    an option's value, without the blanks around it; an empty value stands at the end of the line.
    """

    kind: LineKind
    number: int
    section: str
    key: str
    start: int
    end: int
    indent: str
    value_start: int = 0
    value_end: int = 0


def ini_lines(text: str) -> list[IniLine]:
    """Every line of the text, in order. It follows ``RawConfigParser._read`` with the arguments that Airflow gives."""
    found: list[IniLine] = []
    section = key = ""
    level = 0
    for match in _LINE.finditer(text):
        start, end = match.span()
        if start == end:
            break
        body = match[1]
        content = body.strip()
        lead = len(body) - len(body.lstrip())
        value = (0, 0)
        if not content:
            kind = LineKind.BLANK
        elif content.startswith(_REMARKS):
            kind = LineKind.REMARK
        elif key and lead > level:
            kind = LineKind.CONTINUATION
        else:
            level = lead
            if header := RawConfigParser.SECTCRE.match(content):
                kind, section, key = LineKind.HEADER, header["header"], ""
            elif option := RawConfigParser.OPTCRE.match(content):
                kind, key = LineKind.OPTION, option["option"].rstrip()
                at = start + lead + option.start("value")
                value = (at, at + len(option["value"])) if option["value"] else (start + len(body), start + len(body))
            else:
                kind = LineKind.OTHER
        found.append(IniLine(kind, len(found) + 1, section, key, start, end, body[:lead], *value))
    return found


def end_of_section(lines: list[IniLine], section: str) -> IniLine | None:
    """The line below which a new option of that section goes; ``None`` if the file has no such section.

    That is its last line, less the blank ones, and less the remarks that stand directly above the next section's
    header, which are about that one. A remark that stands below the last option with nothing in between stays below.
    """
    own = [line for line in lines if line.section == section]
    if not own:
        return None
    content = max(at for at, line in enumerate(own) if line.kind not in (LineKind.BLANK, LineKind.REMARK))
    last = len(own) - 1
    if own[-1] is not lines[-1]:
        while last > content and own[last].kind is LineKind.REMARK:
            last -= 1
    while last > content and own[last].kind is LineKind.BLANK:
        last -= 1
    return own[last]
