"""Path strings that are met where data is expected: in values, in texts, in lines of logs. Pure.

What the backend writes ends in a name that nobody makes by hand, so a path of that form under the base path is a
reference that somebody got instead of a value. Anything else under the base path is a text about it.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Optional

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: Dag, run and task; a run id may hold a few slashes. The names end at a slash, so a long text is looked at once.
_OF_BACKEND = rf"(?:[^/\n]{{1,300}}/){{3,20}}?(?:{_UUID}(?:\.[A-Za-z0-9]+)?|(?:ti|write)-{_UUID}/[^/\s]{{1,300}}?\.json(?:\.[A-Za-z0-9]+)?)"

#: What no clearing mends, behind what it does.
CONFS_STAY = "; a run's conf stays what it is: trigger the run again, with the values in it"


def path_in(text: str, base_path: str) -> Optional[str]:
    """The first path in a text that is one as the backend writes it, ``None`` for none. No base path: none is known."""
    base = f"{base_path.rstrip('/')}/"
    if not base_path or base not in text:
        return None
    found = _pattern(base).search(text)
    return None if found is None else found[0]


def holds_path(value: Any, base_path: str) -> bool:
    """Whether a value holds such a path at any depth, as a key too. Not recursive."""
    if not base_path:
        return False
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if path_in(each, base_path) is not None:
                return True
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple, set, frozenset)):
            waiting += each
    return False


@functools.lru_cache(maxsize=8)
def _pattern(base: str) -> re.Pattern[str]:
    return re.compile(re.escape(base) + _OF_BACKEND)
