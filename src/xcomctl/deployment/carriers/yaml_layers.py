"""YAML files as Helm lays them over each other: mappings merge, anything else replaces, the last file wins.

That is what ``helm -f A -f B`` does (tried with 3.17.2 and 4.3.1), and within one file it is a plain mapping with its
``<<`` merged. Every value keeps the file and the very place that it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.yaml_nodes import MERGE, Mapping, Node, Scalar, Sequence, YamlProblem, parsed

#: Reading takes about a second for each 75 kB of nothing but keys (2 cores, measured); the official chart's own values
#: are 150 kB, most of them remarks.
LARGEST = 512 * 1024


@dataclass(frozen=True, eq=False)
class Document:
    """One file: where it is, its bytes, its text, and the mapping that it holds (``None`` for an empty one)."""

    path: Path
    content: bytes
    text: str
    root: Mapping | None

    def line(self, offset: int) -> int:
        """The line, from 1, in which an offset lies."""
        return self.text.count("\n", 0, offset) + 1

    def at(self, node: Node, where: str) -> str:
        """A place as messages name it: ``FILE:LINE PATH``."""
        return f"{self.path}:{self.line(node.start)} {where}"


def document(path: Path, content: bytes) -> Document:
    """A file's content as a document. Raises :class:`CarrierError` for what is no such YAML."""
    if len(content) > LARGEST:
        raise CarrierError(
            f"{path} has {len(content) / 1024:,.0f} kB, and YAML is edited up to {LARGEST / 1024:.0f} kB",
            "keep the settings in a values file of their own, and name that",
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise CarrierError(f"{path} line {line} is not UTF-8", "save it as UTF-8") from None
    try:
        root = parsed(text)
    except YamlProblem as problem:
        raise CarrierError(f"{path} line {problem.line}: {problem.message}", problem.hint) from None
    if root is not None and not isinstance(root, Mapping):
        raise CarrierError(f"{path} holds no mapping of keys", "name a file of Helm values or a compose file")
    return Document(path, content, text, root)


@dataclass(frozen=True, eq=False)
class Leaf:
    """A key whose value is no mapping (or counts as none), and the mapping in whose text it stands."""

    document: Document
    owner: Mapping
    key: Scalar
    value: Node

    @property
    def is_null(self) -> bool:
        """Whether it says nothing, which takes out what an earlier file says."""
        return isinstance(self.value, Scalar) and is_null(self.value)


def is_null(scalar: Scalar) -> bool:
    """Whether a scalar is YAML's null."""
    return not scalar.style and not scalar.tag and scalar.text in ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, eq=False)
class Branch:
    """A mapping as Helm sees it. ``parts`` are those that it is merged from, the first file's first, with their keys."""

    parts: tuple[tuple[Document, Mapping, Scalar | None], ...]

    @property
    def last(self) -> tuple[Document, Mapping, Scalar | None]:
        """The part that wins."""
        return self.parts[-1]

    def names(self) -> list[str]:
        """Every key, in the order of the first file that has it."""
        found: dict[str, None] = {}
        for _, mapping, _ in self.parts:
            for key, _, _ in _entries(mapping):
                found[key.text] = None
        return list(found)

    def get(self, name: str) -> Branch | Leaf | None:
        """What a key resolves to."""
        found: list[tuple[Document, Mapping, Scalar | None]] = []
        for source, mapping, _ in reversed(self.parts):
            entry = next((each for each in _entries(mapping) if each[0].text == name), None)
            if entry is None:
                continue
            key, value, owner = entry
            if isinstance(value, Mapping):
                found.append((source, value, key))
            elif not found:
                return Leaf(source, owner, key, value)
            else:
                break
        return Branch(tuple(reversed(found))) if found else None

    def branch(self, *names: str) -> Branch | None:
        """The mapping under these keys, if there is one."""
        here: Branch | Leaf | None = self
        for name in names:
            here = here.get(name) if isinstance(here, Branch) else None
        return here if isinstance(here, Branch) else None

    def leaf(self, name: str) -> Leaf | None:
        """The value under a key, if it is no mapping and not null."""
        found = self.get(name)
        return found if isinstance(found, Leaf) and not found.is_null else None

    def scalar(self, name: str) -> str | None:
        """The text of the scalar under a key."""
        found = self.leaf(name)
        return found.value.text if found is not None and isinstance(found.value, Scalar) else None


def layered(documents: tuple[Document, ...]) -> Branch:
    """The values of these files, the last one in front."""
    return Branch(tuple((each, each.root, None) for each in documents if each.root is not None))


def walk(branch: Branch, where: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every leaf with its path, in order."""
    for name in branch.names():
        found = branch.get(name)
        path = f"{where}.{name}" if where else name
        if isinstance(found, Branch):
            yield from walk(found, path)
        elif found is not None:
            yield path, found


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar of a value, keys included."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from scalars(item)
    elif isinstance(node, Mapping):
        for key, value in node.entries:
            yield from scalars(key)
            yield from scalars(value)


def _entries(mapping: Mapping, depth: int = 0) -> Iterator[tuple[Scalar, Node, Mapping]]:
    """The keys of a mapping with their values and the mapping where they stand: its own, then those merged with ``<<``."""
    seen: set[str] = set()
    for key, value in mapping.entries:
        if key.text != MERGE or key.style:
            seen.add(key.text)
            yield key, value, mapping
    if depth > 20:
        return
    for key, value in mapping.entries:
        if key.text == MERGE and not key.style:
            for merged in value.items if isinstance(value, Sequence) else (value,):
                if isinstance(merged, Mapping):
                    for entry in _entries(merged, depth + 1):
                        if entry[0].text not in seen:
                            seen.add(entry[0].text)
                            yield entry
