"""Settings that are not there yet: below those that are, else where the chart or the compose file has a first one."""

from __future__ import annotations

from collections.abc import Mapping as Variables

from xcomctl.deployment.carriers.effects import Effect
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.places import EVERY, Form, Place, last_entry
from xcomctl.deployment.carriers.survey import First, Survey
from xcomctl.deployment.carriers.yaml_edits import Splice, added_beside, section_added, setting_of
from xcomctl.deployment.carriers.yaml_layers import Branch, Document
from xcomctl.deployment.carriers.yaml_new import created, filled, is_empty
from xcomctl.deployment.carriers.yaml_nodes import Mapping, Scalar
from xcomctl.model.settings import SETTINGS


def additions(survey: Survey, effects: Variables[str, Effect], wanted: dict[str, str]) -> list[Splice]:
    """The splices that add these settings. Raises :class:`CarrierError` where there is no place for them."""
    if not wanted:
        return []
    splices: list[Splice] = []
    beside: dict[str, dict[str, str]] = {}
    for name, value in wanted.items():
        sibling = _sibling(effects, name)
        if sibling is None:
            return _first(survey, wanted)
        beside.setdefault(sibling, {})[name] = value
    for sibling, new in beside.items():
        winners = effects[sibling].winners
        # Where one reaches every component, beside another one the new setting would stand twice for that component.
        places = [winners[EVERY]] if EVERY in winners else effects[sibling].places
        for place in {id(place.owner): place for place in places}.values():
            splices += _beside(place, new)
    return splices


def _sibling(effects: Variables[str, Effect], name: str) -> str | None:
    """The setting that is there for every component, which a new one goes below: the nearest of its own section, else any."""
    own = setting_of(name).section
    there = [setting for setting in SETTINGS if effects[setting.env].winners and not effects[setting.env].missing]
    before = [setting.env for setting in SETTINGS if setting.env == name or setting in there]
    number = before.index(name)
    near = [each for each in reversed(before[:number]) if setting_of(each).section == own]
    near += [each for each in before[number + 1 :] if setting_of(each).section == own]
    return next(iter([*near, *reversed(before[:number]), *before[number + 1 :]]), None)


def _beside(place: Place, new: dict[str, str]) -> list[Splice]:
    if place.home.form is not Form.SECTIONS:
        return added_beside(place, new)
    splices: list[Splice] = []
    mine = setting_of(place.name).section
    for section in dict.fromkeys(setting_of(name).section for name in new):
        options = {name: value for name, value in new.items() if setting_of(name).section == section}
        splices += (
            added_beside(place, options) if section == mine else section_added(place, options, _part(place, section))
        )
    return splices


def _part(place: Place, section: str) -> tuple[Document, Mapping, Scalar | None] | None:
    """Where a section stands already: the last file that has it."""
    config = place.home.value
    found = config.branch(section) if isinstance(config, Branch) else None
    return None if found is None else found.last


def _first(survey: Survey, wanted: dict[str, str]) -> list[Splice]:
    splices: list[Splice] = []
    done: set[int] = set()
    for first in survey.firsts:
        at = _identity(first)
        if at not in done:
            done.add(at)
            splices += _begun(first, wanted)
    if not splices:
        raise CarrierError("there is no service that runs Airflow in it", "name the file that has Airflow's services")
    return splices


def _begun(first: First, wanted: dict[str, str]) -> list[Splice]:
    pattern = last_entry(first.home)
    if pattern is not None:
        return added_beside(pattern, wanted)
    if is_empty(first.home):
        return filled(first.home, wanted)
    return created(first.home, first.document, first.parent, wanted)


def _identity(first: First) -> int:
    """What tells the text that gets the settings from others: several services may share it."""
    if first.home.parts:
        return id(first.home.parts[-1][1])
    return id(first.home.value) if first.home.value is not None else id(first.parent)
