"""Which values fit only in the store: what PostgreSQL's JSONB refuses (F37), found in the object before it is tried."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import chain
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
        return misfit_of(json.loads(data))
    except RecursionError:
        return "is nested too deeply"


def misfit_of(value: Any) -> Optional[str]:
    """The same of decoded JSON. Memory grows with its depth alone."""
    levels: list[Iterator[Any]] = [iter((value,))]
    while levels:
        if len(levels) - 1 > DEEPEST:
            return "is nested too deeply"
        for each in levels[-1]:
            if isinstance(each, float) and not math.isfinite(each):
                return f"holds {json.dumps(each)}"
            if isinstance(each, str):
                why = _of_text(each)
                if why is not None:
                    return why
            elif isinstance(each, dict):
                levels.append(chain(each, each.values()))
                break
            elif isinstance(each, list):
                levels.append(iter(each))
                break
        else:
            levels.pop()
    return None


def _of_text(text: str) -> Optional[str]:
    if "\x00" in text:
        return r"holds \u0000"
    if _SURROGATE.search(text):
        return "holds half of a surrogate pair"
    if len(text) > LONGEST_STRING // 4 and len(text.encode()) > LONGEST_STRING:
        return "holds a string above 256 MB"
    return None
