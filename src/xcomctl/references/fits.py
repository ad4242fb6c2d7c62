"""Which values fit only in the store: what PostgreSQL's JSONB refuses (F37), found in the object before it is tried."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Optional

#: What a string in JSONB may have, in bytes (``JENTRY_OFFLENMASK``, src/include/utils/jsonb.h).
LONGEST_STRING = 0x0FFFFFFF
#: Objects and arrays in each other: PostgreSQL's parser gives up at ``max_stack_depth`` (2 MB by default: about 20,000
#: were refused and 6,000 were not, on 15).
DEEPEST = 6_000

_SURROGATE = re.compile("[\ud800-\udfff]")


def misfit(data: bytes) -> Optional[str]:
    """Why the column would refuse this JSON, in words; ``None`` if it would not.

    Raises ``ValueError`` for what is no JSON.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        return "nested too deeply"
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        each, depth = waiting.pop()
        if depth > DEEPEST:
            return "nested too deeply"
        if isinstance(each, float) and not math.isfinite(each):
            return f"holds {json.dumps(each)}"
        if isinstance(each, str):
            why = _of_text(each)
            if why is not None:
                return why
        elif isinstance(each, dict):
            for key, inner in each.items():
                waiting += [(key, depth + 1), (inner, depth + 1)]
        elif isinstance(each, list):
            waiting += [(inner, depth + 1) for inner in each]
    return None


def _of_text(text: str) -> Optional[str]:
    if "\x00" in text:
        return r"holds \u0000"
    if _SURROGATE.search(text):
        return "holds half of a surrogate pair"
    if len(text) > LONGEST_STRING // 4 and len(text.encode()) > LONGEST_STRING:
        return "holds a string above 256 MB"
    return None
