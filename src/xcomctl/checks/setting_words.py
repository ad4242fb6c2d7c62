"""How checks write a setting: the line that sets it, its text as it was found, and the words for both."""

from __future__ import annotations

from typing import Optional

from xcomctl.airflow_compat import configuration
from xcomctl.checks.interface import Subject
from xcomctl.model.settings import THRESHOLD, Setting


def line_for(setting: Setting, value: str) -> str:
    """The line that sets a setting: the threshold in quotes, or Helm makes ``1.6e+06`` of it (F35)."""
    return f'{setting.env}="{value}"' if setting == THRESHOLD else f"{setting.env}={value}"


def text_of(subject: Subject, setting: Setting) -> Optional[str]:
    """The setting's text as it is written, before anything reads a number in it."""
    if setting == THRESHOLD:
        return configuration.threshold_text()
    value = subject.settings[setting.name].value
    return None if value is None else str(value)


def words(text: Optional[str], source: Optional[str] = None) -> str:
    """A text and where it comes from, for a sentence."""
    shown = "nothing" if text is None else text or "an empty text"
    return f"{shown} from {source}" if source else shown
