"""What Airflow's configuration resolves the four settings to, and where from."""

from __future__ import annotations

import os
from configparser import ConfigParser
from pathlib import Path
from typing import Any, Optional

from xcomctl.airflow_compat import loading
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, THRESHOLD, Setting


def configuration() -> Any:
    """The ``conf`` that the backend reads: the Task SDK's where there is one."""
    try:
        return loading.module("airflow.sdk.configuration").conf
    except ImportError:  # 2.x, and 3.0 to 3.1
        return loading.module("airflow.configuration").conf


def option(section: str, key: str, default: Optional[str] = None) -> Optional[str]:
    """Any option of Airflow's own configuration, such as the metadata database's schema."""
    value = loading.module("airflow.configuration").conf.get(section, key, fallback=default)
    return None if value is None else str(value)


def backend_option(section: str, key: str) -> Optional[str]:
    """Any option as the backend's ``conf`` resolves it, such as a provider's; ``None`` when nothing sets it."""
    value = configuration().get(section, key, fallback=None)
    return None if value is None else str(value)


def home() -> str:
    """``AIRFLOW_HOME`` of this Airflow."""
    return str(loading.module("airflow.configuration").AIRFLOW_HOME)


def config_file() -> Path:
    """Where this Airflow looks for its ``airflow.cfg``; it need not be there."""
    return Path(loading.module("airflow.configuration").AIRFLOW_CONFIG)


def changed() -> Optional[float]:
    """When ``airflow.cfg`` was last changed, in seconds since the epoch; ``None`` where there is none."""
    try:
        return config_file().stat().st_mtime
    except OSError:
        return None


def options_in_file() -> list[tuple[str, str]]:
    """Every section and key that ``airflow.cfg`` holds, as they are spelled there."""
    conf = configuration()
    # The parser's own methods: Airflow's know defaults as well.
    return [(section, key) for section in ConfigParser.sections(conf) for key in ConfigParser.options(conf, section)]


def threshold_text() -> Optional[str]:
    """The threshold as it is written, before anything reads a number in it; ``None`` when nothing sets it."""
    value = _resolve(configuration(), THRESHOLD).value
    return None if value is None else str(value)


def without_variables() -> dict[str, ResolvedSetting]:
    """The four settings, by their short names, as they would resolve if no variable of this process set them.

    That is what a process resolves whose environment does not have them: from ``airflow.cfg``, or the defaults.
    """
    hidden = {setting.env: os.environ.pop(setting.env) for setting in SETTINGS if setting.env in os.environ}
    try:  # Airflow has no way to ask for this, and reads the environment anew each time.
        return resolve_settings()
    finally:
        os.environ.update(hidden)


def resolve_settings() -> dict[str, ResolvedSetting]:
    """The four settings as the backend would read them, by their short names."""
    conf = configuration()
    return {
        BACKEND.name: _resolve(conf, BACKEND),
        PATH.name: _resolve(conf, PATH),
        THRESHOLD.name: _threshold(conf),
        COMPRESSION.name: _resolve(conf, COMPRESSION),
    }


def _resolve(conf: Any, setting: Setting) -> ResolvedSetting:
    source = _source(conf, setting)
    try:
        value = conf.get(setting.section, setting.key, fallback=None)
    except Exception as error:
        return ResolvedSetting(None, source, f"{type(error).__name__}: {error}")
    return ResolvedSetting(value, source if value is not None else None)


def _threshold(conf: Any) -> ResolvedSetting:
    found = _resolve(conf, THRESHOLD)
    if found.error is not None:
        return found
    try:
        return ResolvedSetting(conf.getint(THRESHOLD.section, THRESHOLD.key, fallback=-1), found.source)
    except Exception as error:
        return ResolvedSetting(found.value, found.source, f"{type(error).__name__}: {error}")


def _source(conf: Any, setting: Setting) -> str:
    if setting.env in os.environ:
        return setting.env
    # The parser's own method, beneath Airflow's, knows what airflow.cfg holds and nothing else.
    if ConfigParser.has_option(conf, setting.section, setting.key):
        return "airflow.cfg"
    return "airflow default" if setting.section == "core" else "provider default"
