"""Which of the places where a setting stands takes effect in which component."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xcomctl.deployment.carriers.places import EVERY, Place
from xcomctl.deployment.carriers.survey import Survey


@dataclass(frozen=True)
class Effect:
    """A setting as the components get it.

    ``winners`` has the place that each component takes it from; ``contested`` every place, the winner first, where there
    are several for one component; ``undecided`` is whether two of them have the same rank. ``overridden`` are the places
    that win nowhere, each with what wins over it. ``missing`` are the components that need it and have none, of a setting
    that others have. ``elsewhere`` are places that name it and are not read here.
    """

    name: str
    winners: dict[str, Place]
    contested: tuple[Place, ...]
    undecided: bool
    overridden: tuple[tuple[Place, tuple[Place, ...]], ...]
    missing: tuple[str, ...]
    elsewhere: tuple[str, ...]

    @property
    def places(self) -> list[Place]:
        """The places that take effect, each once, as they stand."""
        return list({id(place.named): place for place in self.winners.values()}.values())

    @property
    def unknown(self) -> list[Place]:
        """Those of them whose value is not known here."""
        return [place for place in self.places if place.read.unknown]


def effect(survey: Survey, found: Iterable[Place], name: str, elsewhere: tuple[str, ...]) -> Effect:
    """What becomes of a setting that stands in these places."""
    mine = [place for place in found if place.name == name and place.miss is None]
    components = [EVERY, *(each for group in survey.needed for each in group)]
    components += [place.home.reaches for place in mine]
    winners: dict[str, Place] = {}
    contested: dict[int, Place] = {}
    below: dict[int, tuple[Place, dict[int, Place]]] = {}
    undecided = False
    for component in dict.fromkeys(components):
        here = [place for place in mine if place.home.reaches in (EVERY, component)]
        # One text that is in two homes by an anchor is one place.
        distinct = {id(place.named): place for place in sorted(here, key=lambda place: place.home.rank)}
        ranked = sorted(distinct.values(), key=lambda place: place.home.rank, reverse=True)
        if ranked:
            winners[component] = ranked[0]
        if len(ranked) > 1:
            contested.update((id(place.named), place) for place in ranked)
            undecided = undecided or ranked[0].home.rank == ranked[1].home.rank
        for place in ranked[1:]:
            below.setdefault(id(place.named), (place, {}))[1][id(ranked[0].named)] = ranked[0]
    missing = [group[0] for group in survey.needed if mine and not any(each in winners for each in group)]
    winning = {id(place.named) for place in winners.values()}
    overridden = tuple((place, tuple(over.values())) for key, (place, over) in below.items() if key not in winning)
    return Effect(name, winners, tuple(contested.values()), undecided, overridden, tuple(missing), elsewhere)
