"""What can be wrong with a context's Airflow, in a sentence."""

from __future__ import annotations

from xcomctl.model import requests


class AirflowUnusable(Exception):
    """This Python's Airflow cannot do what was asked. ``reason`` is one of :mod:`xcomctl.model.requests`'s."""

    def __init__(self, message: str, hint: str = "", reason: str = requests.USER_ERROR) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.reason = reason
