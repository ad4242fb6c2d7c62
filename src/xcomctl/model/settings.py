"""The four settings: their names, defaults, how their values are read, and what a phase wants them to be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND, Line, Phase, path_problem
from xcomctl.model.requests import ResolvedSetting

__all__ = [
    "BACKEND",
    "COMPRESSION",
    "PATH",
    "SETTINGS",
    "THRESHOLD",
    "NearMiss",
    "ResolvedSetting",
    "Setting",
    "Settings",
    "SettingsError",
    "env_name",
    "format_threshold",
    "near_miss",
    "near_misses",
    "parse_threshold",
    "settings_for",
    "settings_from",
]


class SettingsError(ValueError):
    """A value that a setting cannot have. ``hint`` says what to write instead."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Setting:
    """One setting: section and key as in ``airflow.cfg``, and what it is when nothing sets it.

    ``default`` is the text in the provider's or core's own configuration; ``None`` where it depends on the line
    (see :data:`xcomctl.model.phases.DEFAULT_BASE_XCOM`). ``name`` is its short name in messages and JSON.
    """

    name: str
    section: str
    key: str
    default: Optional[str]

    @property
    def env(self) -> str:
        """The one environment variable that Airflow reads for it (``_CMD`` and ``_SECRET`` do not exist for it)."""
        return env_name(self.section, self.key)


def env_name(section: str, key: str) -> str:
    """The environment variable of a setting, as ``AirflowConfigParser._env_var_name`` spells it: dots underscored."""
    return f"AIRFLOW__{section.replace('.', '_').upper()}__{key.upper()}"


BACKEND = Setting("backend", "core", "xcom_backend", None)
PATH = Setting("path", "common.io", "xcom_objectstorage_path", "")
THRESHOLD = Setting("threshold", "common.io", "xcom_objectstorage_threshold", "-1")
COMPRESSION = Setting("compression", "common.io", "xcom_objectstorage_compression", "")

#: The four, in the order in which everything shows and writes them.
SETTINGS = (BACKEND, PATH, THRESHOLD, COMPRESSION)

#: The runbook's threshold in bytes, about the p99.9 of the distribution that it was written for.
RUNBOOK_THRESHOLD = 1_600_000

#: No threshold below this many bytes: the scheduler reads ``skipmixin_key`` past the backend, so that a skipped branch
#: would run if it were offloaded (F36). Twice the largest ``skipmixin_key`` of the deployment is the other half of it.
THRESHOLD_FLOOR = 10_000

#: Written as a codec, but a suffix: the provider raises at the first large write (F23; ``gz`` is its own example).
_SUFFIX_NOT_CODEC = {"gz": "gzip", "bz": "bz2", "zst": "zstd"}


@dataclass(frozen=True)
class Settings:
    """What a context's four settings resolve to.

    ``backend`` is a class path, ``None`` or empty when nothing is set. ``path`` is ``None`` when it does not resolve.
    ``threshold`` is in bytes of JSON, negative for never, ``None`` when ``threshold_raw`` cannot be read as a number.
    ``threshold_raw`` is the text that was found, ``None`` when nothing sets it. ``compression`` is ``None`` or empty
    for none.
    """

    backend: Optional[str]
    path: Optional[str]
    threshold: Optional[int]
    threshold_raw: Optional[str] = None
    compression: Optional[str] = None

    def to_json(self) -> dict[str, Any]:
        """The settings as plain JSON values, as reports and the journal carry them."""
        return {
            "backend": self.backend,
            "path": self.path,
            "threshold": self.threshold,
            "threshold_raw": self.threshold_raw,
            "compression": self.compression,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Settings:
        """The inverse of :meth:`to_json`. Raises ``KeyError`` for a record without the four."""
        return cls(
            backend=record["backend"],
            path=record["path"],
            threshold=record["threshold"],
            threshold_raw=record.get("threshold_raw"),
            compression=record["compression"],
        )


def settings_from(
    backend: ResolvedSetting,
    path: ResolvedSetting,
    threshold: ResolvedSetting,
    compression: ResolvedSetting,
    line: Line,
) -> Settings:
    """The settings that a context reports, read as that line reads them.

    A setting whose reading raised counts as unreadable, not as absent. An absent threshold is the default, -1.
    """
    raw = None if threshold.value is None else str(threshold.value)
    number: Optional[int] = None
    if threshold.error is None:
        try:
            number = parse_threshold(raw, line)
        except SettingsError:
            number = None
    return Settings(
        backend=_text(backend),
        path=_text(path),
        threshold=number,
        threshold_raw=raw,
        compression=_text(compression),
    )


def _text(setting: ResolvedSetting) -> Optional[str]:
    return None if setting.value is None or setting.error is not None else str(setting.value)


def parse_threshold(raw: Optional[str], line: Line) -> int:
    """The threshold in bytes that Airflow's ``getint`` reads from a text; ``None`` (nothing set) is the default -1.

    2.x takes what Python's ``int`` takes: ``1_600_000`` is fine, ``1.6e+06`` (what Helm makes of an unquoted number,
    F35) raises there and every push fails. 3.x also takes a float of whole value. Empty raises on both (observed).
    Raises :class:`SettingsError`.
    """
    if raw is None:
        return -1
    try:
        return int(raw)
    except ValueError:
        pass
    whole = _whole_float(raw)
    if whole is not None and line is Line.AF3:
        return whole
    hint = f'write {format_threshold(whole)}, quoted: "{format_threshold(whole)}"' if whole is not None else ""
    raise SettingsError(
        f"Airflow {line.value}.x cannot read the threshold {raw!r} as a whole number",
        hint or "write a plain whole number of bytes, quoted",
    )


def _whole_float(raw: str) -> Optional[int]:
    try:
        number = float(raw)
        whole = int(number)
    except (ValueError, OverflowError):
        return None
    return whole if whole == number else None


def format_threshold(threshold: int) -> str:
    """A threshold as plain decimal digits: no underscore, no exponent, nothing that a YAML reader rounds."""
    return str(int(threshold))


def settings_for(
    phase: Phase,
    path: Optional[str] = None,
    threshold: Optional[int] = None,
    compression: Optional[str] = None,
) -> dict[str, str]:
    """The environment variables, and their values, that a carrier must hold for a phase.

    What is not in the mapping stays as it is in the carrier. ``inline`` names the backend alone: the other three
    have no effect then, and the way back up needs them. ``dual-read`` writes the threshold -1 whatever ``threshold``
    says; ``offload`` needs one of 0 or more bytes. ``compression`` ``None`` leaves that variable alone, an empty
    string switches it off. Raises :class:`SettingsError` for a phase that is no target and for values that would
    make the result another phase.
    """
    if not phase.is_target:
        raise SettingsError(f"{phase.value} is never a target", "choose inline, dual-read or offload")
    if phase is Phase.INLINE:
        return {BACKEND.env: BASE_XCOM}
    problem = path_problem(path)
    if problem is not None or path is None:
        raise SettingsError(problem or "no path", "a path looks like s3://CONNECTION@BUCKET/xcom")
    if phase is Phase.DUAL_READ:
        threshold = -1
    elif threshold is None or threshold < 0:
        raise SettingsError(
            f"offload needs a threshold of 0 or more bytes, not {threshold}", "the runbook's own is --threshold 1600000"
        )
    wanted = {BACKEND.env: OBJECT_STORAGE_BACKEND, PATH.env: path, THRESHOLD.env: format_threshold(threshold)}
    if compression is not None:
        if compression in _SUFFIX_NOT_CODEC:
            raise SettingsError(
                f"{compression!r} is a file suffix, not a codec: the first large write would fail",
                f"write {_SUFFIX_NOT_CODEC[compression]}",
            )
        wanted[COMPRESSION.env] = compression
    return wanted


@dataclass(frozen=True)
class NearMiss:
    """A name that looks like one of the settings and that Airflow does not read.

    ``name`` is what was found, ``meant`` the variable that Airflow reads, ``reason`` the sentence that tells them
    apart.
    """

    name: str
    meant: str
    reason: str


_UNSPELLED = re.compile(r"[^a-z0-9]")
#: So alike that it is no other word: one letter in ten may differ.
_ALIKE = 0.9
_REAL_NEIGHBOURS = frozenset({env_name("common.io", "state_store_objectstorage_path")})


def near_misses(names: Iterable[str]) -> tuple[NearMiss, ...]:
    """The near misses among names of variables, in their order (F13)."""
    found = (near_miss(name) for name in names)
    return tuple(miss for miss in found if miss is not None)


def near_miss(name: str) -> Optional[NearMiss]:
    """Which setting a name was meant to be; ``None`` for a setting's correct name and for unrelated ones.

    Dots instead of underscores, single underscores, another case, a missing prefix, ``_CMD`` and ``_SECRET``
    variants (which do not exist for these settings), and small misspellings.
    """
    exact = {setting.env: setting for setting in SETTINGS}
    if name in exact or name in _REAL_NEIGHBOURS:
        return None
    bare = _UNSPELLED.sub("", name.lower())
    for suffix in ("cmd", "secret"):
        for env in exact:
            if bare == _UNSPELLED.sub("", env.lower()) + suffix:
                return NearMiss(name, env, f"Airflow has no _{suffix.upper()} variant of this setting")
    for setting in SETTINGS:
        key = _UNSPELLED.sub("", setting.key)
        full = _UNSPELLED.sub("", setting.env.lower())
        if bare == full:
            reason = "the section's dot is an underscore" if "." in name else "sections are set off by two underscores"
            if "." not in name and name.upper() == setting.env:
                reason = "names of variables are upper case"
            return NearMiss(name, setting.env, f"{reason} in the name that Airflow reads")
        if bare == key or (bare.startswith("airflow") and bare.endswith(key)):
            return NearMiss(name, setting.env, "section or prefix differ from the name that Airflow reads")
    alike = {_UNSPELLED.sub("", env.lower()): env for env in exact}
    for candidate in difflib.get_close_matches(bare, alike, n=1, cutoff=_ALIKE):
        return NearMiss(name, alike[candidate], "almost the name that Airflow reads")
    return None
