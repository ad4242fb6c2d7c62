"""Which phase the running Airflow processes of this context are in, where that is not the one that a fresh one resolves (F41)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from xcomctl.airflow_compat import configuration, loading
from xcomctl.checks import processes
from xcomctl.checks.processes import AirflowProcess
from xcomctl.checks.setting_words import words
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
    texts = {setting.name: ResolvedSetting(text, None) for setting, text in processes.texts(process, beneath)}
    settings = settings_from(line=line, **texts)
    phase = phase_of(settings).phase.value
    return RunningProcess(process.component, process.pid, phase, settings.path, differs)


def _text_of(resolution: Resolution, setting: Setting) -> Optional[str]:
    # As it is written, where what resolves is a number.
    if setting == THRESHOLD:
        return configuration.threshold_text()
    value = getattr(resolution, setting.name).value
    return None if value is None else str(value)
