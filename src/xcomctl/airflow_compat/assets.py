"""Airflow's assets, which 2.x calls datasets."""

from __future__ import annotations

from typing import Any

from xcomctl.airflow_compat import loading
from xcomctl.model.phases import Line


def asset(name: str, uri: str) -> Any:
    """One asset, as a task would make it."""
    if loading.line() is Line.AF2:
        return loading.module("airflow.datasets").Dataset(uri)
    return loading.module("airflow.sdk").Asset(name=name, uri=uri)
