"""Text that is safe to show: no control characters, and nothing that the stream's encoding cannot hold."""

from __future__ import annotations

import os
import unicodedata
from typing import TextIO

_ASCII = {
    "…": "...", "→": "->", "←": "<-", "—": "-", "–": "-", "·": "-", "•": "*", "≥": ">=", "≤": "<=", "≈": "~",
    "×": "x", "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u202f": " ", "✓": "ok",
}  # fmt: skip


def printable(text: str, *, keep_newlines: bool = False) -> str:
    """The text with control and bidirectional-override characters made visible as ``\\x1b``, ``\\u202e``.

    Log lines and exception texts come from elsewhere: an escape sequence in one must not drive the reader's terminal.
    Tabs become spaces; line breaks become spaces too unless ``keep_newlines``.
    """
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    if not keep_newlines:
        text = " ".join(part.strip() for part in text.split("\n")).strip() if "\n" in text else text
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" or _harmless(char) else ascii(char)[1:-1] for char in text
    )


def first_line(text: str) -> str:
    """The first line of the text that says something, printable; empty for an empty text."""
    return next((printable(line.strip()) for line in text.splitlines() if line.strip()), "")


def ascii_only(text: str) -> str:
    """The text in ASCII: typographic signs spelled out, everything else as ``\\xe9``."""
    if text.isascii():
        return text
    return "".join(_ASCII.get(char, char) for char in text).encode("ascii", "backslashreplace").decode("ascii")


def holds_unicode(stream: TextIO) -> bool:
    """Whether the stream takes any character: its encoding is a UTF, or it has none (in memory)."""
    encoding = getattr(stream, "encoding", None)
    return not encoding or encoding.lower().replace("-", "").replace("_", "").startswith("utf")


def is_terminal(stream: TextIO) -> bool:
    """Whether the stream is a terminal that understands cursor movement and colour (``TERM=dumb`` is not one)."""
    try:
        return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
    except (AttributeError, ValueError):
        return False


def columns(stream: TextIO, default: int = 80) -> int:
    """The width of the terminal behind the stream, in columns; ``default`` if it cannot be told."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or default
    except (AttributeError, OSError, ValueError):
        return default


def _harmless(char: str) -> bool:
    # Spaces other than " " are not "printable" for Python, and joiners shape ordinary script; bidi controls are not ok.
    return unicodedata.category(char) == "Zs" or char in "\u200c\u200d"
