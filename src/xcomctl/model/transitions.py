"""The phase table of DESIGN §1 as data: steps, what may coexist, and what a reader gets of what a writer wrote.

The expectations hold for ``serialize_value`` and ``deserialize_value`` of the real classes with common-io 1.11.0:
Airflow 2.11.2 (universal_pathlib 0.2.6) and 3.3.2 (0.3.10). They were observed there, and
``tests/unit/model/observed_phase_table.json`` is the recording. What the metadata column itself changes (JSONB, F37)
is not part of them. On 2.x the provider's defaults are taken as loaded, which every ``airflow`` command does; a bare
Python that did not call ``ProvidersManager().initialize_providers_configuration()`` raises on every read instead
when the path is not set.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional, Union

from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Line, Phase
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, format_threshold, settings_for

# --- steps ----------------------------------------------------------------------------------------------------------


class Direction(str, Enum):
    """Which way a step goes; upward steps are gated by rehearsal and pre-flight, downward ones by references."""

    UP = "up"
    DOWN = "down"
    REPAIR = "repair"


@dataclass(frozen=True)
class PhaseStep:
    """One adjacent step: a single deploy during which both phases coexist."""

    start: Phase
    target: Phase
    direction: Direction


STEPS = (
    PhaseStep(Phase.INLINE, Phase.DUAL_READ, Direction.UP),
    PhaseStep(Phase.DUAL_READ, Phase.OFFLOAD, Direction.UP),
    PhaseStep(Phase.OFFLOAD, Phase.DUAL_READ, Direction.DOWN),
    PhaseStep(Phase.DUAL_READ, Phase.INLINE, Direction.DOWN),
    PhaseStep(Phase.MISCONFIGURED, Phase.DUAL_READ, Direction.REPAIR),
)

#: Where the hard kill-switch may start; it ends in ``inline`` and is no adjacent step.
HARD_KILLSWITCH_STARTS = frozenset({Phase.OFFLOAD, Phase.DUAL_READ, Phase.MISCONFIGURED})


def step_between(start: Phase, target: Phase) -> Optional[PhaseStep]:
    """The adjacent step from one phase to another, ``None`` where there is none."""
    for step in STEPS:
        if (step.start, step.target) == (start, target):
            return step
    return None


def route(start: Phase, target: Phase) -> tuple[PhaseStep, ...]:
    """The adjacent steps that lead from one phase to another, shortest way; empty when already there.

    Raises ``ValueError`` when no steps lead there: nothing leads to ``misconfigured`` or out of ``unknown``.
    """
    ways: list[tuple[Phase, tuple[PhaseStep, ...]]] = [(start, ())]
    seen = {start}
    for place, way in ways:
        if place is target:
            return way
        for step in STEPS:
            if step.start is place and step.target not in seen:
                seen.add(step.target)
                ways.append((step.target, (*way, step)))
    raise ValueError(f"no steps lead from {start.value} to {target.value}")


# --- coexistence ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Coexistence:
    """Whether processes of two phases may live beside each other, and the sentence that says why."""

    safe: bool
    reason: str


#: Whether a process of a phase writes references, and whether it resolves them. ``None``: not known.
WRITES_REFERENCES: Mapping[Phase, Optional[bool]] = {
    Phase.INLINE: False,
    Phase.DUAL_READ: False,
    Phase.OFFLOAD: True,
    Phase.MISCONFIGURED: None,
    Phase.UNKNOWN: None,
}
READS_REFERENCES: Mapping[Phase, Optional[bool]] = {
    Phase.INLINE: False,
    Phase.DUAL_READ: True,
    Phase.OFFLOAD: True,
    Phase.MISCONFIGURED: False,
    Phase.UNKNOWN: None,
}


def coexistence(one: Phase, other: Phase) -> Coexistence:
    """Whether two phases are safe beside each other *for references that are written while they coexist*.

    References from before are another matter: ``dual-read`` beside ``inline`` is safe only because the step down is
    refused while any row holds one. Symmetric. ``misconfigured`` is safe beside nothing, itself included: what it
    offloads no one reads.
    """
    for phase in (one, other):
        if phase in (Phase.UNKNOWN, Phase.MISCONFIGURED):
            return Coexistence(False, f"{phase.value}: what it writes need not be readable, by others or by itself")
    for writer, reader in ((one, other), (other, one)):
        if WRITES_REFERENCES[writer] and not READS_REFERENCES[reader]:
            return Coexistence(
                False, f"{writer.value} writes references, and {reader.value} hands them to tasks as path strings"
            )
    return Coexistence(True, "whichever of them writes a reference, both resolve it")


# --- the table ------------------------------------------------------------------------------------------------------


class Misconfiguration(str, Enum):
    """The ways in which a context is ``misconfigured``: the backend is set and the rest does not add up."""

    #: The runbook's "or remove the 4 common.io env vars", with the backend kept. A dotted section does the same.
    VARIABLES_REMOVED = "variables-removed"
    #: An empty path and a threshold of 0 or more, such as a dotted path variable beside a correct threshold.
    PATH_EMPTY = "path-empty"
    #: ``/opt/airflow/xcom`` or ``conn@bucket/xcom``: a path without its scheme.
    PATH_SCHEMELESS = "path-schemeless"
    #: A good path and a threshold that is no number on either line. Unlike the others, it still reads references.
    THRESHOLD_UNREADABLE = "threshold-unreadable"


#: Somebody who writes or reads: one of the three phases, or one of the ways to be misconfigured.
Setup = Union[Phase, Misconfiguration]

SETUPS: tuple[Setup, ...] = (Phase.INLINE, Phase.DUAL_READ, Phase.OFFLOAD, *Misconfiguration)

#: What each misconfiguration changes in a working ``offload``, by environment variable: the value that stands there
#: instead, ``None`` for a variable that is absent. ``{folder}`` is a local folder.
MISCONFIGURATIONS: Mapping[Misconfiguration, Mapping[str, Optional[str]]] = {
    Misconfiguration.VARIABLES_REMOVED: {PATH.env: None, THRESHOLD.env: None, COMPRESSION.env: None},
    Misconfiguration.PATH_EMPTY: {PATH.env: ""},
    Misconfiguration.PATH_SCHEMELESS: {PATH.env: "{folder}"},
    Misconfiguration.THRESHOLD_UNREADABLE: {THRESHOLD.env: "1.6 MB"},
}


def environment(setup: Setup, path: str, threshold: int, folder: str) -> dict[str, str]:
    """The environment variables of a context of that setup; a variable that is not in it has to be absent.

    ``path`` and ``threshold`` are those of the offload. ``folder`` is a local folder for ``path-schemeless``. What
    ``path-empty`` offloads goes below the working directory on 3.x and below ``/`` on 2.x (where a process that may
    not write there fails to push instead). Raises :class:`~xcomctl.model.settings.SettingsError` for values that an
    offload cannot have, ``ValueError`` for ``Phase.MISCONFIGURED`` and ``Phase.UNKNOWN``.
    """
    _check(setup)
    if isinstance(setup, Phase):
        return settings_for(setup, path, threshold)
    variables: dict[str, Optional[str]] = {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        PATH.env: path,
        THRESHOLD.env: format_threshold(threshold),
    }
    variables.update(MISCONFIGURATIONS[setup])
    return {name: value.format(folder=folder) for name, value in variables.items() if value is not None}


class ValueForm(str, Enum):
    """Kinds of values that fare differently. "Large" is at or above the writer's threshold, the others are below."""

    NONE = "none"
    SMALL = "small"
    LARGE = "large"
    TEXT = "text"
    LARGE_TEXT = "large-text"
    #: A string that is itself JSON, as ``"20260606"`` is (F4).
    JSON_TEXT = "json-text"
    LARGE_JSON_TEXT = "large-json-text"
    #: A string that is a URL of an existing JSON object under the base path (F7; so does an alias look, F44).
    OWN_PATH = "own-path"
    #: A string under the base path that names no object.
    OWN_PATH_MISSING = "own-path-missing"
    #: A URL whose file system is installed, not under the base path.
    OTHER_URL = "other-url"
    #: A URL whose file system is not installed (F38).
    UNOPENABLE_URL = "unopenable-url"
    #: Prose whose first word and colon name a file system that is not installed (F38).
    SCHEME_TEXT = "scheme-text"
    TUPLE = "tuple"
    NESTED_TUPLE = "nested-tuple"
    LARGE_NESTED_TUPLE = "large-nested-tuple"
    #: A dict with a tuple as a key (F5).
    TUPLE_KEYS = "tuple-keys"
    #: A dict with ``True`` as a key (F5).
    BOOL_KEYS = "bool-keys"
    LARGE_BOOL_KEYS = "large-bool-keys"


LARGE_FORMS = frozenset(
    {
        ValueForm.LARGE,
        ValueForm.LARGE_TEXT,
        ValueForm.LARGE_JSON_TEXT,
        ValueForm.LARGE_NESTED_TUPLE,
        ValueForm.LARGE_BOOL_KEYS,
    }
)
_JSON_TEXTS = frozenset({ValueForm.JSON_TEXT, ValueForm.LARGE_JSON_TEXT})
_NESTED_TUPLES = frozenset({ValueForm.NESTED_TUPLE, ValueForm.LARGE_NESTED_TUPLE})
_BOOL_KEYS = frozenset({ValueForm.BOOL_KEYS, ValueForm.LARGE_BOOL_KEYS})
_UNOPENABLE = frozenset({ValueForm.UNOPENABLE_URL, ValueForm.SCHEME_TEXT})


class Stored(str, Enum):
    """What a push leaves in the metadata database."""

    VALUE = "value"
    REFERENCE = "reference"
    #: A path without a scheme to a local file that no reader resolves.
    STRAY_PATH = "stray-path"
    #: Nothing: the push raises.
    NOTHING = "nothing"


class Outcome(str, Enum):
    """What the pulling task gets."""

    #: What was pushed, types included.
    VALUE = "value"
    #: The thing that the string spells instead of the string (F4).
    JSON_PARSED = "json-parsed"
    #: Lists where tuples were (F5).
    TUPLES_AS_LISTS = "tuples-as-lists"
    #: Keys turned into text by ``str``: ``'True'``, ``'(1, 2)'`` (F5).
    KEYS_AS_TEXT = "keys-as-text"
    #: Keys turned into text by JSON: ``'true'`` (F5).
    KEYS_AS_JSON = "keys-as-json"
    #: The content of the object that the string names (F7).
    OBJECT = "object"
    #: The reference itself, a string, where data was expected (F1).
    PATH = "path"
    #: A local path without a scheme where data was expected (F6).
    STRAY_PATH = "stray-path"
    PUSH_RAISES = "push-raises"
    READ_RAISES = "read-raises"

    @property
    def is_silent(self) -> bool:
        """Whether the task gets something other than what was pushed and nothing fails."""
        return self not in (Outcome.VALUE, Outcome.PUSH_RAISES, Outcome.READ_RAISES)


def writes(setup: Setup, form: ValueForm, line: Line) -> Stored:
    """What a push of such a value leaves in the database. Raises ``ValueError`` as :func:`environment` does."""
    _check(setup)
    if setup is Misconfiguration.THRESHOLD_UNREADABLE:
        return Stored.NOTHING
    if form is ValueForm.TUPLE_KEYS and (line is Line.AF2 or setup is not Phase.INLINE):
        return Stored.NOTHING
    if form in LARGE_FORMS:
        if setup is Phase.OFFLOAD:
            return Stored.REFERENCE
        if setup in (Misconfiguration.PATH_EMPTY, Misconfiguration.PATH_SCHEMELESS):
            return Stored.STRAY_PATH
    return Stored.VALUE


def what_reader_gets(writer: Setup, reader: Setup, form: ValueForm, line: Line) -> Outcome:
    """What a task of the reader's setup pulls of what a task of the writer's pushed, both on the same line.

    The object still exists and the store answers; a lost object gives ``path`` to every reader (F2), an unreachable
    store ``read-raises``. Raises ``ValueError`` as :func:`environment` does.
    """
    _check(reader)
    stored = writes(writer, form, line)
    if stored is Stored.NOTHING:
        return Outcome.PUSH_RAISES
    if stored is Stored.STRAY_PATH:
        return Outcome.STRAY_PATH
    if stored is Stored.REFERENCE:
        return _from_object(form) if _resolves(reader) else Outcome.PATH
    if reader is not Phase.INLINE:
        if form in _JSON_TEXTS and line is Line.AF2:
            return Outcome.JSON_PARSED
        if form in _UNOPENABLE and line is Line.AF3:
            return Outcome.READ_RAISES
        if form is ValueForm.OWN_PATH and _resolves(reader):
            return Outcome.OBJECT
    return _from_column(form, line)


def _resolves(setup: Setup) -> bool:
    return setup in (Phase.DUAL_READ, Phase.OFFLOAD, Misconfiguration.THRESHOLD_UNREADABLE)


def _from_object(form: ValueForm) -> Outcome:
    """An object is JSON, on both lines."""
    if form in _NESTED_TUPLES:
        return Outcome.TUPLES_AS_LISTS
    if form in _BOOL_KEYS:
        return Outcome.KEYS_AS_JSON
    return Outcome.VALUE


def _from_column(form: ValueForm, line: Line) -> Outcome:
    """Inline, 2.x writes JSON and 3.x the serializer's own structure, which knows tuples and makes keys text."""
    if line is Line.AF2:
        return _from_object(form)
    if form in _BOOL_KEYS or form is ValueForm.TUPLE_KEYS:
        return Outcome.KEYS_AS_TEXT
    return Outcome.VALUE


def _check(setup: Setup) -> None:
    if setup in (Phase.MISCONFIGURED, Phase.UNKNOWN):
        raise ValueError(f"{setup.value} is not one setup: name a Misconfiguration")


@dataclass(frozen=True)
class Expectation:
    """One cell of the table."""

    line: Line
    writer: Setup
    reader: Setup
    form: ValueForm
    stored: Stored
    outcome: Outcome


def expectations(line: Optional[Line] = None) -> Iterator[Expectation]:
    """Every cell of the table, or of one line's: writer × reader × form."""
    for each in (line,) if line is not None else tuple(Line):
        for writer in SETUPS:
            for reader in SETUPS:
                for form in ValueForm:
                    yield Expectation(
                        line=each,
                        writer=writer,
                        reader=reader,
                        form=form,
                        stored=writes(writer, form, each),
                        outcome=what_reader_gets(writer, reader, form, each),
                    )


EXPECTATIONS = tuple(expectations())


# --- samples --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """A real value of a form, and what the outcomes that keep data turn it into.

    ``objects`` are objects (URL and content) that have to exist before the value is read.
    """

    form: ValueForm
    value: Any
    changed: Mapping[Outcome, Any] = field(default_factory=dict)
    objects: Mapping[str, bytes] = field(default_factory=dict)

    def expected(self, outcome: Outcome) -> Any:
        """The value that a task gets with that outcome; compare types too, at every depth.

        Raises ``KeyError`` for outcomes in which it gets a path or nothing, and for those that the form cannot have.
        """
        return self.value if outcome is Outcome.VALUE else self.changed[outcome]


def sample(form: ValueForm, base_path: str, threshold: int) -> Sample:
    """A value of a form for a given base path and threshold (bytes of JSON).

    Raises ``ValueError`` for a threshold so small that the small forms would be offloaded.
    """
    base = base_path.rstrip("/")
    filler = "x" * threshold
    own = f"{base}/own/report.json"
    content = {"made": "by the user"}
    samples = {
        ValueForm.NONE: Sample(form, None),
        ValueForm.SMALL: Sample(form, {"cell": 1, "name": "a", "score": 0.5, "ok": True, "left": None}),
        ValueForm.LARGE: Sample(form, {"cell": 1, "rows": [0.25, "é", None], "body": filler}),
        ValueForm.TEXT: Sample(form, "defi_top5"),
        ValueForm.LARGE_TEXT: Sample(form, filler),
        ValueForm.JSON_TEXT: Sample(form, "20260606", {Outcome.JSON_PARSED: 20260606}),
        ValueForm.LARGE_JSON_TEXT: Sample(form, json.dumps({"body": filler}), {Outcome.JSON_PARSED: {"body": filler}}),
        ValueForm.OWN_PATH: Sample(form, own, {Outcome.OBJECT: content}, {own: json.dumps(content).encode()}),
        ValueForm.OWN_PATH_MISSING: Sample(form, f"{base}/own/missing.json"),
        ValueForm.OTHER_URL: Sample(form, "https://example.org/report.json"),
        ValueForm.UNOPENABLE_URL: Sample(form, "git://example.org/repository"),
        ValueForm.SCHEME_TEXT: Sample(form, "git: fix the build"),
        ValueForm.TUPLE: Sample(form, (1, 2)),
        ValueForm.NESTED_TUPLE: Sample(form, {"pair": (1, 2)}, {Outcome.TUPLES_AS_LISTS: {"pair": [1, 2]}}),
        ValueForm.LARGE_NESTED_TUPLE: Sample(
            form,
            {"pair": (1, 2), "body": filler},
            {Outcome.TUPLES_AS_LISTS: {"pair": [1, 2], "body": filler}},
        ),
        ValueForm.TUPLE_KEYS: Sample(form, {(1, 2): "a"}, {Outcome.KEYS_AS_TEXT: {"(1, 2)": "a"}}),
        ValueForm.BOOL_KEYS: Sample(
            form, {True: "a"}, {Outcome.KEYS_AS_TEXT: {"True": "a"}, Outcome.KEYS_AS_JSON: {"true": "a"}}
        ),
        ValueForm.LARGE_BOOL_KEYS: Sample(
            form,
            {True: filler},
            {Outcome.KEYS_AS_TEXT: {"True": filler}, Outcome.KEYS_AS_JSON: {"true": filler}},
        ),
    }
    chosen = samples[form]
    if form not in LARGE_FORMS and len(json.dumps(str(chosen.value)).encode()) + 64 > threshold:
        raise ValueError(f"a threshold of {threshold} bytes would offload the form {form.value} too")
    return chosen
