"""A run's XComs as its tasks would get them: what is asked of an agent, and what it answers."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.requests import Record

SCHEMA = "xcomctl.pull/1"

#: Where a value lay.
INLINE, OBJECT = "inline", "object"

#: Why a value cannot be shown; an empty text for none.
DANGLING = "dangling"
PATH_HANDED_OVER = "path handed over"
UNREACHABLE = "store unreachable"
UNREADABLE = "unreadable"
FOREIGN = "foreign"
OUTSIDE = "outside the base path"
PICKLED = "pickled"
NOT_CARRIED = "not carried"
#: Those that say nothing about the value, only about the way to it.
UNMEASURED = (UNREACHABLE, PICKLED, NOT_CARRIED)

#: Levels of nesting, and bits of a number, up to which a value is carried as JSON. Beyond these it travels as text: the
#: Pythons of both ends have limits of their own (1,000 calls, and 4,300 digits since 3.11), which it must not meet.
DEEPEST = 100
LONGEST_NUMBER = 13_000


@dataclass(frozen=True)
class PullQuery(Record):
    """Which XComs. ``limit``: the first so many in the order of their pushes; ``None`` for all.

    Values whose JSON has more than ``values_below`` bytes do not travel; ``None`` when all of them are wanted: then one
    that cannot be carried is a problem.
    """

    dag_id: str
    run_id: str
    task_ids: tuple[str, ...] = ()
    key: Optional[str] = None
    map_index: Optional[int] = None
    limit: Optional[int] = None
    values_below: Optional[int] = None


@dataclass(frozen=True)
class PulledItem(Record):
    """One XCom as a task would get it.

    ``place`` is ``inline`` or ``object``; ``stored_bytes`` are those of the row's JSON, ``object_bytes`` those of the
    object as it lies in the store. ``uri`` is the string in the row where that is a URL under the base path or was
    written by the backend; ``alias`` tells that its path names another run or task. ``type`` is Python's.

    ``is_json``: JSON says all of the value; then ``json`` is the value if ``has_json``. ``text`` is its JSON or else its
    ``repr``, all of it if ``whole_text``, and ``value_bytes`` the size of that in UTF-8. ``elided``: it was left out for
    its size. ``digest`` is :func:`digest`'s. ``problem`` is one of this module's words, with a sentence in ``detail``:
    then there is no value.
    """

    task_id: str
    map_index: int
    key: str
    pushed: Optional[str]
    place: str
    stored_bytes: int
    object_bytes: Optional[int] = None
    uri: Optional[str] = None
    alias: bool = False
    type: Optional[str] = None
    is_json: bool = False
    json: Any = None
    has_json: bool = False
    text: str = ""
    whole_text: bool = True
    elided: bool = False
    value_bytes: Optional[int] = None
    digest: Optional[str] = None
    problem: str = ""
    detail: str = ""

    @property
    def name(self) -> str:
        """``task[index] key``."""
        return f"{self.task_id}{'' if self.map_index < 0 else f'[{self.map_index}]'} {self.key}"


@dataclass(frozen=True)
class PulledAnswer(Record):
    """``xcoms`` counts what there is, ``shown`` what was read of it. ``phase`` is the context's."""

    xcoms: int
    shown: int
    phase: str
    base_path: str
    run_state: Optional[str] = None
    warnings: tuple[str, ...] = ()


def is_plain_json(value: Any) -> bool:
    """Whether JSON says all of a value to any Python: no tuples, no other keys than texts, no NaN, within the limits.

    Not recursive.
    """
    level = [value]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for each in level:
            kind = type(each)
            if kind is list:
                below.extend(each)
            elif kind is dict:
                if any(type(key) is not str for key in each):
                    return False
                below.extend(each.values())
            elif kind is float:
                if not math.isfinite(each):
                    return False
            elif kind is int:
                if each.bit_length() > LONGEST_NUMBER:
                    return False
            elif each is not None and kind not in (str, bool):
                return False
        if not below:
            return True
        level = below
    return False


def digest(value: Any) -> Optional[str]:
    """SHA-256 (hex) of the value's JSON with its keys sorted, what JSON does not know as its ``repr``.

    The formula with which ``diagnostic__s42`` says what it pushed, so both can be compared. ``None`` for what cannot be
    put into JSON at all (keys that are no text, nesting beyond Python's limit, a ``repr`` that raises).
    """
    try:
        return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()
    except Exception:  # repr is the value's own code
        return None
