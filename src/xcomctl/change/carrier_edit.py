"""What a step writes into a carrier: the values that a phase wants, taken from where they are said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from xcomctl.deployment.carriers.interface import Carrier, CarrierError, Edit
from xcomctl.deployment.deployments import SettingsEntry
from xcomctl.model.phases import Line, Phase, PhaseFinding, path_problem, phase_of
from xcomctl.model.settings import (
    COMPRESSION,
    PATH,
    THRESHOLD,
    NearMiss,
    Setting,
    Settings,
    SettingsError,
    parse_threshold,
    settings_for,
    settings_of,
)
from xcomctl.report.text import printable

_T = TypeVar("_T")

#: Nothing given, nothing planned.
NOTHING = SettingsEntry()


@dataclass(frozen=True)
class CarrierEdit:
    """An edit that has not been written, and what the carrier says before and after it.

    ``notes`` say what whoever deploys has to know of how the settings stand there.

    That is what this file says alone. What a context resolves may differ: it may not be deployed, and an environment
    variable wins over ``airflow.cfg``.
    """

    edit: Edit
    before: Settings
    after: Settings
    notes: tuple[str, ...] = ()

    @property
    def phase_before(self) -> PhaseFinding:
        """The phase that the carrier says now."""
        return phase_of(self.before)

    @property
    def phase_after(self) -> PhaseFinding:
        """The phase that the carrier says once the edit is written."""
        return phase_of(self.after)


def edit_for(
    carrier: Carrier,
    target: Phase,
    line: Line,
    given: SettingsEntry = NOTHING,
    planned: SettingsEntry = NOTHING,
    *,
    fix: bool = False,
) -> CarrierEdit:
    """The edit that makes a carrier say ``target``, for an Airflow of that line.

    ``given`` and ``planned`` are as in :func:`wanted_for`, whose errors it raises too. Raises :class:`CarrierError`
    for names in the carrier that look like a setting and are none (F13), whatever the target: what they were meant to
    say is not known; and for a threshold of the carrier that would not arrive as it stands (F35). With ``fix`` both are
    corrected first, by the same edit. An edit that changes nothing is no error.
    """
    before, fixed = carrier.settings(), carrier.fix() if fix else None
    if fixed is not None:
        carrier = carrier.after(fixed)
    if misses := carrier.near_misses():
        raise _misspelt(carrier, misses)
    if target is Phase.OFFLOAD and given.threshold is None and (unfit := carrier.unfit().get(THRESHOLD.env)):
        raise CarrierError(f"the threshold does not arrive as it stands: {unfit}", "quote it: --fix writes that")
    present = carrier.settings()
    wanted = wanted_for(target, line, given, planned, present)
    edit = carrier.edit(wanted)
    return CarrierEdit(
        edit=edit if fixed is None else fixed.then(edit, [path.name for path in carrier.paths]),
        before=settings_of(before, line),
        after=settings_after(wanted, present, line),
        notes=carrier.notes(),
    )


def wanted_for(
    target: Phase,
    line: Line,
    given: SettingsEntry = NOTHING,
    planned: SettingsEntry = NOTHING,
    present: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The variables that a carrier must hold for ``target``, as :func:`~xcomctl.model.settings.settings_for` says.

    Each value is the one ``given``, else the one in the carrier (``present``), else the one ``planned`` in
    ``xcomctl.toml``. A value in the carrier that is empty or cannot be one of the target counts as none, so that a
    step mends it. Raises :class:`CarrierError` for a target that is none, for a value that is said nowhere (the hint
    names the option), and for one that the target cannot have.
    """
    present = present or {}
    path = _first(given.path, _usable_path(present), planned.path)
    threshold = planned_threshold(line, given, planned, present)
    compression = _first(given.compression, present.get(COMPRESSION.env) or None, planned.compression)
    if target is Phase.DUAL_READ and given.compression is None and present.get(COMPRESSION.env):
        compression = None  # nothing is compressed now; what is wrong with it is no reason to stay in `offload`
    if target in (Phase.DUAL_READ, Phase.OFFLOAD) and path is None:
        raise _said_nowhere(target, PATH, "--path s3://CONNECTION@BUCKET/xcom", present)
    if target is Phase.OFFLOAD and threshold is None:
        raise _said_nowhere(target, THRESHOLD, "--threshold BYTES", present)
    try:
        return settings_for(target, path, threshold, compression)
    except SettingsError as error:
        raise CarrierError(error.message, error.hint) from error


def settings_after(wanted: Mapping[str, str], present: Mapping[str, str], line: Line) -> Settings:
    """What these variables amount to once ``wanted`` are written over ``present``."""
    return settings_of({**present, **wanted}, line)


def _first(*values: _T | None) -> _T | None:
    return next((value for value in values if value is not None), None)


def _usable_path(present: Mapping[str, str]) -> str | None:
    path = present.get(PATH.env)
    return path if path_problem(path) is None else None


def planned_threshold(
    line: Line,
    given: SettingsEntry = NOTHING,
    planned: SettingsEntry = NOTHING,
    present: Mapping[str, str] | None = None,
) -> int | None:
    """The threshold that the offload at the end of the way up will have, as far as it is said somewhere."""
    return _first(given.threshold, _usable_threshold(present or {}, line), planned.threshold)


def _usable_threshold(present: Mapping[str, str], line: Line) -> int | None:
    """A threshold that offloads; ``dual-read``'s -1 says nothing about the next ``offload``."""
    try:
        threshold = parse_threshold(present.get(THRESHOLD.env), line)
    except SettingsError:
        return None
    return threshold if threshold >= 0 else None


def _said_nowhere(target: Phase, setting: Setting, option: str, present: Mapping[str, str]) -> CarrierError:
    found = present.get(setting.env)
    where = f"the carrier's {found!r} cannot be it" if found else "the carrier has none"
    return CarrierError(
        f"{target.value} needs a {setting.name}, and {where}",
        f"{option}, or {setting.name} in the deployment's [settings] in xcomctl.toml",
    )


def _misspelt(carrier: Carrier, misses: tuple[NearMiss, ...]) -> CarrierError:
    """The refusal with what to do about each name: it goes where the right one stands too, else it gets that name."""
    said = "; ".join(f"{printable(miss.name)} ({miss.reason})" for miss in misses)
    there, hints = set(carrier.settings()), []
    for miss in misses:
        name = printable(miss.name)
        if miss.meant in there:
            hints.append(f"remove {name}, {miss.correction} is set")
        else:
            hints.append(f"{name} → {miss.correction}")
            there.add(miss.meant)
    return CarrierError(
        f"{carrier.shown} sets what Airflow does not read: {said}", "; ".join([*hints, "or have that written: --fix"])
    )
