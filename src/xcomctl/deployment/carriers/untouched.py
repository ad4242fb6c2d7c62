"""What files say besides the settings, to tell that an edit changed nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from xcomctl.deployment.carriers.places import Place
from xcomctl.deployment.carriers.survey import Survey
from xcomctl.deployment.carriers.yaml_layers import is_null, scalars, walk
from xcomctl.deployment.carriers.yaml_nodes import Node


def rest(survey: Survey, found: Iterable[Place]) -> list[tuple[str, str]]:
    """Every scalar with its path, in order, except those of the settings and what says nothing."""
    mine = {id(scalar) for place in found for node in (place.entry, place.value) if node for scalar in scalars(node)}
    held = {home.where: home.value for home in survey.homes if home.text}
    said = []
    for path, leaf in walk(survey.root):
        inner = held.get(path)
        node: Node = inner if isinstance(inner, Node) else leaf.value
        if id(leaf.key) not in mine:
            said += [(path, scalar.text) for scalar in scalars(node) if id(scalar) not in mine and not is_null(scalar)]
    return said
