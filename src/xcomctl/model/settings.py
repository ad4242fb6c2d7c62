"""The four settings: their names, defaults, how their values are read, and what a phase wants them to be."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.phases import BASE_XCOM, BASE_XCOM_SPELLINGS, OBJECT_STORAGE_BACKEND, Line, Phase, path_problem
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
    "near_miss_in_file",
    "near_misses",
    "parse_threshold",
    "same_value",
    "settings_for",
    "settings_from",
    "settings_of",
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
#: would run if it were offloaded (F36). So many times the largest ``skipmixin_key`` of the deployment is the other half.
THRESHOLD_FLOOR = 10_000
SKIPMIXIN_ROOM = 2

#: Written as a codec, but a suffix: the provider raises at the first large write (F23; ``gz`` is its own example).
SUFFIX_NOT_CODEC = {"gz": "gzip", "bz": "bz2", "zst": "zstd"}


def floor_for(skipmixin_bytes: int) -> int:
    """The lowest threshold, in bytes, where the largest ``skipmixin_key`` has that many (0: there is none)."""
    return max(THRESHOLD_FLOOR, SKIPMIXIN_ROOM * skipmixin_bytes)


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


def settings_of(variables: Mapping[str, str], line: Line) -> Settings:
    """The settings that these variables make, where nothing else sets any."""
    found = {setting.name: ResolvedSetting(variables.get(setting.env, setting.default), None) for setting in SETTINGS}
    return settings_from(line=line, **found)


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


def same_value(setting: Setting, one: Optional[str], other: Optional[str], line: Line) -> bool:
    """Whether two texts of a setting mean the same.

    Every spelling of Airflow's own class is the same (F48), a path may end with a slash, thresholds are numbers, and
    what is empty is as good as not set.
    """
    one, other = one or "", other or ""
    if one == other:
        return True
    if setting == BACKEND:
        return {one, other} <= {"", *BASE_XCOM_SPELLINGS}
    if setting == PATH:
        return one.rstrip("/") == other.rstrip("/")
    if setting == THRESHOLD:
        try:
            return parse_threshold(one or None, line) == parse_threshold(other or None, line)
        except SettingsError:
            return False
    return False


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
        if compression in SUFFIX_NOT_CODEC:
            raise SettingsError(
                f"{compression!r} is a file suffix, not a codec: the first large write would fail",
                f"write {SUFFIX_NOT_CODEC[compression]}",
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

    @property
    def correction(self) -> str:
        """What to write instead, in the spelling of the place where the name stands."""
        meant = next(setting for setting in SETTINGS if setting.env == self.meant)
        return f"[{meant.section}] {meant.key}" if self.name.startswith("[") else meant.env


#: Options of another feature in the same section.
_REAL_NEIGHBOURS = frozenset(
    env_name("common.io", f"state_store_objectstorage_{what}") for what in ("path", "threshold", "compression")
)
#: Names with which Airflow's own variables and connections begin; what follows is the user's choice.
_OTHER_NAMESPACES = ("AIRFLOW_VAR_", "AIRFLOW_CONN_", "AIRFLOW_CTX_")
_NO_VARIANT = re.compile(r"(?i)(.*?)[^a-z0-9]*(CMD|SECRET)")
_UNSPELLED = re.compile(r"[^a-z0-9]")
_SEPARATED = re.compile(r"[a-z0-9]+")
#: So alike that it is no other name: one letter in ten may differ, and one in five of a word.
_ALIKE, _ALIKE_WORD = 0.9, 0.8
#: What the words of the four names are; ``store`` is a word of its own, and not a misspelt ``storage``.
_WORDS = ("xcom", "objectstorage", "path", "threshold", "compression", "backend", "common", "airflow", "core",
          "object", "storage", "store")  # fmt: skip
_OF_THE_SECTION = frozenset({"airflow", "common", "io", "commonio", "core"})
#: Words that people add and mean the same setting by it. With any other word more (``BUCKET``, ``CONN_ID``, ``TF_VAR``,
#: ``OLD``) it is another name on purpose: a custom backend's own, a deployment tool's, a backup.
_ADDED = frozenset({"apache", "providers", "provider", "class", "base", "size", "bytes", "codec", "objectstorage"})


def near_misses(names: Iterable[str]) -> tuple[NearMiss, ...]:
    """The near misses among names of variables, in their order (F13)."""
    found = (near_miss(name) for name in names)
    return tuple(miss for miss in found if miss is not None)


@functools.lru_cache(maxsize=4096)
def near_miss(name: str) -> Optional[NearMiss]:
    """Which setting a name was meant to be; ``None`` for a setting's correct name and for unrelated ones.

    Dots, dashes or single underscores, another case, a missing or another prefix or section, words in another order,
    ``_CMD`` and ``_SECRET`` variants (which do not exist for these settings), and small misspellings. A name that has
    words of its own besides (a custom backend's bucket, ``TF_VAR_…``, ``…_OLD``) is no near miss.
    """
    if _is_known(name):
        return None
    variant = _NO_VARIANT.fullmatch(name)
    if variant is not None:
        meant = _meant(variant[1])
        # Without Airflow's prefix, XCOM_BACKEND_SECRET is what some custom backend keeps secret.
        if meant is not None and (meant != BACKEND or "airflow" in name.lower()):
            return NearMiss(name, meant.env, f"Airflow has no _{variant[2].upper()} variant of this setting")
    meant = _meant(name)
    if meant is None:
        return None
    return NearMiss(name, meant.env, _difference(name, meant))


def near_miss_in_file(section: str, key: str) -> Optional[NearMiss]:
    """The same for a section and a key of ``airflow.cfg``; ``meant`` is the variable that stands for the setting.

    Airflow keeps the case of what stands there and looks for lower case: ``XCOM_BACKEND`` is not read (observed).
    """
    if any((setting.section, setting.key) == (section, key) for setting in SETTINGS):
        return None
    spelled = f"[{section}] {key}"
    name = env_name(section, key)
    for setting in SETTINGS:
        if name == setting.env:
            read = f"section that Airflow reads is [{setting.section}]"
            if section == setting.section:
                read = f"key that Airflow reads is {setting.key}"
            return NearMiss(spelled, setting.env, f"the {read}")
    miss = near_miss(name)
    return (
        None if miss is None else NearMiss(spelled, miss.meant, "section or key differ from those that Airflow reads")
    )


def _is_known(name: str) -> bool:
    """Whether Airflow reads exactly this name, or it belongs to something else."""
    exact = any(setting.env == name for setting in SETTINGS)
    return exact or name in _REAL_NEIGHBOURS or name.upper().startswith(_OTHER_NAMESPACES)


def _meant(name: str) -> Optional[Setting]:
    """The setting that a name spells, well or badly; ``None`` as well for one that is another name on purpose."""
    bare = _UNSPELLED.sub("", name.lower())
    words = _words(name)
    rest = [word for word in words if word not in _OF_THE_SECTION]
    on_purpose = False
    for setting in SETTINGS:
        key = setting.key.split("_")
        full = _UNSPELLED.sub("", setting.env.lower())
        if bare in (full, "".join(key)) or _in_some_section(name, setting):
            return setting
        if sorted(rest) == sorted(key):
            return setting
        added = set(rest) - set(key) - _ADDED
        if "airflow" in words and set(key) <= set(rest):
            if not added:
                return setting
            on_purpose = on_purpose or not all(_is_fragment(word) for word in added)
        on_purpose = on_purpose or _has_more_words(name, setting)
        # The section has these options alone: without `xcom` or `objectstorage` it is still the one that was meant.
        in_section = setting.section == "common.io" and words[:1] == ["airflow"] and _in_common_io(words)
        if in_section and rest[-1:] == key[-1:] and set(rest) <= {*key, "store", "backend"}:
            return setting
    if on_purpose:
        return None
    alike = {_UNSPELLED.sub("", setting.env.lower()): setting for setting in SETTINGS}
    for candidate in difflib.get_close_matches(bare, alike, n=1, cutoff=_ALIKE):
        return alike[candidate]
    return None


def _in_some_section(name: str, setting: Setting) -> bool:
    """Whether a name gives the setting's very option to a section, whichever."""
    return re.fullmatch(f"airflow__.+__{setting.key}", name.lower()) is not None


def _is_fragment(word: str) -> bool:
    """Whether a word may be what an underscore in the wrong place leaves of another, or ``io`` misspelt."""
    return len(word) <= 2 or (len(word) == 3 and "io" in word)


def _has_more_words(name: str, setting: Setting) -> bool:
    """Whether a name is the correct one with whole words in front or behind that change what it is."""
    before, exact, behind = name.partition(setting.env)
    if not exact or before[-1:].isalnum() or behind[:1].isalnum():
        return False
    return not set(_SEPARATED.findall(f"{before} {behind}".lower())) <= _OF_THE_SECTION | _ADDED


def _in_common_io(words: Sequence[str]) -> bool:
    return "commonio" in words or {"common", "io"} <= set(words)


def _words(name: str) -> list[str]:
    """The words of a name, each as it was meant, with ``object`` and ``storage`` put together."""
    found: list[str] = []
    for word in _SEPARATED.findall(name.lower()):
        known = difflib.get_close_matches(word, _WORDS, n=1, cutoff=_ALIKE_WORD) if len(word) > 2 else []
        word = known[0] if known else word
        if word in ("storage", "store") and found[-1:] == ["object"]:
            found[-1] = "objectstorage"
        else:
            found.append(word)
    return found


def _difference(name: str, meant: Setting) -> str:
    """What tells a name from the one that Airflow reads, in a sentence."""
    if _UNSPELLED.sub("", name.lower()) != _UNSPELLED.sub("", meant.env.lower()):
        if meant.key in name.lower():
            return "section or prefix differ from the name that Airflow reads"
        return "almost the name that Airflow reads"
    if not re.fullmatch(r"\w*", name):
        return "dots and dashes are underscores in the name that Airflow reads"
    if name.upper() == meant.env:
        return "names of variables are upper case"
    if name.startswith(meant.env[: -len(meant.key)]):
        return "almost the name that Airflow reads"
    return "sections are set off by two underscores in the name that Airflow reads"
