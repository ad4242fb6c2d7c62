"""Which task instances may have got path strings, and what has to run again: what is asked of an agent, and its answer.

Times are ISO 8601 with a zone.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.journal_entry import parse_time
from xcomctl.model.requests import Record
from xcomctl.model.suspects import Observation, Window, instance_name

SCHEMA = "xcomctl.retrigger/1"

#: What an instance is to its run. ``SUSPECT`` started in a window, ``PROVEN`` left a path string somewhere, ``DOWNSTREAM``
#: is downstream of one that is cleared, ``PRODUCER`` pushed a reference, ``OTHER`` started in a window in a run that held
#: no reference then: it can only have read another run's.
SUSPECT, PROVEN, DOWNSTREAM, PRODUCER, OTHER = "suspect", "proven", "downstream", "producer", "other"

#: States of an instance that has a process: clearing one kills it.
RUNNING = ("running", "restarting")
#: States of an instance that will start anyway.
WAITING = (None, "scheduled", "queued")


@dataclass(frozen=True)
class Span(Record):
    """A window in which a phase reigned that hands paths over; ``end`` is ``None`` for until now.

    ``because`` says what it rests on.
    """

    start: str
    end: Optional[str]
    phase: str
    because: str

    @classmethod
    def of(cls, window: Window) -> Span:
        """The same of a :class:`Window`."""
        end = None if window.end is None else window.end.isoformat()
        return cls(window.start.isoformat(), end, window.phase, window.because)

    @property
    def window(self) -> Window:
        """As moments. Raises ``ValueError`` for a text that is no time with a zone."""
        return Window(
            parse_time(self.start), None if self.end is None else parse_time(self.end), self.phase, self.because
        )


@dataclass(frozen=True)
class HeldBefore(Record):
    """A run that held references, of which the first was pushed at ``first``, until they were rehydrated at ``until``
    (``None``: not known): what starts later reads values.
    """

    dag_id: str
    run_id: str
    first: str
    until: Optional[str] = None


@dataclass(frozen=True)
class SuspectsQuery(Record):
    """What to look for. Everything is optional.

    ``base_path`` is what the context resolves unless given, ``default_base_path`` what to take where it resolves none.
    The windows follow from ``observations`` and the schedulers' lives; ``windows`` are taken as they are. ``dag_id`` and
    ``run_id`` narrow the look. ``held`` are runs that held references until these were rehydrated. ``producers``: what pushed a reference runs again too, of runs with a suspect and of those
    that are not over. ``include`` are tasks (``DAG.TASK``) whose instances of other runs are cleared without a
    proof, ``include_others`` does that for all.
    """

    base_path: Optional[str] = None
    default_base_path: Optional[str] = None
    observations: tuple[Observation, ...] = ()
    windows: tuple[Span, ...] = ()
    dag_id: Optional[str] = None
    run_id: Optional[str] = None
    producers: bool = False
    include: tuple[str, ...] = ()
    include_others: bool = False
    held: tuple[HeldBefore, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "observations":
            return tuple(Observation.from_json(each) for each in value)
        if name == "windows":
            return tuple(Span.from_json(each) for each in value)
        if name == "held":
            return tuple(HeldBefore.from_json(each) for each in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class SuspectInstance(Record):
    """One task instance: what it is (``role``), why, and whether it is ``clear``\\ ed.

    ``started`` is its last real start, ``None`` where it did not start or that is not known. ``proofs`` say where it left a
    path string.
    """

    task_id: str
    map_index: int
    state: Optional[str]
    role: str
    why: str
    clear: bool
    started: Optional[str] = None
    proofs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``task`` or ``task[index]``."""
        return instance_name(self.task_id, self.map_index)

    @property
    def runs(self) -> bool:
        """Whether it has a process: clearing it would kill that."""
        return self.state in RUNNING


@dataclass(frozen=True)
class SuspectRun(Record):
    """A run with its instances that matter. ``references`` and ``aliases`` are what it holds now, ``first`` is when the
    first of them was pushed.

    ``paused``: its DAG is, so that nothing of it is queued. ``partly`` are mapped tasks of which some indexes are cleared and
    others not.
    """

    dag_id: str
    run_id: str
    state: Optional[str]
    references: int
    aliases: int
    instances: tuple[SuspectInstance, ...]
    paused: bool = False
    partly: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    first: Optional[str] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "instances":
            return tuple(SuspectInstance.from_json(each) for each in value)
        return super()._read_field(name, value)

    @property
    def key(self) -> tuple[str, str]:
        """DAG and run id."""
        return self.dag_id, self.run_id

    @property
    def to_clear(self) -> tuple[SuspectInstance, ...]:
        """The instances that have to run again."""
        return tuple(each for each in self.instances if each.clear)

    def held_by(self, kill: Collection[str]) -> tuple[SuspectInstance, ...]:
        """Those that have to run again and run now, but for the tasks (``DAG.TASK``) that may be killed.

        While there is one, nothing of the run is cleared: it would be lost that what runs has to run again.
        """
        return tuple(each for each in self.to_clear if each.runs and f"{self.dag_id}.{each.task_id}" not in kill)


@dataclass(frozen=True)
class HandedOn(Record):
    """A run whose ``conf`` holds a path string: what its tasks read from there stays one, however often they run."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class SuspectsAnswer(Record):
    """What the look rests on. ``windows`` are those that were found or given. ``confs`` are runs that got a path by conf.

    ``unknown`` counts instances of runs with references whose real start no row tells; they count by their start date.
    ``stored`` counts the references and aliases that any run holds now, ``first`` is the one that has held some for longest.
    """

    base_path: str
    windows: tuple[Span, ...]
    runs: int = 0
    unknown: int = 0
    confs: tuple[HandedOn, ...] = ()
    warnings: tuple[str, ...] = ()
    stored: int = 0
    first: Optional[HeldBefore] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "first":
            return None if value is None else HeldBefore.from_json(value)
        kinds: dict[str, type[Record]] = {"windows": Span, "confs": HandedOn}
        if name in kinds:
            return tuple(kinds[name].from_json(each) for each in value)
        return super()._read_field(name, value)


def plan_hash(runs: Iterable[SuspectRun]) -> str:
    """The hash (hex) of what is to be cleared, for the journal: the same instances give the same."""
    named = sorted([*run.key, sorted([each.task_id, each.map_index] for each in run.to_clear)] for run in runs)
    return hashlib.sha256(json.dumps(named, separators=(",", ":")).encode()).hexdigest()


def span(start: datetime.datetime, end: Optional[datetime.datetime], phase: str, because: str) -> Span:
    """A window that somebody names. Raises ``ValueError`` for a moment without a zone, or an end before the start."""
    if start.tzinfo is None or (end is not None and end.tzinfo is None):
        raise ValueError("a time without a zone")
    if end is not None and end < start:
        raise ValueError("the end is before the start")
    return Span.of(Window(start, end, phase, because))
