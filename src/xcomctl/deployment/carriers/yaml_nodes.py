"""YAML as it stands in a text: every mapping, list and scalar with its exact offsets.

ruamel.yaml parses; what it makes of values is not used, since what counts is how Helm or compose read them. No message
quotes the file: a line of it may hold a password.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

#: How deep mappings and lists may nest; the official chart's own values nest 7 deep.
_DEEPEST = 100
MERGE = "<<"


class YamlProblem(Exception):
    """A text that cannot be read as one YAML document: a sentence, the line (from 1) and what mends it."""

    def __init__(self, message: str, line: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.hint = hint


@dataclass(frozen=True, eq=False)
class Node:
    """A value and where it stands: from ``start`` to ``end``, its anchor and tag included.

    ``uses`` counts the places where it stands or an alias names it.
    """

    start: int
    end: int
    anchored: bool
    uses: int = field(default=1, init=False)

    def count_use(self) -> None:
        """Note one more alias."""
        object.__setattr__(self, "uses", self.uses + 1)


@dataclass(frozen=True, eq=False)
class Scalar(Node):
    """A scalar: its text as YAML reads it and its style: ``""`` plain, ``'``, ``"``, ``|`` or ``>``.

    ``tag`` is empty unless one is written. An empty value (``key:``) is a plain scalar without text or extent.
    """

    text: str
    style: str
    tag: str


@dataclass(frozen=True, eq=False)
class Sequence(Node):
    """A list; ``flow`` for one in brackets."""

    items: tuple[Node, ...]
    flow: bool


@dataclass(frozen=True, eq=False)
class Mapping(Node):
    """A mapping with its keys in order, those of ``<<`` not merged; ``flow`` for one in braces."""

    entries: tuple[tuple[Scalar, Node], ...]
    flow: bool

    def get(self, name: str) -> Node | None:
        """The value under a key of its own."""
        return next((value for key, value in self.entries if key.text == name), None)


def parsed(text: str, base: int = 0) -> Node | None:
    """The one document in a text, ``None`` if there is nothing in it; ``base`` is added to every offset.

    Raises :class:`YamlProblem` for what is no YAML, for more than one document, and for a key that stands twice.
    """
    return _cached(text, base)


@functools.lru_cache(maxsize=32)
def _cached(text: str, base: int) -> Node | None:
    try:
        return _Composer(text, base).document()
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else text.count("\n", 0, mark.index) + 1
        raise YamlProblem(_sentence(error, text, line), line, "mend it there, and call again") from None
    except (YAMLError, RecursionError) as error:
        position = getattr(error, "position", 0)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        raise YamlProblem("it is no text that YAML allows", line, "save it as UTF-8 without control letters") from None


def _sentence(error: MarkedYAMLError, text: str, line: int) -> str:
    lines = text.split("\n")
    here = lines[line - 1] if line <= len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return "it is indented by a tab, which YAML does not allow"
    return f"it is no valid YAML ({error.problem or error.context or 'not understood'})"


class _Composer:
    """Nodes from ruamel's events, with aliases resolved to the very node that they name."""

    def __init__(self, text: str, base: int) -> None:
        self._text = text
        self._base = base
        self._events: Iterator[Event] = YAML(typ="safe", pure=True).parse(text)
        self._anchors: dict[str, Node] = {}
        self._depth = 0

    def document(self) -> Node | None:
        root: Node | None = None
        begun = False
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                if begun:
                    line = self._line(event.start_mark.index)
                    raise YamlProblem("a second document begins there", line, "put it into a file of its own")
                begun = True
                root = self._node(next(self._events))
        if isinstance(root, Scalar) and not root.text and root.start == root.end:
            return None
        return root

    def _line(self, index: int) -> int:
        return self._text.count("\n", 0, index) + 1

    def _node(self, event: Event) -> Node:
        if isinstance(event, AliasEvent):
            found = self._anchors.get(event.anchor)
            if found is None:
                raise YamlProblem("an alias names an anchor that does not exist", self._line(event.start_mark.index))
            found.count_use()
            return found
        self._depth += 1
        if self._depth > _DEEPEST:
            raise YamlProblem(f"it nests more than {_DEEPEST} deep", self._line(event.start_mark.index))
        assert isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent)
        start, anchored = event.start_mark.index + self._base, event.anchor is not None
        node: Node
        if isinstance(event, ScalarEvent):
            tag = str(event.ctag) if event.ctag is not None and event.ctag.trval is not None else ""
            style = event.style or ""
            node = Scalar(start, event.end_mark.index + self._base, anchored, event.value, style, tag)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, start, anchored)
        else:
            node = self._mapping(event, start, anchored)
        if anchored:
            self._anchors[event.anchor] = node
        self._depth -= 1
        return node

    def _sequence(self, first: SequenceStartEvent, start: int, anchored: bool) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self._events), SequenceEndEvent):
            items.append(self._node(event))
        end = event.end_mark.index + self._base
        return Sequence(start, end, anchored, tuple(items), bool(first.flow_style))

    def _mapping(self, first: MappingStartEvent, start: int, anchored: bool) -> Mapping:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, int] = {}
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._node(event)
            at = key.start - self._base
            if not isinstance(key, Scalar):
                hint = "put quotes around it, if it is a template"
                raise YamlProblem("a key is no plain text, which Helm and compose do not read", self._line(at), hint)
            if key.text in seen and key.text != MERGE:
                before = self._line(seen[key.text])
                raise YamlProblem(
                    f"a key stands there for the second time, first in line {before}",
                    self._line(at),
                    "keep one of them",
                )
            seen[key.text] = at
            value = self._node(next(self._events))
            if key.text == MERGE and not key.style and not _is_merged(value):
                raise YamlProblem("what << merges is no mapping", self._line(at), "name a mapping by its anchor")
            entries.append((key, value))
        end = event.end_mark.index + self._base
        return Mapping(start, end, anchored, tuple(entries), bool(first.flow_style))


def _is_merged(value: Node) -> bool:
    items = value.items if isinstance(value, Sequence) else (value,)
    return all(isinstance(item, Mapping) for item in items)


def last_offset(node: Node) -> int:
    """Where the text of a node ends, without the blanks and remarks up to what follows."""
    if isinstance(node, Scalar):
        return node.end
    if isinstance(node, Mapping | Sequence) and node.flow:
        return node.end
    if isinstance(node, Mapping) and node.entries:
        key, value = node.entries[-1]
        return max(key.end, last_offset(value)) if value.start >= key.start else key.end
    if isinstance(node, Sequence) and node.items:
        return last_offset(node.items[-1])
    return node.end
