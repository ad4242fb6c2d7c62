"""Whether Airflow can open paths of a scheme at all, before any connection comes into it."""

from __future__ import annotations

from typing import Optional

from xcomctl.airflow_compat import loading
from xcomctl.model.phases import Line


def problem(scheme: str) -> Optional[str]:
    """Why Airflow has no file system for a scheme, in its own words; ``None`` when it has one.

    The first question imports the file systems of all installed providers, as the first path in a process does, and one
    that does not import takes the others with it (F25).
    """
    name = "airflow.io" if loading.line() is Line.AF2 else "airflow.sdk.io"
    try:
        has_fs = (
            getattr(loading.module(name), "has_fs", None) or loading.module("airflow.io").has_fs
        )  # 3.0: in the core
        if has_fs(scheme):
            return None
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no installed provider registers a file system for it"
