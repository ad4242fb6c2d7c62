"""``killswitch --emergency``: back to the last Helm revision that says the target, and what else goes back with it.

A rollback is a deploy without a file: the values in the repository still say what was rolled back (F42), and so does whoever
keeps the release as that repository says. It runs no hooks of an upgrade, so what a chart makes by one stays as it is.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.deployment.carriers import values_shown
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.helm import Helm, NoRelease, Revision
from xcomctl.deployment.kubectl import KubectlError
from xcomctl.deployment.workloads import Owner, likely_owner, owner, workloads
from xcomctl.errors import UserError
from xcomctl.model.phases import Line, Phase
from xcomctl.model.settings import PATH
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units

if TYPE_CHECKING:
    from xcomctl.deployment.carriers.helm_values import HelmValues

#: Where the charts have the version of Airflow, or an image that has one: that of the database does not go back with it.
_VERSIONS = (
    ("airflowVersion",),
    ("defaultAirflowTag",),
    ("defaultAirflowDigest",),
    ("images", "airflow", "tag"),
    ("images", "airflow", "digest"),
    ("airflow", "image", "tag"),
)
#: Where a chart is that is a dependency of another one.
_PREFIXES: tuple[tuple[str, ...], ...] = ((), ("airflow",))
_VERSION = re.compile(r"\d+\.\d+\.\d+")
#: Seconds for which an operation of Helm's is believed to be somebody's that runs: its own time-out by default.
_RUNNING_S = 300.0
_INSTEAD = "edit the values and deploy: --carrier FILE --deploy 'COMMAND'"


@dataclass(frozen=True)
class Emergency:
    """A release, by the person's own helm."""

    helm: Helm
    release: str


@dataclass(frozen=True)
class Rollback:
    """What would be done: from the revision that is in effect to another one.

    ``diff`` is what changes in the values that were given, without secrets. ``path`` is the base path of that revision.
    ``skipped`` says of each newer one why it was not taken, ``images`` which of them go back too. ``line`` is that of the values.
    """

    now: Revision
    to: Revision
    diff: str
    path: str | None
    owner: Owner | None = None
    skipped: tuple[str, ...] = ()
    unseen: str = ""
    images: tuple[str, ...] = ()
    line: Line | None = None

    def lines(self, emergency: Emergency) -> Iterator[str]:
        """It in lines, for whoever is about to say yes."""
        yield f"run: {command(emergency, self.to)}"
        yield f"from revision {_named(self.now)} to {_named(self.to)}"
        yield from self.skipped
        if self.now.chart != self.to.chart:
            yield f"the chart goes back too: {self.now.chart} → {self.to.chart}"
        yield "of the values, this goes back:" if self.diff else "the values that were given are the same in both"
        yield from (f"  {line}" for line in self.diff.splitlines())
        yield from self.warnings()

    def to_json(self, emergency: Emergency) -> dict[str, Any]:
        """It as plain JSON values."""
        return {
            "command": command(emergency, self.to),
            "release": emergency.release,
            "from": self.now.number,
            "to": self.to.number,
            "charts": [self.now.chart, self.to.chart],
            "diff": self.diff,
            "passed_over": list(self.skipped),
            "warnings": list(self.warnings()),
        }

    def warnings(self) -> Iterator[str]:
        """What undoes it again, and what is not known of it."""
        yield from self.images
        if not self.now.is_over:
            yield f"revision {self.now.number} is {self.now.status}: an operation of Helm's that was broken off"
        if self.owner is not None:
            yield f"{self.owner} keeps this release as its repository says and will undo the rollback: {self.owner.hold}"
        if self.unseen:
            yield f"whether Argo CD or Flux own the release is not known: {self.unseen}"


def command(emergency: Emergency, to: Revision) -> str:
    """The rollback as it is run."""
    return shlex.join(emergency.helm.argv(*emergency.helm.rollback_words(emergency.release, to.number)))


def planned(
    emergency: Emergency,
    target: Phase,
    line: Line | None = None,
    unsuited: Callable[[str | None], str] = lambda path: "",
) -> Rollback | None:
    """The rollback to the newest revision that says the target; ``None`` where the one in effect does.

    Without a ``line``, since no context answers, that of the values counts. ``unsuited`` is why a revision with that base path will not do, empty where
    it does. Raises :class:`UserError`: refused where no revision will do, for a release that Helm does not know, and while
    somebody's operation runs.
    """
    helm, release = emergency.helm, emergency.release
    try:
        history = helm.history(release)
    except NoRelease as error:
        raise _rendered_elsewhere(emergency, error) from error
    if not history:
        raise UserError(f"Helm remembers no revision of {release}", _INSTEAD, Verdict.REFUSED)
    now = history[-1]
    if not now.is_over and (age := now.age_s()) is not None and age < _RUNNING_S:
        raise UserError(
            f"{release} is {now.status} since {units.seconds(age)}: somebody's operation runs, or was broken off",
            f"look who it is; without anybody, call again in {units.seconds(_RUNNING_S - age)}",
            Verdict.REFUSED,
        )
    here = _Revised(helm.values(release, now.number, whole=True), release, now)
    is_seen = line is not None
    line = line or here.line
    if line is None:
        raise UserError(f"no context answers, and the values of {release} do not say Airflow's version", _INSTEAD)
    if now.deployed and here.phase(line) is target and not (now.is_rollback and here.hooked):
        return None
    skipped: list[str] = []
    for revision in reversed(history[:-1]):
        if not revision.stood:
            continue
        there = _Revised(helm.values(release, revision.number, whole=True), release, revision)
        phase = there.phase(line)
        if phase not in (None, target):
            continue
        why = there.problem or there.hooked or _another_version(here, there) or unsuited(there.path)
        if not why and not is_seen and there.path != here.path:
            why = f"its base path is {there.path or 'none'} and not {here.path or 'none'}, and where references lie is not known"
        if why:
            skipped.append(f"revision {revision.number} is passed over: {why}")
            continue
        before, after = helm.values(release, now.number), helm.values(release, revision.number)
        kept_by, unseen = _owner(emergency)
        diff = values_shown.difference(before, after)
        images = tuple(_images(here, there))
        return Rollback(now, revision, diff, there.path, kept_by, tuple(skipped), unseen, images, line)
    said = (
        f"none of the {len(history)} revisions of {release} that Helm remembers can be gone back to for {target.value}"
    )
    raise UserError("; ".join([said, *skipped]), _INSTEAD, Verdict.REFUSED)


def _another_version(here: _Revised, there: _Revised) -> str:
    """Where both say a version, and not the same."""
    for where, version in there.versions.items():
        now = here.versions.get(where, version)
        if now != version and _VERSION.match(now) and _VERSION.match(version):
            return f"it has another version of Airflow ({now} → {version}), and the metadata database does not go back"
    return ""


def _images(here: _Revised, there: _Revised) -> Iterator[str]:
    """What differs and does not tell a version: a tag per build, a digest."""
    for where in dict.fromkeys((*here.versions, *there.versions)):
        now, then = here.versions.get(where, "none"), there.versions.get(where, "none")
        if now != then:
            yield f"the image goes back too, {where} {now} → {then}: if that is another version of Airflow, the metadata database does not go back with it"
    if not here.versions:
        yield "the values do not say which Airflow they are for: if it was upgraded since, the metadata database does not go back with it"


def _rendered_elsewhere(emergency: Emergency, error: NoRelease) -> UserError:
    """Argo CD renders a chart without Helm's releases."""
    kept_by: Owner | None = None
    with contextlib.suppress(KubectlError):
        there = workloads(emergency.helm.kubectl, emergency.release)
        kept_by = owner(there) or likely_owner(there)
    if kept_by is None:
        return error
    return UserError(
        f"Helm knows no release {emergency.release!r}: {kept_by} renders the chart itself",
        f"revert the values in its repository and sync; or, for now: {kept_by.hold}",
        Verdict.REFUSED,
    )


class _Revised:
    """What a revision's values say."""

    def __init__(self, content: bytes, release: str, revision: Revision) -> None:
        from xcomctl.deployment.carriers.helm_values import HelmValues  # ruamel.yaml is not cheap

        self.problem = ""
        self._values: HelmValues | None = None
        try:
            self._values = HelmValues(Path(f"{release}-{revision.number}.yaml"), content)
        except CarrierError as error:
            self.problem = error.message

    def phase(self, line: Line) -> Phase | None:
        """The phase, ``None`` where they do not tell."""
        if self._values is None:
            return None
        if doubts := self._values.doubts():
            self.problem = doubts[0]
            return None
        return self._values.phase(line)

    @property
    def path(self) -> str | None:
        """The base path."""
        return None if self._values is None else self._values.settings().get(PATH.env)

    @property
    def hooked(self) -> str:
        """Why a rollback to it would not bring its settings back, empty where it would."""
        hooked = () if self._values is None else self._values.hooked()
        return f"a rollback leaves what a hook of the upgrade makes as it is: {hooked[0]}" if hooked else ""

    @property
    def versions(self) -> dict[str, str]:
        """Of Airflow, and of its images, as far as they say: by where it stands."""
        if self._values is None:
            return {}
        places = [(*prefix, *keys) for prefix in _PREFIXES for keys in _VERSIONS]
        found = {".".join(keys): self._values.scalar(*keys) for keys in places}
        return {where: said for where, said in found.items() if said}

    @property
    def line(self) -> Line | None:
        """The line of Airflow that they are for."""
        major = next((said[0] for said in self.versions.values() if _VERSION.match(said)), "")
        return next((line for line in Line if line.value == major), None)


def _owner(emergency: Emergency) -> tuple[Owner | None, str]:
    try:
        return owner(workloads(emergency.helm.kubectl, emergency.release)), ""
    except KubectlError as error:
        return None, error.message


def _named(revision: Revision) -> str:
    said = f": {revision.description}" if revision.description else ""
    return f"{revision.number} ({revision.status}{said})"
