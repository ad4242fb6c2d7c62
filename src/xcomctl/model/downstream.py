"""What lies downstream of task instances, however far, by map index where that is known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Optional

#: A task and a map index of it, ``None`` for every one.
Place = tuple[str, Optional[int]]


@dataclass(frozen=True)
class Structure:
    """A DAG: the tasks directly downstream of each, and the mapped task group that a task is in, if it is in one."""

    downstream: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, str] = field(default_factory=dict)


def downstream_of(structure: Structure, places: Iterable[tuple[str, int]]) -> dict[Place, str]:
    """Everything downstream of these instances, without them, each with the task that leads there.

    Tasks of one mapped task group go together by their index; everything else that is downstream of an index is so as a
    whole. A task that the DAG has no more leads nowhere.
    """
    found: dict[Place, str] = {}
    waiting: list[Place] = list(places)
    while waiting:
        task_id, index = waiting.pop()
        group = structure.groups.get(task_id)
        for each in structure.downstream.get(task_id, ()):
            together = index is not None and index >= 0 and group is not None and structure.groups.get(each) == group
            place = (each, index if together else None)
            if place not in found and (each, None) not in found:
                found[place] = task_id
                waiting.append(place)
    return found
