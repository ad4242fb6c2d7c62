"""Where settings stand: the homes that a file has for variables and sections, and each setting found in one."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from xcomctl.deployment.carriers.yaml_layers import Branch, Document, Leaf, is_null
from xcomctl.deployment.carriers.yaml_nodes import MERGE, Mapping, Node, Scalar, Sequence
from xcomctl.deployment.carriers.yaml_values import Reading, Way, reading
from xcomctl.model.settings import SETTINGS, NearMiss, Setting, near_miss, near_miss_in_file

#: Reaches every component.
EVERY = "every component"
_ASSIGNMENT = re.compile(r"(?P<name>[^=\s]+)(?P<equals>=)?(?P<value>.*)", re.DOTALL)


class Form(enum.Enum):
    """How a home writes its settings."""

    #: ``- name: NAME`` and ``value: VALUE``, as Kubernetes does.
    LIST = "list"
    #: ``NAME: VALUE``.
    VARIABLES = "variables"
    #: ``SECTION:`` over ``KEY: VALUE``, as in ``airflow.cfg``.
    SECTIONS = "sections"
    #: ``- NAME=VALUE``, as docker compose does.
    ASSIGNMENTS = "assignments"


@dataclass(frozen=True, eq=False)
class Home:
    """A list or mapping in which settings can stand.

    ``reaches`` is the one component that has what stands there, or :data:`EVERY`. Of two homes that reach a component, the
    one with the higher ``rank`` wins in it. ``value`` is what the home's key says: its parts for a mapping of several
    files. ``conditional`` tells of a node whether a template decides about it. ``text`` is whether it stands in a string.
    ``config_map`` is whether it becomes a ConfigMap, which other pods can take too; ``hook`` is the place of that
    ConfigMap, ``FILE:LINE PATH``, if Helm makes it by a hook, else empty.
    """

    where: str
    form: Form
    way: Way
    reaches: str
    rank: int
    document: Document
    key: Scalar | None
    value: Branch | Node | None
    conditional: Callable[[Node], bool] = field(default=lambda _: False)
    text: bool = False
    config_map: bool = False
    hook: str = ""

    @property
    def parts(self) -> list[tuple[Document, Mapping]]:
        """The mappings that it consists of, the first file's first."""
        if isinstance(self.value, Branch):
            return [(source, mapping) for source, mapping, _ in self.value.parts]
        return [(self.document, self.value)] if isinstance(self.value, Mapping) else []


@dataclass(frozen=True, eq=False)
class Place:
    """One setting, or a name that looks like one, where it stands.

    ``name`` is its variable, ``[section] key`` for a misspelt one in sections. ``owner`` is the list or mapping that has
    it as ``entry``, whose ``named`` is what holds the name. ``value`` is what holds the value, the same as ``named`` for
    ``NAME=VALUE``. ``under`` is the key over a mapping and that mapping, as far as it stands in this place's own text.
    """

    home: Home
    document: Document
    where: str
    name: str
    owner: Sequence | Mapping
    entry: Node
    named: Scalar
    value: Node | None
    read: Reading
    miss: NearMiss | None = None
    under: tuple[Scalar, Mapping] | None = None

    @property
    def shown(self) -> str:
        """The place as messages name it: ``FILE:LINE PATH``."""
        return self.document.at(self.named, self.where)

    @property
    def is_quoted(self) -> bool:
        """Whether the value is a string to every reader."""
        return isinstance(self.value, Scalar) and bool(self.value.style)


def places(home: Home) -> Iterator[Place]:
    """The settings and near misses in a home, in their order."""
    if home.form is Form.SECTIONS:
        yield from _sections(home)
    elif home.form is Form.VARIABLES:
        yield from _variables(home)
    elif isinstance(home.value, Sequence):
        for index, item in enumerate(home.value.items):
            found = _listed if home.form is Form.LIST else _assigned
            yield from found(home, home.value, index, item)


def _matching(name: str) -> tuple[bool, NearMiss | None]:
    """Whether a name is a setting's, and what it was meant to be if it only looks like one."""
    exact = any(setting.env == name for setting in SETTINGS)
    return exact, None if exact else near_miss(name)


def _read(home: Home, value: Node | None, entry: Node) -> Reading:
    if home.conditional(entry):
        return Reading(None, unknown="a template decides whether it is there")
    return reading(value, home.way)


def _listed(home: Home, owner: Sequence, index: int, item: Node) -> Iterator[Place]:
    named = item.get("name") if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(named, Scalar):
        return
    exact, miss = _matching(named.text)
    if exact or miss is not None:
        value = item.get("value")
        read = Reading(None, unknown="it comes from a Secret or ConfigMap")
        if item.get("valueFrom") is None:
            # A variable without a value is an empty one to Kubernetes.
            empty = value is None or (isinstance(value, Scalar) and is_null(value))
            read = Reading("") if empty and not home.conditional(item) else _read(home, value, item)
        yield Place(home, home.document, f"{home.where}[{index}]", named.text, owner, item, named, value, read, miss)


def _assigned(home: Home, owner: Sequence, index: int, item: Node) -> Iterator[Place]:
    match = _ASSIGNMENT.fullmatch(item.text) if isinstance(item, Scalar) else None
    if match is None or not isinstance(item, Scalar):
        return
    exact, miss = _matching(match["name"])
    if exact or miss is not None:
        read = Reading(None, unknown="it comes from the environment of whoever runs compose")
        if match["equals"]:
            read = reading(Scalar(item.start, item.end, False, match["value"], "'", ""), home.way)
        yield Place(home, home.document, f"{home.where}[{index}]", match["name"], owner, item, item, item, read, miss)


def last_entry(home: Home) -> Place | None:
    """The last entry of a list or mapping as a pattern for a new one, whatever it is; ``None`` if there is none."""
    if isinstance(home.value, Sequence) and home.value.items:
        item = home.value.items[-1]
        named, value = (item.get("name"), item.get("value")) if isinstance(item, Mapping) else (item, item)
        if isinstance(named, Scalar) and isinstance(item, Mapping) == (home.form is Form.LIST):
            return Place(home, home.document, home.where, named.text, home.value, item, named, value, Reading(None))
    for source, mapping in reversed(home.parts):
        own = [(key, value) for key, value in mapping.entries if key.text != MERGE]
        if own:
            key, value = own[-1]
            return Place(home, source, home.where, key.text, mapping, key, key, value, Reading(None))
    return None


def _leaves(branch: Branch) -> Iterator[tuple[str, Leaf | Branch]]:
    for name in branch.names():
        found = branch.get(name)
        if found is not None:
            yield name, found


def _branch(home: Home) -> Branch:
    if isinstance(home.value, Branch):
        return home.value
    return Branch(tuple((source, mapping, home.key) for source, mapping in home.parts))


def _variables(home: Home) -> Iterator[Place]:
    for name, leaf in _leaves(_branch(home)):
        exact, miss = _matching(name)
        if (exact or miss is not None) and isinstance(leaf, Leaf):
            read = _read(home, leaf.value, leaf.key)
            where, under = f"{home.where}.{name}", _section_of(_branch(home), leaf.owner)
            yield Place(home, leaf.document, where, name, leaf.owner, leaf.key, leaf.key, leaf.value, read, miss, under)


def _sections(home: Home) -> Iterator[Place]:
    for section, options in _leaves(_branch(home)):
        if not isinstance(options, Branch):
            continue
        for key, leaf in _leaves(options):
            setting = _setting(section, key)
            if isinstance(leaf, Leaf):
                miss = None if setting is not None else near_miss_in_file(section, key)
                if setting is not None or miss is not None:
                    name = setting.env if setting is not None else f"[{section}] {key}"
                    read = _read(home, leaf.value, leaf.key)
                    held_by = _section_of(options, leaf.owner)
                    where = f"{home.where}.{section}.{key}"
                    yield Place(
                        home,
                        leaf.document,
                        where,
                        name,
                        leaf.owner,
                        leaf.key,
                        leaf.key,
                        leaf.value,
                        read,
                        miss,
                        held_by,
                    )
                continue
            for inner in leaf.names():  # `common: {io: …}`, which is the section [common] with an option io
                miss = near_miss_in_file(f"{section}.{key}", inner)
                exact = _setting(f"{section}.{key}", inner)
                option = leaf.get(inner)
                if isinstance(option, Leaf) and (miss is not None or exact is not None):
                    spelled = f"[{section}] {key}.{inner}"
                    meant = miss.meant if miss is not None else exact.env if exact is not None else ""
                    miss = NearMiss(spelled, meant, f"the section is one key, {section}.{key}")
                    where = f"{home.where}.{section}.{key}.{inner}"
                    yield Place(
                        home, option.document, where, spelled, option.owner, option.key, option.key, option.value,
                        Reading(None, unknown="misspelt"), miss,
                    )  # fmt: skip


def _section_of(options: Branch, owner: Mapping) -> tuple[Scalar, Mapping] | None:
    """The key over the mapping in whose text an option stands."""
    return next(((key, mapping) for _, mapping, key in options.parts if mapping is owner and key is not None), None)


def _setting(section: str, key: str) -> Setting | None:
    return next((each for each in SETTINGS if (each.section, each.key) == (section, key)), None)
