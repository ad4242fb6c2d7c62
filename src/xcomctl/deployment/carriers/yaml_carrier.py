"""What Helm values and compose files have in common as carriers: reading, refusing, and editing by the text."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Variables
from pathlib import Path
from typing import Self

from xcomctl.deployment.carriers.additions import additions
from xcomctl.deployment.carriers.effects import Effect, effect
from xcomctl.deployment.carriers.interface import Carrier, CarrierError, Edit, FileEdit, read_content, unified_diff
from xcomctl.deployment.carriers.places import EVERY, Form, Place, places
from xcomctl.deployment.carriers.shared import refuse_shared
from xcomctl.deployment.carriers.survey import Survey, elsewhere
from xcomctl.deployment.carriers.untouched import rest
from xcomctl.deployment.carriers.yaml_edits import (
    Splice,
    removed,
    renamed,
    section_renamed,
    setting_of,
    spliced,
    value_set,
)
from xcomctl.deployment.carriers.yaml_layers import Branch, Document, document, layered
from xcomctl.deployment.carriers.yaml_nodes import Mapping
from xcomctl.model.phases import BASE_XCOM_SPELLINGS
from xcomctl.model.settings import BACKEND, PATH, SETTINGS, THRESHOLD, NearMiss
from xcomctl.report.text import printable


class YamlCarrier(Carrier):
    """Settings in one or several YAML files, of which ``path`` is the one that wins.

    ``under`` are those below it, the first one lowest. With ``edit_winner`` a setting that stands in several places for
    one component is edited in the one that wins, and one that some components lack is edited where it is.
    """

    def __init__(
        self, path: Path, content: bytes, under: tuple[tuple[Path, bytes], ...] = (), edit_winner: bool = False
    ) -> None:
        self.path = path
        self._documents = tuple(document(each, text) for each, text in (*under, (path, content)))
        self._edit_winner = edit_winner
        self._root = layered(self._documents)
        self._survey = self._surveyed(self._root, self._documents[-1])
        self._places = tuple(place for home in self._survey.homes for place in places(home))
        others = list(elsewhere(self._survey, self._places))
        self._effects = {
            setting.env: effect(
                self._survey, self._places, setting.env, tuple(where for name, where in others if name == setting.env)
            )
            for setting in SETTINGS
        }

    @abstractmethod
    def _surveyed(self, root: Branch, last: Document) -> Survey:
        """What these files have for settings. Raises :class:`CarrierError` for files of another kind."""

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """The carrier in that file. Raises :class:`CarrierError` if it cannot be read or understood."""
        return cls(Path(path), read_content(Path(path)))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files, the one that wins last."""
        return tuple(each.path for each in self._documents)

    def settings(self) -> dict[str, str]:
        """The settings as the components get them; what is templated or taken from elsewhere is not among them.

        Where components differ it is what every component's home says, else what the first of them gets.
        """
        found = {}
        for name, each in self._effects.items():
            values = [place.read.value for place in each.winners.values() if place.read.value is not None]
            if values and not each.unknown:
                found[name] = values[0]
        return found

    def near_misses(self) -> tuple[NearMiss, ...]:
        """Names that look like a setting and that Airflow does not read, each once."""
        return tuple(dict.fromkeys(place.miss for place in self._places if place.miss is not None))

    def unfit(self) -> dict[str, str]:
        """Settings whose value does not arrive as it stands, with the place and what happens to it (F35)."""
        return {
            each.name: f"{place.shown}: {place.read.unfit}"
            for each in self._effects.values()
            for place in each.places
            if place.read.unfit
        }

    def corrections(self) -> tuple[str, ...]:
        """What to write by hand for each near miss, and for each value that does not arrive: ``FILE:LINE`` first."""
        said = [
            f"{place.shown}: write {_correction(place)}" for place in _once(each for each in self._places if each.miss)
        ]
        for each in self._effects.values():
            unfit = (place for place in each.places if place.read.unfit)
            said += [f"{place.shown}: write {_whole(place.read.value or '')!r}, in quotes" for place in unfit]
        return tuple(said)

    def notes(self) -> tuple[str, ...]:
        """Values that differ between components, are not known here or stay beside the one that wins; what is not read."""
        stay = (note for each in self._effects.values() if not each.undecided for note in _overridden(each))
        return (*self._doubts(), *stay, *self._survey.notes)

    def doubts(self) -> tuple[str, ...]:
        """Why the phase that the settings amount to may not be the one of every component; empty where it is."""
        there = self.settings()
        # Airflow's own class needs no other setting; the backend that is not all here may have the rest from elsewhere.
        needed = (
            (BACKEND.env,) if there.get(BACKEND.env) in BASE_XCOM_SPELLINGS else (BACKEND.env, PATH.env, THRESHOLD.env)
        )
        is_all = all(name in there for name in needed)
        elsewhere = () if is_all else (*self._survey.notes, *self._survey.unread)
        return (*self._doubts(), *(f"{miss.name} is not read by Airflow" for miss in self.near_misses()), *elsewhere)

    def scalar(self, *names: str) -> str | None:
        """The text under these keys, whatever they are about; ``None`` where there is none."""
        branch = self._root.branch(*names[:-1])
        return None if branch is None else branch.scalar(names[-1])

    def _doubts(self) -> list[str]:
        said = []
        for each in self._effects.values():
            said += [f"{each.name} is not known: {place.read.unknown} in {place.shown}" for place in each.unknown]
            values = {place.read.value for place in each.places if not place.read.unknown}
            if len(values) > 1:
                said.append(f"{each.name} differs: {_and(f'{place.read.value!r} in {place.shown}' for place in each.places)}")  # fmt: skip
            if each.undecided and len({place.read.value for place in each.contested}) > 1:
                said.append(f"{each.name} is set twice for the same component, and which counts is not known: {_and(place.shown for place in each.contested)}")  # fmt: skip
            if each.missing:
                said.append(f"{each.name} is not set for {_and(each.missing)}")
            if each.elsewhere:
                said.append(f"{each.name} stands where xcomctl does not read: {_and(each.elsewhere)}")
        return [*said, *self._survey.opaque]

    def edit(self, changes: Variables[str, str | None]) -> Edit:
        """The edit that sets these of the four settings, ``None`` taking one out; everything else keeps its bytes.

        What is there keeps its place, its quotes and its remarks; what is new goes below the settings that are there. The
        threshold is always quoted (F35). Raises :class:`CarrierError` for a setting that stands in two places for one
        component, that some components lack, whose value is not known here or shared with something else, and for
        what cannot be done exactly.
        """
        splices: list[Splice] = []
        gone: list[Place] = []
        new: dict[str, str] = {}
        for name, value in changes.items():
            if name not in self._effects:
                raise CarrierError(f"{name} is none of the settings that {self.shown} can carry")
            each = self._effects[name]
            if value is None:
                gone += [place for place in self._places if place.name == name]
                continue
            _require_text(name, value)
            self._require_clear(each)
            if not each.winners:
                new[name] = value
            for place in each.places:
                if place.read.value != value or place.read.unfit or (name == THRESHOLD.env and not place.is_quoted):
                    refuse_shared(self._survey.homes, self._places, place)
                    splices.append(value_set(place, value))
        for owner in {id(place.owner) for place in gone}:
            splices += removed(_once(place for place in gone if id(place.owner) == owner))
        splices += additions(self._survey, self._effects, new)
        edit = self._edit(splices)
        self._require_effect(changes, edit)
        return edit

    def fix(self) -> Edit:
        """The edit that writes the correct names, and quotes what would not arrive as it stands."""
        splices: list[Splice] = []
        wrong = _once(place for place in self._places if place.miss is not None)
        for place in wrong:
            meant = place.miss.meant if place.miss is not None else ""
            said = {each.read.value for each in wrong if each.miss is not None and each.miss.meant == meant}
            if self._effects[meant].winners:
                splices += removed([place])
            elif place.read.unknown == "misspelt" or len(said) > 1:
                raise CarrierError(
                    f"{place.shown} cannot be corrected without you", f"write {_correction(place)} there"
                )
            else:
                splices.append(self._corrected(place, meant))
        for each in self._effects.values():
            for place in each.places:
                if place.read.unfit and place.read.value is not None:
                    refuse_shared(self._survey.homes, self._places, place)
                    splices.append(value_set(place, _whole(place.read.value)))
        edit = self._edit(splices)
        there = self.after(edit)
        same = rest(self._survey, self._places) == rest(there._survey, there._places)
        if there.near_misses() or not same or (not wrong and there.unfit()):
            raise self._inexact()
        # What had the wrong name may have had the wrong value too.
        return edit.then(there.fix(), [path.name for path in self.paths]) if there.unfit() else edit

    def after(self, edit: Edit) -> Self:
        """The carrier as it would be with an edit of its own written."""
        under = tuple((other.path, other.after) for other in edit.others)
        return type(self)(self.path, edit.after, under, self._edit_winner)

    def _corrected(self, place: Place, meant: str) -> Splice:
        """The name as Airflow reads it; a section is renamed as a whole, if all that it holds is misspelt by that alone."""
        setting = setting_of(meant)
        if place.home.form is not Form.SECTIONS:
            return renamed(place, meant)
        section, _, key = place.name[1:].partition("] ")
        if section == setting.section:
            return renamed(place, setting.key)
        options = {name.text for name, _ in place.owner.entries} if isinstance(place.owner, Mapping) else set()
        own = {each.key for each in SETTINGS if each.section == setting.section}
        there = any(each.under and each.under[0].text == setting.section for each in self._places)
        if key != setting.key or not options <= own or there or place.under is None:
            raise CarrierError(f"{place.shown} cannot be corrected without you", f"write {_correction(place)} there")
        return section_renamed(place, setting.section)

    def _require_clear(self, each: Effect) -> None:
        """Refuse what is not one setting in one known place for every component."""
        if each.contested and (each.undecided or not self._edit_winner):
            first = each.contested[0]
            hint = "keep one of them"
            if not each.undecided:
                hint = f"keep one of them, or edit the one that wins, {first.where}: --edit-winner"
            raise CarrierError(
                f"{each.name} is set in more than one place for the same component: {_and(place.shown for place in each.contested)}",
                hint,
            )  # fmt: skip
        if each.elsewhere and not self._edit_winner:
            raise CarrierError(
                f"{each.name} stands where xcomctl does not read: {_and(each.elsewhere)}",
                "take it out there, or leave it as it is: --edit-winner",
            )
        for place in each.unknown:
            raise CarrierError(
                f"{each.name} is not known: {place.read.unknown} in {place.shown}", "write the value itself there"
            )
        if each.missing and not self._edit_winner:
            have = list(dict.fromkeys(name for name in each.winners if name != EVERY))
            raise CarrierError(
                f"{each.name} is set for {_and(have)} alone, and not for {_and(each.missing)}",
                "set it for every component, or edit it where it is: --edit-winner",
            )

    def _edit(self, splices: list[Splice]) -> Edit:
        splices = list(dict.fromkeys(splices))
        files = [FileEdit(each.path, each.content, spliced(each, splices).encode()) for each in self._documents]
        diffs = (unified_diff(file.before, file.after, file.path.name) for file in files)
        *others, own = files
        return Edit(own.before, own.after, "\n".join(filter(None, diffs)), tuple(others))

    def _require_effect(self, changes: Variables[str, str | None], edit: Edit) -> None:
        """Refuse an edit after which the files say anything else than what was wanted, or differ in anything else."""
        try:
            there = self.after(edit)
        except CarrierError:
            raise self._inexact() from None
        for name, each in there._effects.items():
            said = {place.read.value for place in each.places}
            if said != ({changes[name]} - {None} if name in changes else {place.read.value for place in self._effects[name].places}):  # fmt: skip
                raise self._inexact()
        if rest(self._survey, self._places) != rest(there._survey, there._places):
            raise self._inexact()

    def _inexact(self) -> CarrierError:
        return CarrierError(
            f"{self.shown} cannot be edited exactly: the way it is written would make it say something else",
            "write each setting in a line of its own, and call again",
        )


def _require_text(name: str, value: str) -> None:
    if "{{" in value or any(not letter.isprintable() for letter in value):
        raise CarrierError(f"the value for {name} is no text that YAML with templates can hold: {printable(value)}")


def _whole(value: str) -> str:
    """A number that was printed with an exponent as what it was."""
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number == int(number) else value


def _correction(place: Place) -> str:
    return place.miss.correction if place.miss is not None else ""


def _once(found: Iterable[Place]) -> list[Place]:
    return list({id(place.named): place for place in found}.values())


def _overridden(each: Effect) -> Iterator[str]:
    """What stays where it takes no effect: an edit leaves it, and a pod that takes that place alone has it (F15)."""
    for place, winners in each.overridden:
        value = f"what is not known ({place.read.unknown})" if place.read.unknown else repr(place.read.value)
        alone = ", which a pod that takes that ConfigMap alone gets" if place.home.config_map else ""
        yield f"{each.name} is taken from {_and(winner.shown for winner in winners)}; {value} stays in {place.shown}{alone}"


def _and(words: Iterable[str]) -> str:
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} and {last}" if most else last
