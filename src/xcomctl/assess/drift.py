"""Drift: contexts of one deployment that resolve different settings (F15)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from xcomctl.model.phases import BASE_XCOM, Line
from xcomctl.model.preflight import CONFIG, ContextReport, PreflightAnswer
from xcomctl.model.settings import BACKEND, SETTINGS, Setting, same_value
from xcomctl.model.verdicts import Check, Status

CHECK_ID = "config_drift"
TITLE = "every context resolves the same settings"


def drift(contexts: Sequence[ContextReport]) -> Check | None:
    """Whether the contexts that answered resolve the same; ``None`` when fewer than two were asked.

    A setting that differs is a fail that names who has what: some contexts would offload and some could not read it.
    Contexts with other versions of Airflow or of the provider are a warning, as in a rolling upgrade.
    """
    if len(contexts) < 2:
        return None
    answers = {context.name: context.answer for context in contexts if context.answer is not None}
    if len(answers) < 2:
        return _check(Status.SKIP, f"{len(answers)} of {len(contexts)} contexts answered: nothing to compare")
    parts = []
    data: dict[str, Mapping[str, object]] = {}
    for setting in SETTINGS:
        values = _values(answers, setting)
        if len(set(values.values())) > 1:
            parts.append(f"{setting.key}: {_who_has_what(values)}")
            data[setting.name] = values
    if parts:
        return _check(
            Status.FAIL,
            "; ".join(parts),
            f"give every component the same {', '.join(s.env for s in SETTINGS if s.name in data)}, and restart it",
            data,
        )
    versions = {
        name: f"Airflow {answer.airflow}, common-io {answer.providers.get('common.io', 'not installed')}"
        for name, answer in answers.items()
    }
    if len(set(versions.values())) > 1:
        return _check(
            Status.WARN,
            f"the settings are the same, the versions are not: {_who_has_what(versions)}",
            "run the same image in every component",
            {"versions": versions},
        )
    missing = len(contexts) - len(answers)
    if missing:
        return _check(Status.SKIP, f"the {len(answers)} that answered agree; {missing} did not answer")
    return _check(Status.OK, f"{len(answers)} contexts resolve the same settings and run the same versions")


def _values(answers: Mapping[str, PreflightAnswer], setting: Setting) -> dict[str, str]:
    """The words for what each context has: the same ones where two spellings mean the same."""
    values: dict[str, str] = {}
    spellings: dict[str, str] = {}  # a text of each meaning, and its words
    for name, answer in answers.items():
        found = answer.setting(setting.name)
        if found.error is not None:
            values[name] = f"unreadable ({found.error})"
            continue
        text = "" if found.value is None else str(found.value)
        line = Line(answer.line)
        same = next((other for other in spellings if same_value(setting, text, other, line)), None)
        if same is None:
            same, spellings[text] = text, _shown(setting, text, line)
        values[name] = spellings[same]
    return values


def _shown(setting: Setting, text: str, line: Line) -> str:
    if setting == BACKEND and same_value(setting, text, BASE_XCOM, line):
        return "BaseXCom"  # under whatever name (F48)
    return text or "nothing"


def _who_has_what(values: Mapping[str, str]) -> str:
    by_value: dict[str, list[str]] = {}
    for name, value in values.items():
        by_value.setdefault(value, []).append(name)
    return ", ".join(f"{value} in {_listed(names)}" for value, names in by_value.items())


def _listed(names: Iterable[str]) -> str:
    return " and ".join(names)


def _check(status: Status, detail: str, hint: str = "", data: Mapping[str, object] | None = None) -> Check:
    return Check(CHECK_ID, CONFIG, TITLE, status, detail, hint, data=dict(data or {}))
