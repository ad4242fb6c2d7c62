"""Edits of YAML by its text: each replaces, adds or takes out what it is about, at the exact offsets, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.places import Form, Place
from xcomctl.deployment.carriers.text_lines import ends_with_line_end, line_end_of
from xcomctl.deployment.carriers.yaml_layers import Document
from xcomctl.deployment.carriers.yaml_nodes import Mapping, Node, Scalar, Sequence, last_offset
from xcomctl.deployment.carriers.yaml_values import Way, as_written, scalar_text
from xcomctl.model.settings import SETTINGS, THRESHOLD, Setting

_PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)*")


@dataclass(frozen=True)
class Splice:
    """A replacement of ``start`` to ``end`` in a document's text."""

    document: Document
    start: int
    end: int
    text: str


def spliced(document: Document, splices: Iterable[Splice]) -> str:
    """The text of a document with every splice that is its own applied; several at one place come in their order."""
    text, done = "", 0
    for splice in sorted((each for each in splices if each.document is document), key=lambda each: each.start):
        if splice.start < done:
            raise CarrierError(f"{document.path} cannot be edited exactly: two edits meet in one place")
        text += document.text[done : splice.start] + splice.text
        done = splice.end
    return text + document.text[done:]


def setting_of(name: str) -> Setting:
    """The setting that an environment variable stands for."""
    return next(setting for setting in SETTINGS if setting.env == name)


def value_set(place: Place, value: str) -> Splice:
    """The value replaced, in the quotes that are there; the threshold always in quotes (F35)."""
    text = place.document.text
    written = as_written(value, place.home.way)
    if place.home.form is Form.ASSIGNMENTS:
        return _assignment(place, place.name, written)
    node = place.value
    if node is None:
        raise CarrierError(f"{place.shown} has a name and no value", "write value: there, and call again")
    if node.start >= node.end:
        at = after_colon(text, key_of(place))
        return Splice(place.document, at, at, f" {scalar_text(written, '', quoted=_insists(place.name))}")
    assert isinstance(node, Scalar)
    if "\n" in text[node.start : node.end]:
        raise CarrierError(f"{place.shown}: the value runs over several lines", "write it in one line, and call again")
    return _scalar(place.document, node, written, quoted=_insists(place.name))


def renamed(place: Place, name: str) -> Splice:
    """A name replaced by the one that was meant: that of a variable, or of the key of a section."""
    if place.home.form is Form.ASSIGNMENTS:
        assert isinstance(place.value, Scalar)
        return _assignment(place, name, place.value.text.partition("=")[2])
    return _scalar(place.document, place.named, name)


def section_renamed(place: Place, section: str) -> Splice:
    """The section that a place is in, under another name."""
    assert place.under is not None
    return _scalar(place.document, place.under[0], section)


def removed(found: list[Place]) -> list[Splice]:
    """Without these settings, which stand in one list or mapping."""
    owner, home, document = found[0].owner, found[0].home, found[0].document
    entries: list[Node] = list(owner.items) if isinstance(owner, Sequence) else [key for key, _ in owner.entries]
    gone = [entry for entry in entries if any(place.entry is entry for place in found)]
    if owner.flow and len(gone) < len(entries):
        return [_flow_removed(document, owner, entries, entry) for entry in gone]
    splices = []
    if len(gone) == len(entries):
        key = found[0].under[0] if found[0].under is not None else home.key
        if key is None or home.text or owner.anchored or owner.flow:
            raise CarrierError(f"{found[0].shown} is all that there is in it", "take it out by hand")
        colon = after_colon(document.text, key)
        splices.append(Splice(document, colon, colon, " []" if isinstance(owner, Sequence) else " {}"))
    runs: list[tuple[int, int]] = []
    for start, end in (_lines(document, owner, entry) for entry in gone):
        if runs and runs[-1][1] == start:
            start = runs.pop()[0]
        runs.append((start, end))
    for start, end in runs:
        if end == len(document.text) and not ends_with_line_end(document.text):
            start = len(document.text[:start].rstrip("\r\n"))
        splices.append(Splice(document, start, end, ""))
    return splices


def added_beside(place: Place, wanted: dict[str, str]) -> list[Splice]:
    """Settings below one that is there, written as that one is; of the same section where there are sections."""
    document, owner = place.document, place.owner
    sections = place.home.form is Form.SECTIONS
    entries = [(setting_of(name).key if sections else name, name, value) for name, value in wanted.items()]
    if owner.flow:
        at = _entry_end(owner, place.entry)
        return [Splice(document, at, at, "".join(f", {_flow_entry(place, *entry)}" for entry in entries))]
    start, end = _lines(document, owner, place.entry)
    indent = " " * _column(document, start, place)
    return [lines_inserted(document, end, [line for entry in entries for line in _entry_lines(place, indent, *entry)])]


def section_added(
    place: Place, wanted: dict[str, str], present: tuple[Document, Mapping, Scalar | None] | None
) -> list[Splice]:
    """Options of another section than that of ``place``; ``present`` is where that section stands, if it does."""
    options = [f"{setting_of(name).key}: {_new_value(place, name, value)}" for name, value in wanted.items()]
    if place.under is None or place.owner.flow:
        raise CarrierError(f"{place.shown}: a section in braces cannot be added to", "write it over several lines")
    if present is not None and present[1].entries:
        source, section, _ = present
        last = section.entries[-1][0]
        if section.flow:
            at = _entry_end(section, last)
            return [Splice(source, at, at, "".join(f", {option}" for option in options))]
        indent = " " * column_of(source, last.start)
        return [lines_inserted(source, _lines(source, section, last)[1], [indent + option for option in options])]
    outer = column_of(place.document, place.under[0].start)
    inner = " " * column_of(place.document, place.named.start)
    lines = [inner + option for option in options]
    if present is not None and (key := present[2]) is not None:  # `common.io: {}`
        source, section, _ = present
        colon = after_colon(source.text, key)
        return [
            Splice(source, colon, section.end, ""),
            lines_inserted(source, line_end_behind(source.text, section.end), lines),
        ]
    _, end = _lines(place.document, place.owner, place.under[1].entries[-1][0])
    header = f"{' ' * outer}{setting_of(next(iter(wanted))).section}:"
    return [lines_inserted(place.document, end, [header, *lines])]


def _insists(name: str) -> bool:
    return name == THRESHOLD.env


def _new_value(place: Place, name: str, value: str) -> str:
    style = place.value.style if isinstance(place.value, Scalar) else ""
    style = style if style in ("'", '"') else ""
    return scalar_text(
        as_written(value, place.home.way), style, quoted=_insists(name) or place.home.way is Way.MANIFEST
    )


def _entry_lines(place: Place, indent: str, key: str, name: str, value: str) -> list[str]:
    """A new entry in a block list or mapping, by the pattern of one that is there."""
    if place.home.form is Form.ASSIGNMENTS:
        style = place.named.style
        return [f"{indent}- {scalar_text(f'{key}={as_written(value, place.home.way)}', style)}"]
    written = _new_value(place, name, value)
    if place.home.form is not Form.LIST:
        return [f"{indent}{scalar_text(key, place.named.style)}: {written}"]
    item = place.entry
    assert isinstance(item, Mapping)
    if item.flow:
        return [f"{indent}- {{name: {key}, value: {written}}}"]
    first, dash = item.entries[0][0].start, place.document.text.rfind("-", 0, item.start)
    gap = 1 if "\n" in place.document.text[dash:first] else max(1, column_of(place.document, first) - len(indent) - 1)
    inner = " " * (len(indent) + 1 + gap)
    return [f"{indent}-{' ' * gap}name: {scalar_text(key, place.named.style)}", f"{inner}value: {written}"]


def _flow_entry(place: Place, key: str, name: str, value: str) -> str:
    if place.home.form is Form.ASSIGNMENTS:
        return scalar_text(f"{key}={as_written(value, place.home.way)}", '"')
    style = place.value.style if isinstance(place.value, Scalar) else ""
    written = scalar_text(as_written(value, place.home.way), "'" if style == "'" else '"')
    return f"{{name: {key}, value: {written}}}" if place.home.form is Form.LIST else f"{key}: {written}"


def _flow_removed(document: Document, owner: Sequence | Mapping, entries: list[Node], gone: Node) -> Splice:
    index = next(number for number, entry in enumerate(entries) if entry is gone)
    if index:
        return Splice(document, _entry_end(owner, entries[index - 1]), _entry_end(owner, gone), "")
    return Splice(document, gone.start, entries[1].start, "")


def _entry_end(owner: Sequence | Mapping, entry: Node) -> int:
    """Where the text of an entry ends."""
    if isinstance(owner, Sequence):
        return last_offset(entry)
    value = next(value for key, value in owner.entries if key is entry)
    return max(entry.end, last_offset(value)) if value.start > entry.start else entry.end


def _lines(document: Document, owner: Sequence | Mapping, entry: Node) -> tuple[int, int]:
    """The whole lines of an entry of a block list or mapping, its line end included."""
    text = document.text
    start = entry.start
    if isinstance(owner, Sequence):
        start = text.rfind("-", 0, entry.start)
    start = text.rfind("\n", 0, start) + 1
    return start, line_end_behind(text, len(text[: _entry_end(owner, entry)].rstrip()))


def line_end_behind(text: str, offset: int) -> int:
    """Where the line of an offset ends, its line end included."""
    newline = text.find("\n", offset)
    return len(text) if newline < 0 else newline + 1


def _column(document: Document, start: int, place: Place) -> int:
    """In which column the entries of a list or mapping begin."""
    if isinstance(place.owner, Sequence):
        return column_of(document, document.text.rfind("-", 0, place.entry.start))
    return column_of(document, place.entry.start)


def column_of(document: Document, offset: int) -> int:
    """The column, from 0, in which an offset lies."""
    start = document.text.rfind("\n", 0, offset) + 1
    return offset - start - document.text.startswith("\ufeff", start)


def key_of(place: Place) -> Scalar:
    """The key whose value a place has: ``value`` in a list's entry, else the setting's own."""
    if isinstance(place.entry, Mapping):
        return next(key for key, value in place.entry.entries if value is place.value)
    return place.named


def after_colon(text: str, key: Scalar) -> int:
    """Where what a key says begins."""
    return text.index(":", key.end) + 1


def _assignment(place: Place, name: str, written: str) -> Splice:
    return _scalar(place.document, place.named, f"{name}={written}")


def _scalar(document: Document, node: Scalar, written: str, *, quoted: bool = False) -> Splice:
    """A scalar of one line replaced, in its quotes; its anchor and tag stay."""
    lead = _PROPERTIES.match(document.text, node.start, node.end)
    start = lead.end() if lead is not None else node.start
    return Splice(document, start, node.end, scalar_text(written, node.style, quoted=quoted))


def lines_inserted(document: Document, at: int, lines: list[str]) -> Splice:
    """New lines behind a line's end; a missing line end at the end of the file stays missing."""
    text, end = document.text, line_end_of(document.text)
    if at == len(text) and text.strip("\ufeff") and not ends_with_line_end(text):
        return Splice(document, at, at, "".join(end + line for line in lines))
    return Splice(document, at, at, "".join(line + end for line in lines))
