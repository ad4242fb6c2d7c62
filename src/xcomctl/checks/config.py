"""Configuration: what resolves, where it comes from, whether it is what was expected, and what it amounts to."""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit

from xcomctl.airflow_compat import configuration, xcom_class
from xcomctl.checks import near_misses, running
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, skip, warn
from xcomctl.checks.running import said_of_running
from xcomctl.checks.setting_words import line_for, text_of, words
from xcomctl.model.phases import (
    BASE_XCOM,
    BASE_XCOM_SPELLINGS,
    OBJECT_STORAGE_BACKEND,
    Line,
    Phase,
    path_problem,
    phase_of,
)
from xcomctl.model.preflight import CONFIG
from xcomctl.model.schemes import store_scheme
from xcomctl.model.settings import (
    BACKEND,
    COMPRESSION,
    PATH,
    RUNBOOK_THRESHOLD,
    SUFFIX_NOT_CODEC,
    THRESHOLD,
    THRESHOLD_FLOOR,
    Setting,
    Settings,
    SettingsError,
    format_threshold,
    parse_threshold,
    same_value,
    settings_for,
)

_EXAMPLE = "s3://CONNECTION@BUCKET/xcom"
_EXAMPLE_PATH = line_for(PATH, _EXAMPLE)


def _class(subject: Subject) -> Finding:
    class_path, error = xcom_class.class_path()
    setting = subject.settings[BACKEND.name]
    if error is None:
        return ok(f"Airflow imports {class_path}, from {setting.source}", class_path=class_path)
    line = BASE_XCOM
    if setting.value and setting.value not in BASE_XCOM_SPELLINGS:
        line = OBJECT_STORAGE_BACKEND
    hint = f"{line_for(BACKEND, line)} (now set by {setting.source})"
    if subject.line is Line.AF2 and str(setting.value).startswith("airflow.sdk."):
        hint = f"{line_for(BACKEND, BASE_XCOM)}: the name that is set by {setting.source} exists in Airflow 3 only"
    elif "circular import" in error or "partially initialized" in error:
        hint = (
            f"pip install -U 'apache-airflow-providers-common-io>=1.6.3', or go on with {line_for(BACKEND, BASE_XCOM)}"
        )
    return fail(
        f"Airflow cannot import its XCom class {setting.value!r}, from {setting.source}; no component starts with it: "
        f"{error}",
        hint,
    )


# -- the four settings


def _backend(subject: Subject) -> Finding:
    expected = subject.options.expect_backend
    problem = None
    if expected is not None and "." not in expected:
        problem = SettingsError(f"{expected!r} is no path of a class", line_for(BACKEND, OBJECT_STORAGE_BACKEND))
    return _setting(subject, BACKEND, expected, problem)


def _path(subject: Subject) -> Finding:
    expected = subject.options.expect_path
    problem = None if expected is None else path_problem(expected)
    return _setting(subject, PATH, expected, None if problem is None else SettingsError(problem, _EXAMPLE_PATH))


def _threshold(subject: Subject) -> Finding:
    expected = subject.options.expect_threshold
    return _setting(subject, THRESHOLD, None if expected is None else format_threshold(expected))


def _compression(subject: Subject) -> Finding:
    expected = subject.options.expect_compression
    codec = SUFFIX_NOT_CODEC.get(expected or "")
    problem = None
    if codec is not None:
        problem = SettingsError("it is a file suffix, not a codec", line_for(COMPRESSION, codec))
    return _setting(subject, COMPRESSION, expected, problem)


def _setting(
    subject: Subject, setting: Setting, expected: Optional[str], problem: Optional[SettingsError] = None
) -> Finding:
    """Expected beside resolved. ``problem`` is what is wrong with the expectation itself."""
    found = subject.settings[setting.name]
    text = text_of(subject, setting)
    now = words(text, found.source)
    data = {"resolved": text, "source": found.source, "expected": expected}
    if expected is not None and subject.options.planned:
        if problem is not None:
            return fail(f"{expected!r} is planned: {problem.message}", problem.hint, **data)
        return ok(f"planned: {words(expected)}; resolves now: {now}", **data)
    if found.error is not None:
        wanted = "" if expected is None else f"expected {expected}; "
        return fail(
            f"{wanted}Airflow cannot read {now}: {found.error}",
            line_for(setting, expected or _readable(text)) + _missed(setting),
            **data,
        )
    if expected is None:
        return ok(now, **data)
    elsewhere = said_of_running(subject, setting, expected)
    if same_value(setting, text, expected, subject.line):
        return ok(now + elsewhere, **data)
    return fail(
        f"expected {words(expected)}, resolved {now}{elsewhere}",
        line_for(setting, expected) + _missed(setting),
        **data,
    )


def _missed(setting: Setting) -> str:
    """That a name which was meant to be this setting's is there: the reason of most first cut-overs that fail (F13)."""
    names = [miss.name for miss in near_misses.found_here() if miss.meant == setting.env]
    return f" (Airflow does not read {', '.join(names)}, which is there)" if names else ""


def _readable(text: Optional[str]) -> str:
    """A number that both lines read: what a text was meant to be, or the runbook's."""
    try:
        return format_threshold(parse_threshold(text, Line.AF3))
    except SettingsError:
        return format_threshold(RUNBOOK_THRESHOLD)


# -- what they amount to


def _phase(subject: Subject) -> Finding:
    options, wanted = subject.options, subject.options.wanted_phase
    now, target = phase_of(subject.resolved), phase_of(subject.target)
    judged = target if options.planned else now
    said = f"{judged.phase.value}: {judged.reason}"
    if options.planned and target != now:
        said = f"planned: {said}; now {now.phase.value}: {now.reason}"
    data = {"phase": now.phase.value, "target": target.phase.value}
    if judged.phase is Phase.UNKNOWN:
        return fail(said, line_for(BACKEND, OBJECT_STORAGE_BACKEND), **data)
    if judged.phase is Phase.MISCONFIGURED:
        return fail(said, _repair(subject), **data)
    if wanted is not None and judged.phase is not wanted:
        given = subject.target if options.planned else subject.resolved
        return fail(f"expected {wanted.value}, and the settings are {said}", _lines_for(subject, wanted, given), **data)
    if wanted is not None and target.phase is not wanted:
        return fail(
            f"expected {wanted.value}, and what else is expected amounts to {target.phase.value}: {target.reason}",
            _lines_for(subject, wanted, subject.target),
            **data,
        )
    expects = options.expect_path is not None or options.expect_threshold is not None
    named = options.planned or wanted is not None or options.expect_backend is not None
    if now.phase is Phase.INLINE and expects and not named:
        said = f"{said}; nothing is offloaded whatever path and threshold say"
        return warn(said, line_for(BACKEND, OBJECT_STORAGE_BACKEND), **data)
    return ok(said, **data)


def _repair(subject: Subject) -> str:
    """The line that makes a phase of ``misconfigured``."""
    settings = subject.target if subject.options.planned else subject.resolved
    if path_problem(settings.path) is not None:
        return f"{_EXAMPLE_PATH}, or {line_for(BACKEND, BASE_XCOM)} for inline"
    return line_for(THRESHOLD, _readable(settings.threshold_raw))


def _lines_for(subject: Subject, phase: Phase, given: Settings) -> str:
    """The lines that make this phase of what is given."""
    target = subject.target
    path = target.path if path_problem(target.path) is None else _EXAMPLE
    threshold = target.threshold if target.threshold is not None and target.threshold >= 0 else RUNBOOK_THRESHOLD
    lines = settings_for(phase, path, threshold)
    has = {BACKEND: given.backend, PATH: given.path, THRESHOLD: given.threshold_raw}
    return " ".join(
        line_for(setting, lines[setting.env])
        for setting, value in has.items()
        if setting.env in lines and not same_value(setting, value, lines[setting.env], subject.line)
    )


def _needs_path(subject: Subject) -> bool:
    return subject.target.backend == OBJECT_STORAGE_BACKEND


def _prefix(subject: Subject) -> Finding:
    path = subject.target.path
    problem = path_problem(path)
    if problem is not None or path is None:
        return fail(problem or "", _EXAMPLE_PATH)
    _, place, prefix = _located(path)
    if not prefix:
        return fail(
            f"{path} has no prefix: the objects would lie in the root of {place or 'the file system'}",
            line_for(PATH, f"{path.rstrip('/')}/xcom"),
        )
    other = configuration.backend_option("common.io", "state_store_objectstorage_path")
    if other and path_problem(other) is None and overlap(path, other):
        return fail(
            f"{path} is not dedicated: state_store_objectstorage_path is {other}, and what cleans up one would take the "
            "other's objects",
            line_for(PATH, f"{path[: -len(urlsplit(path).path)]}/xcom-only"),
            state_store=other,
        )
    return ok(f"{path} has a prefix of its own")


def overlap(one: str, other: str) -> bool:
    """Whether two base paths are the same place, or one lies below the other."""
    scheme, bucket, prefix = _located(one)
    other_scheme, other_bucket, other_prefix = _located(other)
    shorter = min(len(prefix), len(other_prefix))
    return (scheme, bucket, prefix[:shorter]) == (other_scheme, other_bucket, other_prefix[:shorter])


def _located(path: str) -> tuple[str, str, tuple[str, ...]]:
    """Scheme, bucket, and the names of the folders; whoever speaks to it, it is the same place."""
    parts = urlsplit(path)
    scheme = store_scheme(parts.scheme)
    host = parts.netloc.rpartition("@")[2]
    return scheme, host, tuple(name for name in parts.path.split("/") if name)


def _offloads(subject: Subject) -> bool:
    expected = subject.options.expect_threshold
    return (
        Phase.OFFLOAD in (subject.target_phase, subject.options.wanted_phase)
        or (expected is not None and expected >= 0)
    )  # fmt: skip


def _threshold_floor(subject: Subject) -> Finding:
    threshold = subject.target.threshold
    if threshold is None:
        return skip(
            f"the threshold {subject.target.threshold_raw!r} is not a number", line_for(THRESHOLD, _readable(None))
        )
    if threshold < 0:
        return fail(
            f"offload is expected, and the threshold is {threshold}: nothing reaches the store",
            line_for(THRESHOLD, format_threshold(RUNBOOK_THRESHOLD)),
        )
    if threshold < THRESHOLD_FLOOR:
        return fail(
            f"the threshold is {threshold} bytes, below the floor of {THRESHOLD_FLOOR}: a skipmixin_key that is offloaded "
            "lets skipped branches run",
            line_for(THRESHOLD, format_threshold(RUNBOOK_THRESHOLD)),
        )
    return ok(f"the threshold is {threshold} bytes, the floor {THRESHOLD_FLOOR}")


def _threshold_number(subject: Subject) -> Finding:
    options = subject.options
    text, source = configuration.threshold_text(), subject.settings[THRESHOLD.name].source
    if options.planned and options.expect_threshold is not None:
        text, source = format_threshold(options.expect_threshold), None
    try:
        return ok(f"{parse_threshold(text, Line.AF2)}, written {words(text, source)}")
    except SettingsError as error:
        also = ""
        if subject.line is Line.AF3:
            also = "; Airflow 3 may, and with the same values file every push on Airflow 2 fails"
        return fail(f"{words(text, source)}; {error.message}{also}", line_for(THRESHOLD, _readable(text)))


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec("config_class", CONFIG, "Airflow imports its XCom class", _class),
    CheckSpec("config_backend", CONFIG, "the XCom backend is the expected one", _backend),
    CheckSpec("config_path", CONFIG, "the base path is the expected one", _path),
    CheckSpec("config_threshold", CONFIG, "the threshold is the expected one", _threshold),
    CheckSpec("config_compression", CONFIG, "the compression is the expected one", _compression),
    CheckSpec("config_phase", CONFIG, "the settings amount to a phase that can be", _phase),
    CheckSpec("config_prefix", CONFIG, "the path has a prefix of its own", _prefix, applies=_needs_path),
    CheckSpec(
        "config_threshold_floor", CONFIG, "the threshold lets large values alone into the store", _threshold_floor,
        applies=_offloads,
    ),
    CheckSpec("config_threshold_number", CONFIG, "the threshold is a number that Airflow 2 reads too", _threshold_number),
    *near_misses.CHECKS,
    *running.CHECKS,
)  # fmt: skip
