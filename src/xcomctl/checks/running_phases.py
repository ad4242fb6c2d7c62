"""Which phase the running Airflow processes of this context are in, where that is not the one that a fresh one resolves (F41)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from xcomctl.airflow_compat import configuration, hosts, loading
from xcomctl.checks import processes
from xcomctl.checks.processes import AirflowProcess
from xcomctl.checks.setting_words import words
from xcomctl.model.barrier import HostingProcess
from xcomctl.model.journal_entry import timestamp
from xcomctl.model.phases import Line, phase_of
from xcomctl.model.redaction import redact
from xcomctl.model.requests import Resolution, ResolvedSetting
from xcomctl.model.settings import THRESHOLD, Setting, same_value, settings_from
from xcomctl.model.status import RUN_NO_TASKS, RunningProcess


def unlike(resolution: Resolution) -> tuple[int, tuple[RunningProcess, ...]]:
    """How many running processes say what they started with, and those that differ from it or hide it.

    Changes the environment for a moment: nothing else may read the configuration meanwhile.
    """
    beneath = configuration.without_variables()
    line = loading.line()
    readable, found = 0, []
    for process in processes.running(configuration.home()):
        if process.settings is None:
            if process.component not in RUN_NO_TASKS:
                found.append(RunningProcess(process.component, process.pid, None))
            continue
        readable += 1
        differs = ", ".join(
            f"{setting.name} {redact(words(there))}"
            for setting, there in processes.texts(process, beneath)
            if not same_value(setting, there, _text_of(resolution, setting), line)
        )
        if differs:
            found.append(_differing(process, beneath, line, differs))
    return readable, tuple(found)


def _differing(
    process: AirflowProcess, beneath: Mapping[str, ResolvedSetting], line: Line, differs: str
) -> RunningProcess:
    phase, path = _phase(process, beneath, line)
    return RunningProcess(process.component, process.pid, phase, path, differs)


@dataclass(frozen=True)
class Hosting:
    """The processes that start or host tasks or run their code, and how many others of Airflow there are."""

    processes: tuple[HostingProcess, ...]
    others: int


def hosting() -> Hosting:
    """The processes of this context with the phase that each started in, ``None`` where that cannot be told.

    Changes the environment for a moment: nothing else may read the configuration meanwhile.
    """
    beneath = configuration.without_variables()
    line, host = loading.line(), hosts.hostname()
    changed = configuration.changed()
    found, others = [], 0
    for process in processes.running(configuration.home()):
        if process.component in RUN_NO_TASKS:
            others += 1
            continue
        phase: Optional[str] = None
        if process.settings is not None and not processes.may_have_read_another_file(process, changed):
            phase = _phase(process, beneath, line)[0]
        started = timestamp(datetime.datetime.fromtimestamp(process.started, datetime.timezone.utc))
        found.append(HostingProcess(process.component, host, process.pid, started, phase))
    return Hosting(tuple(found), others)


def _phase(process: AirflowProcess, beneath: Mapping[str, ResolvedSetting], line: Line) -> tuple[str, Optional[str]]:
    """The phase and the path that a process started with, whose settings can be read."""
    known = {setting.name: ResolvedSetting(text, None) for setting, text in processes.texts(process, beneath)}
    settings = settings_from(line=line, **known)
    return phase_of(settings).phase.value, settings.path


def _text_of(resolution: Resolution, setting: Setting) -> Optional[str]:
    # As it is written, where what resolves is a number.
    if setting == THRESHOLD:
        return configuration.threshold_text()
    value = getattr(resolution, setting.name).value
    return None if value is None else str(value)
