"""Describes a value of any type: a canonical digest that knows types, a comparison that does too, an excerpt."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

EXCERPT = 200

#: Types whose own ``repr`` tells every value from every other; a subclass may have one that does not.
_PLAIN = (bool, str, bytes, int, float)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the value's canonical form: types count at every depth, the order of keys does not."""
    return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same, type by type at every depth.

    ``1``, ``1.0`` and ``True`` differ, so do ``0.0`` and ``-0.0``, and times whose zones are two. ``nan`` is ``nan``.
    """
    return canonical(one) == canonical(other)


def excerpt(value: Any) -> str:
    """The beginning of the value's ``repr``."""
    text = repr(value)
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}… ({len(text)} characters)"


def type_name(value: Any) -> str:
    """``int``, ``datetime.datetime`` and so on."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def canonical(value: Any) -> str:
    """A text that tells every value from every other, types at every depth included."""
    name = type_name(value)
    if isinstance(value, dict):
        pairs = sorted(f"{canonical(key)}:{canonical(entry)}" for key, entry in value.items())
        return f"{name}{{{','.join(pairs)}}}"
    if isinstance(value, (list, tuple)):
        return f"{name}[{','.join(canonical(entry) for entry in value)}]"
    if isinstance(value, (set, frozenset)):
        return f"{name}<{','.join(sorted(canonical(entry) for entry in value))}>"
    if isinstance(value, (datetime.datetime, datetime.time)):
        return f"{name}({value.isoformat()} {value.fold} {value.tzinfo!r})"  # pendulum's repr leaves the fold out
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy, whose repr leaves out the middle
        return f"{name}<{value.dtype}>({canonical(value.tolist())})"
    if hasattr(value, "dtypes") and hasattr(value, "to_dict"):  # pandas, likewise
        return f"{name}<{[str(each) for each in value.dtypes]}>({canonical(value.to_dict('split'))})"
    for kind in _PLAIN:
        if isinstance(value, kind):
            return f"{name}({kind.__repr__(value)})"
    return f"{name}({value!r})"
