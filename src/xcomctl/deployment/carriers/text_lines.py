"""What the carriers of plain text share: their line ends, and how a line goes without leaving a trace."""

from __future__ import annotations


def line_end_of(text: str) -> str:
    """The line end that a new line of this text gets."""
    return "\r\n" if "\r\n" in text else "\n"


def ends_with_line_end(text: str) -> bool:
    """Whether the last line of a text is complete; an empty text has none."""
    return text.endswith(("\n", "\r"))


def without_lines(text: str, start: int, end: int) -> str:
    """The text without the whole lines from ``start`` to ``end``.

    When they are the last ones and the text does not end with a line end, it does not end with one afterwards either.
    """
    head, tail = text[:start], text[end:]
    if tail or ends_with_line_end(text):
        return head + tail
    return head[:-2] if head.endswith("\r\n") else head[:-1] if ends_with_line_end(head) else head
