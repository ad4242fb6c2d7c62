"""What a chart or a compose file has for settings: its homes, whom they have to reach, and where a first one goes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from xcomctl.deployment.carriers.places import Form, Home, Place
from xcomctl.deployment.carriers.templated_text import held
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf, scalars, walk
from xcomctl.deployment.carriers.yaml_nodes import Mapping, Node, Scalar, Sequence, YamlProblem
from xcomctl.deployment.carriers.yaml_values import Way
from xcomctl.model.settings import SETTINGS

_SETTING = re.compile(rf"(?<![A-Za-z0-9_])(?:{'|'.join(setting.env for setting in SETTINGS)})(?![A-Za-z0-9_])")


@dataclass(frozen=True)
class First:
    """Where the first setting goes: a home, and the mapping that gets it if it is not there (``None``: the file)."""

    home: Home
    document: Document
    parent: Mapping | None


@dataclass(frozen=True)
class Survey:
    """The homes that files have for settings.

    ``needed`` are the components that have to have every setting, each with the names of those that stand for it; nothing
    is needed where a home reaches every component. ``firsts`` is where settings go when there are none. ``notes`` are what
    has to be known of what is not read, ``unread`` what else may set what the files do not, ``opaque`` what may set
    anything, whatever is read.
    """

    root: Branch
    homes: tuple[Home, ...]
    needed: tuple[tuple[str, ...], ...]
    firsts: tuple[First, ...]
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()


def listed(document: Document, where: str, leaf: Leaf | None, reaches: str, rank: int, way: Way) -> Iterator[Home]:
    """A list of names and values under a key, if there is one."""
    if leaf is not None and isinstance(leaf.value, Sequence):
        yield Home(where, Form.LIST, way, reaches, rank, leaf.document, leaf.key, leaf.value)


def in_text(where: str, leaf: Leaf | None, form: Form, reaches: str, rank: int) -> Iterator[Home]:
    """What a string of YAML under a key holds, if that can be read where it stands; what cannot is nobody's home."""
    if leaf is None or not isinstance(leaf.value, Scalar):
        return
    try:
        found = held(leaf.document.text, leaf.value)
    except YamlProblem:
        return
    if found is not None and isinstance(found.node, Sequence if form is Form.LIST else Mapping):
        yield Home(
            where,
            form,
            Way.MANIFEST,
            reaches,
            rank,
            leaf.document,
            leaf.key,
            found.node,
            found.is_conditional,
            text=True,
        )


def opaque(where: str, leaf: Leaf | None) -> Iterator[str]:
    """The sentence about a string of YAML under a key out of which a template may make any variable."""
    if leaf is None or not isinstance(leaf.value, Scalar) or "{{" not in leaf.value.text:
        return
    try:
        found = held(leaf.document.text, leaf.value)
    except YamlProblem:
        found = None
    at = leaf.document.at(leaf.key, where)
    if found is None:
        yield f"{at} cannot be read as it stands, and what its templates set is not known here"
    elif found.prints:
        yield f"{at} has lines that a template writes, and what they set is not known here"


def elsewhere(survey: Survey, found: Iterable[Place]) -> Iterator[tuple[str, str]]:
    """Settings named where nothing is read, such as a pod template: the variable, and ``FILE:LINE PATH``."""
    homes, known = [home.where for home in survey.homes], {id(place.named) for place in found}
    for path, leaf in walk(survey.root):
        if any(path == home or path.startswith(f"{home}.") for home in homes):
            continue
        for scalar in (leaf.key, *scalars(leaf.value)):
            for name in () if id(scalar) in known else _named(scalar):
                yield name, leaf.document.at(scalar, path)


def _named(scalar: Scalar) -> list[str]:
    lines = (line for line in scalar.text.split("\n") if not line.lstrip().startswith("#"))
    return list(dict.fromkeys(name for line in lines for name in _SETTING.findall(line)))


def texts(node: Node | Branch | None) -> list[str]:
    """The text of every scalar in a value."""
    return [scalar.text for scalar in scalars(node)] if isinstance(node, Node) else []
