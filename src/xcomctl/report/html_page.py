"""The pages' common ground: templates of this package in which every text is escaped."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from xcomctl.report.text import printable


def rendered(template: str, **values: Any) -> str:
    """One of ``templates/``, with these values. Nothing in a text can become markup."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # Control characters are no HTML: shown as \x1b, as everywhere else.
    environment.finalize = lambda value: printable(value, keep_newlines=True) if type(value) is str else value
    return environment.get_template(template).render(**values)


def _source(name: str) -> str:
    return files("xcomctl.report").joinpath("templates", name).read_text(encoding="utf-8")
