"""Homes that are not there yet, or are empty: the list or mapping is written with what it has to hold."""

from __future__ import annotations

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.places import Form, Home
from xcomctl.deployment.carriers.yaml_edits import Splice, after_colon, column_of, line_end_behind, lines_inserted
from xcomctl.deployment.carriers.yaml_layers import Document
from xcomctl.deployment.carriers.yaml_nodes import Mapping, Node, Sequence, last_offset
from xcomctl.deployment.carriers.yaml_values import as_written, scalar_text

Wanted = dict[str, str]


def is_empty(home: Home) -> bool:
    """Whether a home is there and has nothing in it: ``[]``, ``{}`` or no value at all."""
    if home.key is None:
        return False
    if isinstance(home.value, Sequence):
        return not home.value.items
    return not any(mapping.entries for _, mapping in home.parts)


def filled(home: Home, wanted: Wanted) -> list[Splice]:
    """A home that has nothing in it, with these settings."""
    document, key = home.document, home.key
    assert key is not None
    text = document.text
    colon = after_colon(text, key)
    value = home.parts[-1][1] if home.parts else home.value
    end = value.end if isinstance(value, Node) and colon <= value.start < value.end else colon
    if "\n" in text[colon:end]:
        raise CarrierError(f"{document.at(key, home.where)} is empty and runs over several lines", "write it in one")
    column = column_of(document, key.start) + 2
    return [
        Splice(document, colon, end, ""),
        lines_inserted(document, line_end_behind(text, end), _lines(home, column, wanted)),
    ]


def created(home: Home, document: Document, parent: Mapping | None, wanted: Wanted) -> list[Splice]:
    """A home that is not there, with these settings, as the last key of ``parent`` (``None`` for an empty file)."""
    name = home.where.rsplit(".", 1)[-1]
    if parent is None or not parent.entries:
        if parent is not None:
            raise CarrierError(
                f"{document.path} has nothing at {home.where}", f"write {home.where}: there, and call again"
            )
        lines = [f"{name}:", *_lines(home, 2, wanted)]
        return [lines_inserted(document, len(document.text), lines)]
    if parent.flow:
        raise CarrierError(f"{document.at(parent, home.where)} would go into braces", "write them over several lines")
    key, value = parent.entries[-1]
    column = column_of(document, parent.entries[0][0].start)
    last = max(key.end, last_offset(value)) if value.start >= key.start else key.end
    at = line_end_behind(document.text, len(document.text[:last].rstrip()))
    if parent is document.root and _only_blank(document.text[at:]):
        at = len(document.text)
    return [lines_inserted(document, at, [f"{' ' * column}{name}:", *_lines(home, column + 2, wanted)])]


def _only_blank(rest: str) -> bool:
    """Whether nothing but blank lines and remarks follow."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in rest.split("\n"))


def _lines(home: Home, column: int, wanted: Wanted) -> list[str]:
    indent, lines = " " * column, []
    for name, value in wanted.items():
        written = scalar_text(as_written(value, home.way), "", quoted=True)
        if home.form is Form.LIST:
            lines += [f"{indent}- name: {name}", f"{indent}  value: {written}"]
        else:
            lines.append(f"{indent}{name}: {written}")
    return lines
