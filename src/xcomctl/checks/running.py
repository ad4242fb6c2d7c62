"""What the running Airflow processes of this context were started with, beside what a fresh one resolves (F41)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

from xcomctl.airflow_compat import configuration
from xcomctl.checks import processes
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, warn
from xcomctl.checks.processes import AirflowProcess
from xcomctl.checks.setting_words import text_of, words
from xcomctl.model.preflight import CONFIG
from xcomctl.model.settings import ResolvedSetting, Setting, same_value
from xcomctl.model.status import RUN_NO_TASKS

_PROCESSES, _BENEATH = "running.processes", "running.beneath"


def said_of_running(subject: Subject, setting: Setting, expected: str) -> str:
    """What running processes have where they and a fresh one do not agree about an expectation; begins with ``;``."""
    if subject.options.in_task:
        return ""
    return "".join(_said(subject, setting, expected))


def _said(subject: Subject, setting: Setting, expected: str) -> Iterator[str]:
    here = same_value(setting, text_of(subject, setting), expected, subject.line)
    for process in _found(subject):
        for each, there in processes.texts(process, _beneath(subject)):
            if each == setting and same_value(setting, there, expected, subject.line) is not here:
                yield f"; the running {process.describe()} {'still ' if here else ''}has {words(there)}"


def _found(subject: Subject) -> tuple[AirflowProcess, ...]:
    """The processes as they are now; looked for once in a run."""
    if _PROCESSES not in subject.shared:
        subject.shared[_PROCESSES] = processes.running(configuration.home())
    found: tuple[AirflowProcess, ...] = subject.shared[_PROCESSES]
    return found


def _beneath(subject: Subject) -> Mapping[str, ResolvedSetting]:
    """What resolves without variables, by short names."""
    if _BENEATH not in subject.shared:
        subject.shared[_BENEATH] = configuration.without_variables()
    found: Mapping[str, ResolvedSetting] = subject.shared[_BENEATH]
    return found


def _running(subject: Subject) -> Optional[Finding]:
    found = _found(subject)
    readable = [process for process in found if process.settings is not None]
    hidden = [process for process in found if process.settings is None]
    unreadable = [process for process in hidden if process.component not in RUN_NO_TASKS]
    if not readable and not unreadable:
        return None
    data = {
        "processes": [{"pid": each.pid, "component": each.component, "started": each.started} for each in readable],
        "unreadable": [process.describe() for process in hidden],
    }
    differing, stale = _judged(subject, readable)
    unknown = (
        f"what {_named(unreadable)} started with cannot be read: a title is written over the environment"
        if unreadable
        else ""
    )
    unknown_hint = (
        f"restart {_named(unreadable)} to be sure; started with SPT_NOENV=1, an environment stays readable"
        if unreadable
        else ""
    )
    if differing:
        said = [
            f"{', '.join(each.describe() for each in group)}: {differences}" for differences, group in differing.items()
        ]
        old = _named([each for group in differing.values() for each in group])
        return fail(
            _joined(*said, unknown), _joined(f"restart {old}, to start with what resolves here", unknown_hint), **data
        )
    if stale:
        return warn(
            _joined(
                f"airflow.cfg was changed after {_named(stale)} started, which may have other values than a fresh "
                "process",
                unknown,
            ),
            _joined(f"restart {_named(stale)}", unknown_hint),
            **data,
        )
    same = f"{_named(readable)} started with what a fresh process resolves" if readable else ""
    if unreadable:
        return warn(_joined(unknown, same), unknown_hint, **data)
    return ok(same, **data)


def _judged(
    subject: Subject, readable: Sequence[AirflowProcess]
) -> tuple[dict[str, list[AirflowProcess]], list[AirflowProcess]]:
    """Those that have other settings than a fresh process, by what differs; and those that may have read another file."""
    changed = configuration.changed()
    differing: dict[str, list[AirflowProcess]] = {}
    stale = []
    for process in readable:
        since = changed is not None and changed > process.started + processes.READS_FILE_WITHIN_S
        differences = ", ".join(
            f"{setting.name} there {words(there)}, here {words(text_of(subject, setting))}"
            for setting, there in processes.texts(process, _beneath(subject))
            if not same_value(setting, there, text_of(subject, setting), subject.line)
        )
        if differences:
            differences += "; airflow.cfg was changed since" if since else ""
            differing.setdefault(differences, []).append(process)
        elif processes.may_have_read_another_file(process, changed):
            stale.append(process)
    return differing, stale


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _named(found: Sequence[AirflowProcess]) -> str:
    return ", ".join(f"{process.component} (pid {process.pid})" for process in found)


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec("config_running", CONFIG, "running processes have what resolves", _running, in_task=False),
)
