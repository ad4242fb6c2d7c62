"""Plain text as Markdown, as GitHub reads it: whatever came from outside stays text, HTML included, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from xcomctl.model.redaction import redact
from xcomctl.report.text import printable

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#&])")
_NO_LINE_START = re.compile(r"^(\s*)([-+]|\d+[.)])(\s)")
#: A line that would be a rule, or make a heading of the line above it.
_RULE = re.compile(r"^(\s*)([-=+])(?=[-=+\s]*$)")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """A table of plain texts; ``right`` are the columns that are aligned there."""
    aligned = set(right)
    rules = ["---:" if index in aligned else "---" for index in range(len(heads))]
    lines = [[escape(head) for head in heads], rules, *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Plain text as Markdown that shows exactly that text, on one line."""
    text = (
        _SPECIAL.sub(r"\\\1", printable(redact(text)))
        .replace(r"\<", "&lt;")
        .replace(r"\>", "&gt;")
        .replace(r"\&", "&amp;")
    )
    text = re.sub(r"(?<=\w)\\_(?=\w)", "_", text)  # a_b is no emphasis, and reads better unescaped
    return _RULE.sub(r"\1\\\2", _NO_LINE_START.sub(r"\1\\\2\3", text))


def code(text: str) -> str:
    """The text as inline code, also within a table."""
    text = printable(redact(text)).replace("|", "\\|") or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def block(lines: Iterable[str], language: str = "") -> str:
    """The lines as a fenced block, the fence longer than any within."""
    body = "\n".join(printable(redact(line)) for line in lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}{language}\n{body}\n{fence}"


def bullets(lines: Iterable[str]) -> str:
    """Plain texts as a list."""
    return "\n".join(f"- {escape(line)}" for line in lines)


def join(parts: Iterable[str]) -> str:
    """Blocks as one text, an empty line between them."""
    return "\n\n".join(part for part in parts if part)
