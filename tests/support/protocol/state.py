"""What a moment of the model is made of: parents, task instances with their processes, rows of ``xcom``, and the desk.

Everything is a flat tuple of texts and small numbers, so that states can be hashed, compared and kept by the ten thousand.
Phases are the values of :class:`~xcomctl.model.phases.Phase`. Times are whole units; what clocks differ by is one of them.
"""

from __future__ import annotations

from typing import NamedTuple

from xcomctl.model.phases import Line, Phase
from xcomctl.model.transitions import Outcome, Stored, ValueForm, what_reader_gets, writes

INLINE, DUAL_READ, OFFLOAD = Phase.INLINE.value, Phase.DUAL_READ.value, Phase.OFFLOAD.value

#: What clocks differ by, and how long a process may live on without its instance.
MARGIN = 1
OUTLIVES = 1
#: A stamp from before all that matters.
EARLIER = -4


#: What a process of an instance is doing. There with its settings while its instance is still queued: a pod that waits, a
#: fork that imports the DAG file.
FORK = "fork"
RUN = "run"
#: Its instance is not running any more, or runs again elsewhere.
LOST = "lost"
#: A pod that a step of the task runs in.
STEP = "step"


class Parent(NamedTuple):
    """A process that starts or hosts tasks. ``started`` matters once it has the settings of the step."""

    phase: str
    started: int


class Site(NamedTuple):
    """One place where Airflow runs. ``settings`` are those that its next process will start with."""

    settings: str
    parents: tuple[Parent, ...]


class Process(NamedTuple):
    """A process or pod of an instance.

    ``lost`` is when its instance was taken from it, ``maker`` since when the process can have been there that made the
    pod of a step.
    """

    kind: str
    phase: str
    created: int
    lost: int = EARLIER
    maker: int = EARLIER


class Left(NamedTuple):
    """That the instance's state was taken from a process: when, and since when that process can have been there."""

    at: int
    began: int


class Instance(NamedTuple):
    """A task instance whose life is followed. ``started`` is its log row, ``None`` once that is gone.

    ``start_date`` is not ``None`` from its first start until it ends: a resumed one keeps it.
    """

    state: str = ""
    queued: int = EARLIER
    started: int | None = EARLIER
    start_date: int | None = None
    left: Left | None = None
    processes: tuple[Process, ...] = ()


class State(NamedTuple):
    """One moment. ``gone`` is when the last process of another phase than ``target`` ended.

    ``target`` is the phase of the step that is under way or was done last, ``steps`` how many there were. ``scanned``: the
    gate found no reference since. ``victim``: a task got a path string, and nobody has cleared it since. ``stage`` counts
    the steps of a kill-switch.
    """

    now: int
    target: str
    steps: int
    sites: tuple[Site, ...]
    gone: int
    instances: tuple[Instance, ...]
    rows: tuple[str, ...]
    crashes: int = 0
    scanned: bool = False
    accepted: bool = False
    paused: bool = False
    victim: bool = False
    stage: int = 0


#: What a row may hold besides what :class:`~xcomctl.model.transitions.Stored` has: a path string that a task passed on as
#: its own value, and no row at all.
ALIAS, NOTHING = "alias", "no row"
VALUE, REFERENCE = Stored.VALUE.value, Stored.REFERENCE.value


def pushed(phase: str, line: Line) -> str:
    """What a push of a large value leaves in the row, by the product's own table."""
    return writes(Phase(phase), ValueForm.LARGE, line).value


def gets_path(row: str, reader: str, line: Line) -> bool:
    """Whether a task of that phase that pulls the row gets a path string where data is, by the product's own table."""
    if row == NOTHING:
        return False
    if row == ALIAS:
        # Written inline as a value, which is a path: whoever gets that value got a path string.
        return what_reader_gets(Phase.INLINE, Phase(reader), ValueForm.OWN_PATH, line) is Outcome.VALUE
    writer = Phase.OFFLOAD if row == REFERENCE else Phase.INLINE
    return what_reader_gets(writer, Phase(reader), ValueForm.LARGE, line) is Outcome.PATH


#: The two tables, looked up often.
PUSHED = {(phase, line): pushed(phase, line) for phase in (INLINE, DUAL_READ, OFFLOAD) for line in Line}
GETS_PATH = {
    (row, phase, line): gets_path(row, phase, line)
    for row in (NOTHING, VALUE, REFERENCE, ALIAS)
    for phase in (INLINE, DUAL_READ, OFFLOAD)
    for line in Line
}
