"""What the object-storage backend makes of an inline value that Airflow's own class treats otherwise. No I/O."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any, Optional

#: No longer key is looked into: what is known of such a form is short.
LONGEST_KEY = 200

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2}(?:\.\d{6})?(?:[+-]\d{2}:\d{2}(?::\d{2})?)?)?")
#: How what a tuple may hold prints itself, where that is no literal.
_PRINTED = ("datetime.", "DateTime(", "Date(", "UUID(", "Decimal(")
_CLASS, _DATA, _TUPLE = "__classname__", "__data__", "builtins.tuple"


def parsed_again(text: str) -> Optional[str]:
    """The kind of value that a reader on 2.x gets for an inline string, ``None`` when it gets the string (F4).

    The backend (common-io from 1.5.4) runs ``json.loads`` over what BaseXCom gives, and keeps the string only when that
    raises a ``TypeError`` or a ``ValueError``. JSON text never stands for itself, so whatever parses is changed.
    """
    try:
        return type(json.loads(text)).__name__
    except ValueError:
        return None
    except RecursionError:
        return "RecursionError"  # which the backend does not catch: the read fails


def refused_key(value: Any) -> Optional[str]:
    """A key that suggests a tuple, a date or a time as the producer's own, ``None`` when there is none (F5).

    On 3.x BaseXCom stores such keys as ``str()`` of them, so the stored form only *suggests* it: text that looks the
    same is fine. Under the backend ``json.dumps`` raises a ``TypeError`` at the push. It does not for a tuple or an
    object at the top, nor for an object anywhere: these go through Airflow's own serializer, which makes text of keys.
    """
    if isinstance(value, dict) and _CLASS in value:
        return None
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, dict):
            if _CLASS in each:
                waiting.extend([each.get(_DATA)] if each[_CLASS] == _TUPLE else [])
                continue
            for key in _suspicious(each):
                return key
            waiting.extend(each.values())
    return None


def _suspicious(mapping: dict[str, Any]) -> Iterator[str]:
    for key in mapping:
        if len(key) <= LONGEST_KEY and (_DATE.fullmatch(key) or _is_tuple(key)):
            yield key


def _is_tuple(key: str) -> bool:
    if not (key.startswith("(") and key.endswith(")")):
        return False
    if any(name in key for name in _PRINTED):
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python has its opinions about text that is no program
            return isinstance(ast.literal_eval(key), tuple)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
