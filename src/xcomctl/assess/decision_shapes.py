"""Whether a record that was read from somebody's file has the types that it says it has: a damaged file is one sentence."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any


def misfit(value: Any, wanted: Any = None, name: str = "") -> str:
    """What does not fit in a dataclass (or in a value that has to be ``wanted``), with where it stands; empty if all does."""
    if wanted is None:
        wanted = type(value)
    if wanted is Any:
        return ""
    origin = typing.get_origin(wanted)
    if origin in (typing.Union, types.UnionType):
        found = [misfit(value, each, name) for each in typing.get_args(wanted)]
        return "" if "" in found else found[0]
    if origin is tuple:
        return _misfit_in_tuple(value, typing.get_args(wanted), name)
    if origin is not None:  # Mapping[str, …]
        return "" if isinstance(value, Mapping) else _said(value, "an object", name)
    if dataclasses.is_dataclass(wanted):
        return _misfit_in_fields(value, wanted, name)
    if wanted is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return "" if fits else _said(value, "a number", name)
    if wanted is int:
        return "" if isinstance(value, int) and not isinstance(value, bool) else _said(value, "a whole number", name)
    return "" if isinstance(value, wanted) else _said(value, _WORDS.get(wanted, wanted.__name__), name)


_WORDS = {str: "a text", bool: "true or false", type(None): "null"}


def _misfit_in_tuple(value: Any, wanted: tuple[Any, ...], name: str) -> str:
    if not isinstance(value, (tuple, list)):
        return _said(value, "an array", name)
    each = wanted[:1] * len(value) if wanted[1:] == (...,) else wanted
    if len(each) != len(value):
        return _said(value, f"an array of {len(each)}", name)
    found = (
        misfit(entry, kind, f"{name}[{index}]") for index, (entry, kind) in enumerate(zip(value, each, strict=True))
    )
    return next((sentence for sentence in found if sentence), "")


def _misfit_in_fields(value: Any, wanted: Any, name: str) -> str:
    if not isinstance(value, wanted):
        return _said(value, "an object", name)
    hints = typing.get_type_hints(type(value))
    found = (
        misfit(getattr(value, spec.name), hints[spec.name], f"{name}.{spec.name}" if name else spec.name)
        for spec in dataclasses.fields(value)
    )
    return next((sentence for sentence in found if sentence), "")


def _said(value: Any, wanted: str, name: str) -> str:
    shown = repr(value)
    return f"{name or 'it'} is {shown if len(shown) <= 40 else shown[:40] + '…'}, and has to be {wanted}"
