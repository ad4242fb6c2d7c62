"""What Airflow's configuration resolves the four settings to, and where from."""

from __future__ import annotations

import os
from configparser import ConfigParser
from typing import Any, Optional

from xcomctl.airflow_compat import loading
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, Setting


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
