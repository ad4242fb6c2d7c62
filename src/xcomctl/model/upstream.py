"""Which tasks lie upstream of which, however far. Pure."""

from __future__ import annotations

from collections.abc import Mapping

#: The tasks upstream of each task.
Upstream = Mapping[str, frozenset[str]]


def transitive(downstream: Mapping[str, list[str]]) -> Upstream:
    """Everything upstream of each task, from what lies directly downstream of each."""
    direct: dict[str, set[str]] = {task: set() for task in downstream}
    for task, others in downstream.items():
        for other in others:
            direct.setdefault(other, set()).add(task)
    found: dict[str, frozenset[str]] = {}
    for task in direct:
        seen: set[str] = set()
        waiting = list(direct[task])
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting.extend(direct.get(each, ()))
        found[task] = frozenset(seen)
    return found
