"""Values that an anchor shares: edited where they stand once, if they are nothing but this setting."""

from __future__ import annotations

from collections.abc import Iterable

from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.places import Home, Place
from xcomctl.deployment.carriers.yaml_edits import key_of
from xcomctl.deployment.carriers.yaml_nodes import Node, Scalar


def refuse_shared(homes: Iterable[Home], found: Iterable[Place], place: Place) -> None:
    """Refuse an edit of a value that something else takes by an alias, or that this place takes from something else.

    A key that only keeps the value (``xcomPath: &path s3://…``), outside of every home, is nothing else.
    """
    value = place.value
    if not isinstance(value, Scalar) or value.uses == 1:
        return
    same = {id(each.named): each for each in found if each.value is value and each.name == place.name}.values()
    defined = any(_defines(each, value) for each in same)
    kept = not defined and not any(_is_within(value, place, home) for home in homes)
    if value.uses != len(same) + kept or not (defined or kept):
        raise CarrierError(
            f"{place.shown}: the value is shared by an anchor with something that is not this setting",
            "write the value itself there, and call again",
        )


def _defines(place: Place, value: Scalar) -> bool:
    """Whether the anchor stands at this place, and not an alias of it."""
    key, text = key_of(place), place.document.text
    return key.end < value.start and not text[text.index(":", key.end) + 1 : value.start].strip()


def _is_within(value: Node, place: Place, home: Home) -> bool:
    if home.parts:
        return any(source is place.document and part.start <= value.start < part.end for source, part in home.parts)
    held = home.value
    return home.document is place.document and isinstance(held, Node) and held.start <= value.start < held.end
