"""What of one run has to run again, from what is known of it. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from xcomctl.metadata.starts import Start
from xcomctl.model.downstream import Structure, downstream_of
from xcomctl.model.retrigger import (
    DOWNSTREAM,
    OTHER,
    PRODUCER,
    PROVEN,
    RUNNING,
    SUSPECT,
    WAITING,
    SuspectInstance,
    SuspectsQuery,
)
from xcomctl.model.suspects import Ran, Suspects, Window, instance_name

#: A task and a map index of it.
Place = tuple[str, int]
#: States of an instance that never has a process in them, or is none any more.
_NEVER_RAN = ("upstream_failed", "removed")


@dataclass(frozen=True)
class Known:
    """What is known of a run. ``states`` are those of all its instances, ``starts`` of those that ran.

    ``proofs`` say where an instance left a path string, ``pushed`` which keys of an instance are references.
    ``structure`` is ``None`` where Airflow has no such DAG any more.
    """

    dag_id: str
    states: Mapping[Place, Optional[str]]
    starts: Mapping[Place, Start]
    proofs: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
    pushed: Mapping[Place, tuple[str, ...]] = field(default_factory=dict)
    structure: Optional[Structure] = None


def moments(start: Start) -> tuple[datetime.datetime, ...]:
    """When its process started, once or, deferred and resumed, twice; by its start date where no row tells."""
    known = tuple(moment for moment in (start.began, start.started) if moment is not None)
    return known or (() if start.start_date is None else (start.start_date,))


def ran(starts: Mapping[Place, Start]) -> Iterator[Ran]:
    """The instances as the windows are compared with them."""
    for place, start in starts.items():
        if start.state not in _NEVER_RAN:
            yield Ran(instance_name(*place), moments(start), start.ended)


def instances(
    known: Known, found: Suspects, query: SuspectsQuery, first_anywhere: Optional[datetime.datetime], *, producers: bool
) -> tuple[SuspectInstance, ...]:
    """The instances that matter, in the order of their names: what each is, why, and whether it has to run again.

    ``first_anywhere`` is when any run's first reference was pushed: what was over before that read none. ``producers``:
    those of this run run again too.
    """
    roots: dict[Place, tuple[str, str]] = {}  # role, and why
    others: dict[Place, str] = {}
    suspect = {**found.ran_on, **found.started}
    for place, state in known.states.items():
        name = instance_name(*place)
        start = known.starts.get(place)
        if state in _NEVER_RAN:
            continue
        if name in suspect:
            roots[place] = SUSPECT, _why(start, suspect[name], ran_on=name in found.ran_on)
        elif producers and place in known.pushed:
            roots[place] = PRODUCER, f"pushed a reference: {', '.join(known.pushed[place])}"
        elif place in known.proofs and state not in RUNNING:  # else they may be those of an earlier try
            roots[place] = PROVEN, "left a path string"
        elif name in found.inside and start is not None and _reached(start, first_anywhere):
            why = f"started while {found.inside[name].because}; it can have read another run's reference"
            if query.include_others or f"{known.dag_id}.{place[0]}" in query.include:
                roots[place] = OTHER, why
            else:
                others[place] = why
    below = _below(known, roots)
    places = sorted({*roots, *others, *below})
    return tuple(
        SuspectInstance(
            task_id=place[0],
            map_index=place[1],
            state=known.states[place],
            role=(roots[place][0] if place in roots else DOWNSTREAM if place in below else OTHER),
            why=(
                roots[place][1]
                if place in roots
                else f"downstream of {below[place]}"
                if place in below
                else others[place]
            ),
            clear=(place in roots and known.states[place] not in WAITING) or place in below,
            started=_iso(known.starts.get(place)),
            proofs=known.proofs.get(place, ()),
        )
        for place in places
    )


def _below(known: Known, roots: Mapping[Place, tuple[str, str]]) -> dict[Place, str]:
    """What lies downstream and has something to run again, with what it lies behind.

    What waits to run is left to run, unless what it waits behind is yet to be cleared: until then it may start.
    """
    if known.structure is None:
        return {}
    indexes: dict[str, list[int]] = {}
    for task_id, index in known.states:
        indexes.setdefault(task_id, []).append(index)
    found: dict[Place, str] = {}
    for waits in (False, True):
        behind = [place for place in roots if (known.states[place] in WAITING) == waits]
        for (task_id, only), via in downstream_of(known.structure, behind).items():
            for index in indexes.get(task_id, ()) if only is None else (only,):
                place = (task_id, index)
                state = known.states.get(place)
                if place in found or state in (None, "removed") or (waits and state in WAITING):
                    continue
                if place in roots and state not in WAITING:
                    continue  # it is cleared for a reason of its own
                found[place] = via
    return found


def partly(known: Known, found: tuple[SuspectInstance, ...]) -> tuple[str, ...]:
    """The mapped tasks of which some indexes are cleared and others, which ran, are not."""
    cleared = {(each.task_id, each.map_index) for each in found if each.clear}
    mapped = {task_id for task_id, index in cleared if index >= 0}
    kept = {task_id for (task_id, index), state in known.states.items() if (task_id, index) not in cleared and state}
    return tuple(sorted(mapped & kept))


def _why(start: Optional[Start], window: Window, *, ran_on: bool) -> str:
    if start is None:
        return f"started while {window.because}"
    if start.started is None:
        return f"started while {window.because}, by its start date: no row of the log tells"
    if start.state == "deferred":
        return f"waits in a trigger, and began while {window.because}"
    if not window.holds(start.started):
        return f"began while {window.because}, deferred, and resumed later"
    if ran_on:
        return f"started while {window.because}, and ran on when the run's first reference came"
    return f"started while {window.because}"


def _reached(start: Start, first: Optional[datetime.datetime]) -> bool:
    """Whether it was not over before the first reference anywhere was there."""
    return first is not None and (start.ended is None or start.state in RUNNING or start.ended > first)


def _iso(start: Optional[Start]) -> Optional[str]:
    seen = [] if start is None else moments(start)
    return seen[-1].isoformat() if seen else None
