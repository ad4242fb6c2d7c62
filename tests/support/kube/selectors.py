"""Label and field selectors, as predicates on objects."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.support.kube.kinds import Object

Predicate = Callable[[Object], bool]

_IN = re.compile(r"^(\S+)\s+(in|notin)\s*\(([^)]*)\)$")


def labels(selector: str | None) -> Predicate:
    """``a=b``, ``a!=b``, ``a in (b, c)``, ``a notin (b)``, ``a``, ``!a``, joined by commas."""
    required = [_label(part.strip()) for part in re.findall(r"[^,(]+(?:\([^)]*\))?", selector or "") if part.strip()]
    return lambda thing: all(holds(thing["metadata"].get("labels") or {}) for holds in required)


def _label(part: str) -> Callable[[dict[str, str]], bool]:
    if found := _IN.match(part):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        return lambda there: (there.get(key) in values) == (operator == "in")
    if "!=" in part:
        key, value = part.split("!=", 1)
        return lambda there: there.get(key.strip()) != value.strip()
    if "=" in part:
        key, value = re.split("==?", part, maxsplit=1)
        return lambda there: there.get(key.strip()) == value.strip()
    if part.startswith("!"):
        return lambda there: part[1:].strip() not in there
    return lambda there: part in there


def fields(selector: str | None) -> Predicate:
    """``metadata.name=x``, ``status.phase!=Running``, joined by commas. Any path is served, where a cluster has a few."""
    required = []
    for part in filter(None, (selector or "").split(",")):
        path, operator, value = re.split("(!?==?)", part, maxsplit=1)
        required.append((path.split("."), operator == "!=", value))

    def holds(thing: Object) -> bool:
        for path, unequal, value in required:
            there: object = thing
            for name in path:
                there = there.get(name) if isinstance(there, dict) else None
            if (str(there or "") == value) == unequal:
                return False
        return True

    return holds
