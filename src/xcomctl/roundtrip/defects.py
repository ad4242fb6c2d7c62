"""Differences between BaseXCom and the backend that are known upstream defects, by name.

A row tells by the value and by what came of it whether it is the reason, as narrowly as can be: a difference that
nobody has named has to stay without a name. Each was seen with the real classes: Airflow 2.11.2 and 3.3.2 with
common-io 1.11.0. With 1.5.3 on 2.11.2 there is no F4, and a string under the base path that names no object raises.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Optional

from xcomctl.model import describe
from xcomctl.model.phases import Line
from xcomctl.model.references import Kind, classify, scheme_of
from xcomctl.model.versions import missing_object_gives_path, numbers
from xcomctl.roundtrip.compare import CAME_BACK, PUSH_RAISED, READ_RAISED, Pair


@dataclass(frozen=True)
class Setting:
    """Where a difference was seen. ``common_io`` is the provider's version, ``offloaded``: the values were in the store."""

    line: Line
    common_io: str
    base_path: str
    offloaded: bool


@dataclass(frozen=True)
class Defect:
    """One named defect. ``id`` is the row of the list of failures, ``kind`` tells its forms apart.

    ``title`` is what happens in general, ``short`` the same in a few words, ``hint`` what to do about it. ``affected`` is the check that counts the stored
    values which it changes, empty where only what is pushed from then on is changed. ``explains`` says what it
    did to a value, ``None`` when it is not the reason.
    """

    id: str
    title: str
    hint: str
    explains: Callable[[Pair, Setting], Optional[str]]
    kind: str = ""
    affected: str = ""
    short: str = ""


def named(pair: Pair, setting: Setting) -> tuple[Optional[Defect], str]:
    """The defect that explains a difference, if one does, and the sentence that says what happens."""
    for defect in DEFECTS:
        sentence = defect.explains(pair, setting)
        if sentence is not None:
            return defect, sentence
    return None, f"{_shown(pair)} {_came_back(pair)}, from BaseXCom {pair.base.shown}"


def by_name(id: str, kind: str) -> Defect:
    """The defect of that name. Raises ``KeyError``."""
    return {(defect.id, defect.kind): defect for defect in DEFECTS}[id, kind]


def _shown(pair: Pair) -> str:
    return describe.excerpt(pair.value.value)


def _came_back(pair: Pair) -> str:
    return f"comes back as {pair.backend.shown}" if pair.backend.reached == CAME_BACK else pair.backend.shown


def _second_decode(pair: Pair, setting: Setting) -> Optional[str]:
    text = pair.value.value
    if setting.line is not Line.AF2 or setting.offloaded or not isinstance(text, str):
        return None
    if numbers(setting.common_io) < (1, 5, 4) or pair.backend.reached != CAME_BACK:
        return None
    try:
        decoded = json.loads(text)
    except ValueError:
        return None
    if not describe.same(pair.backend.value, decoded) or not describe.same(pair.base.value, text):
        return None
    return f"{_shown(pair)} comes back as {pair.backend.shown}"


def _keys_refused(pair: Pair, setting: Setting) -> Optional[str]:
    error = pair.backend.error
    if setting.line is not Line.AF3 or pair.backend.reached != PUSH_RAISED or not isinstance(error, TypeError):
        return None
    if not str(error).startswith("keys must be str, ") or not _has_other_keys(pair.value.value):
        return None
    return f"{_shown(pair)} cannot be pushed ({error})"


def _has_other_keys(value: Any) -> bool:
    """Whether a dict at any depth has keys that JSON's encoder refuses."""
    if isinstance(value, dict):
        return any(
            not (key is None or isinstance(key, (str, int, float))) or _has_other_keys(entry)
            for key, entry in value.items()
        )
    return isinstance(value, (list, tuple)) and any(_has_other_keys(entry) for entry in value)


def _keys_as_json(pair: Pair, setting: Setting) -> Optional[str]:
    return _other_encoder(pair, setting, keys=True, tuples=False)


def _tuples_as_lists(pair: Pair, setting: Setting) -> Optional[str]:
    return _other_encoder(pair, setting, keys=True, tuples=True)


def _other_encoder(pair: Pair, setting: Setting, keys: bool, tuples: bool) -> Optional[str]:
    """The sentence for what the standard library's encoder makes of a value instead of Airflow's own serialiser."""
    if setting.line is not Line.AF3 or not setting.offloaded:
        return None
    if (pair.base.reached, pair.backend.reached) != (CAME_BACK, CAME_BACK):
        return None
    try:
        expected = _as_encoded(pair.value.value, pair.base.value, tuples)
    except (LookupError, TypeError, ValueError):
        return None  # BaseXCom itself gave something of another shape
    if not describe.same(pair.backend.value, expected):
        return None
    return f"{_shown(pair)} comes back as {pair.backend.shown}, from BaseXCom {pair.base.shown}"


def _as_encoded(pushed: Any, base: Any, tuples: bool) -> Any:
    """What BaseXCom gives, with keys as JSON writes them and, if so wished, lists where tuples are nested."""
    if isinstance(pushed, dict):
        return {_json_key(key): _as_encoded(entry, base[str(key)], tuples) for key, entry in pushed.items()}
    if isinstance(pushed, list) or (tuples and isinstance(pushed, tuple)):
        return [_as_encoded(one, other, tuples) for one, other in zip(pushed, base)]
    return base


def _json_key(key: Any) -> str:
    found: str = next(iter(json.loads(json.dumps({key: None}))))
    return found


def _not_installed(pair: Pair, setting: Setting) -> Optional[str]:
    return _unopenable(pair, setting, ImportError)


def _no_target(pair: Pair, setting: Setting) -> Optional[str]:
    if not str(pair.backend.error).startswith("No target path found"):
        return None
    return _unopenable(pair, setting, IndexError)


def _unopenable(pair: Pair, setting: Setting, error_class: type[Exception]) -> Optional[str]:
    text, error = pair.value.value, pair.backend.error
    if setting.line is not Line.AF3 or setting.offloaded or not isinstance(text, str) or scheme_of(text) is None:
        return None
    if pair.backend.reached != READ_RAISED or not isinstance(error, error_class):
        return None
    return f"{_shown(pair)} raises {type(error).__name__} on read ({error})"


def _taken_for_reference(pair: Pair, setting: Setting) -> Optional[str]:
    text = pair.value.value
    if setting.offloaded or not isinstance(text, str) or classify(text, setting.base_path).kind is not Kind.REFERENCE:
        return None
    if not describe.same(pair.base.value, text):
        return None
    error = pair.backend.error
    unread = not missing_object_gives_path(setting.common_io) and isinstance(error, FileNotFoundError)
    if pair.backend.reached == READ_RAISED and (unread or isinstance(error, IsADirectoryError)):
        return f"{_shown(pair)} raises {type(error).__name__} on read"
    content = pair.value.objects.get(text)
    if content is None or pair.backend.reached != CAME_BACK:
        return None
    if not describe.same(pair.backend.value, json.loads(content)):
        return None
    return f"{_shown(pair)} comes back as what that file holds"


def _undecodable(pair: Pair, setting: Setting) -> Optional[str]:
    if not setting.offloaded or not pair.path_handed_over or not isinstance(pair.base.error, (TypeError, ValueError)):
        return None
    return f"{_shown(pair)} comes back as the path of its object, where BaseXCom raises {pair.base.error}"


#: The first one that explains a difference gives it its name.
DEFECTS = (
    Defect(
        "F4",
        "strings that are JSON themselves are decoded a second time (common-io 1.5.4+ on Airflow 2.x)",
        "no common-io from 1.5.4 on is free of it on Airflow 2.x: pin 'apache-airflow-providers-common-io<1.5.4', or "
        'have producers push the value itself or a dict around the text ({"day": "20260606"})',
        _second_decode,
        affected="metadata_json_strings",
        short="second JSON decode, common-io 1.5.4+ on Airflow 2.x",
    ),
    Defect(
        "F5",
        "dicts with keys that JSON does not have raise TypeError at push, whatever the threshold (Airflow 3.x)",
        "have producers turn such keys into text themselves: BaseXCom hands them over as str(key)",
        _keys_refused,
        "keys refused",
        "metadata_keys",
        short="JSON has no such keys, Airflow 3.x",
    ),
    Defect(
        "F5",
        "keys that are no text are spelled as JSON spells them once offloaded (Airflow 3.x)",
        "have producers turn such keys into text themselves: BaseXCom hands them over as str(key)",
        _keys_as_json,
        "keys spelled",
        short="keys as JSON spells them, Airflow 3.x",
    ),
    Defect(
        "F5",
        "nested tuples come back as lists once offloaded (Airflow 3.x)",
        "have readers of large values take lists for tuples",
        _tuples_as_lists,
        "tuples",
        short="tuples become lists in the store, Airflow 3.x",
    ),
    Defect(
        "F38",
        "strings that begin with the name of a file system whose package is not installed raise on read (Airflow 3.x)",
        "install the package that the error names, or have producers push such text inside a dict or a list",
        _not_installed,
        affected="metadata_schemes",
        short="taken for a URL whose file system is not installed, Airflow 3.x",
    ),
    Defect(
        "F38",
        "strings that begin with the name of a file system on top of another raise on read (Airflow 3.x)",
        "have producers push such text inside a dict or a list",
        _no_target,
        "no target",
        "metadata_schemes",
        short="taken for a URL of a file system on top of another, Airflow 3.x",
    ),
    Defect(
        "F2",
        "what cannot be decoded comes back as a path once offloaded, silently: the backend catches the error",
        "have producers push such times in UTC, or as text",
        _undecodable,
        "undecodable",
        short="the backend catches the error of the decoder",
    ),
    Defect(
        "F7",
        "strings under the base path are taken for references, and purge deletes the file",
        "choose a base path that no task writes to",
        _taken_for_reference,
        affected="metadata_own_paths",
        short="taken for a reference of its own",
    ),
)
