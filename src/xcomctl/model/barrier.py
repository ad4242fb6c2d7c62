"""The barrier between two steps (DESIGN §2): whether everything that began with the old settings is over. Pure.

A task is a fork and has its parent's settings; a pod has the environment that it was created with. So a step is over not
when the deploy is, but when the last thing that began before it has ended. :func:`judge` is that decision, taken on
records of what runs: it knows no database and no cluster. ``tests/unit/change/test_protocol_model.py`` explores what
happens when any line of it is taken out.

Times are ISO 8601 with a zone; a text that is none raises ``ValueError``.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Optional

from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Phase
from xcomctl.model.requests import Record

#: What clocks of different hosts, of the database and of Kubernetes may differ by.
CLOCK_MARGIN = datetime.timedelta(seconds=30)
#: Airflow's defaults: after how long without a heartbeat an instance is given up (``scheduler_zombie_task_threshold``,
#: ``task_instance_heartbeat_timeout``), and how long a task that is told to end may take (``killed_task_cleanup_time``).
HEARTBEAT_TIMEOUT = datetime.timedelta(seconds=300)
KILL_GRACE = datetime.timedelta(seconds=60)
#: The ``target`` of :func:`judge_stopped`.
STOPPED = "stopped"

_LONG_AGO = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)


# --- what is known ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostingProcess(Record):
    """A process that starts or hosts tasks or runs their code: scheduler, Celery pool master, triggerer, dag-processor,
    a 2.x backfill.

    ``phase`` is what the *running process* resolves: its own environment, its own start (F41). What a fresh exec in its
    container resolves is something else; where only that is known, ``phase`` is ``None``. ``context`` names the context
    that it was seen in; ``None`` for a live ``job`` row, or a hostname that lately ran tasks, that no context covers.
    ``ended`` is when it was gone, ``None`` while it lives and as long as that is not known: one that is terminating may
    still start and run tasks.
    """

    component: str
    host: str
    pid: Optional[int] = None
    started: Optional[str] = None
    phase: Optional[str] = None
    context: Optional[str] = None
    ended: Optional[str] = None

    def describe(self) -> str:
        """Component, host and pid for a sentence."""
        return f"{self.component} on {self.host}" + ("" if self.pid is None else f" (pid {self.pid})")


@dataclass(frozen=True)
class _OfInstance(Record):
    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def task(self) -> str:
        """``DAG.TASK``, which is what gets accepted."""
        return f"{self.dag_id}.{self.task_id}"

    @property
    def name(self) -> str:
        """``DAG.TASK``, the map index if there is one, and the run."""
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.task}{index} of {self.run_id}"


@dataclass(frozen=True)
class RunningInstance(_OfInstance):
    """An instance that is ``running`` or ``restarting``.

    ``started`` is the time of its last ``log`` row ``event='running'``, which is written at every real start;
    ``start_date`` is not (F40). ``None`` when there is no such row. ``queued`` is its ``queued_dttm``: a process, with its
    settings, is there from some time after that on, and it may take minutes until it writes the row. ``None`` where that
    is not known; then its start alone counts.
    """

    state: str
    started: Optional[str]
    host: str = ""
    queued: Optional[str] = None


@dataclass(frozen=True)
class QueuedInstance(_OfInstance):
    """An instance that is ``queued``, and its ``queued_dttm``: a pod or a process of its own may be there already."""

    queued: Optional[str]


@dataclass(frozen=True)
class LeftInstance(_OfInstance):
    """An instance whose state was taken from it and whose process is not known to have ended.

    It was marked, cleared, or given up for want of a heartbeat. ``how`` says which, ``left`` when. ``began`` is when that
    process began: its real start, or ``queued_dttm`` for one that was cleared while it was queued; the earliest where
    there are several, ``None`` when that is not known. The instance itself may be running again.
    """

    how: str
    left: str
    began: Optional[str]
    host: str = ""


@dataclass(frozen=True)
class Pod(Record):
    """An unfinished pod of a task, or one that a task's step runs in; ``created`` is its ``creationTimestamp``.

    The ids are those of its labels, empty where it has none. ``creator_began`` is for a step's pod: since when the process
    that made it can have been there, which is its instance's ``queued_dttm`` then, or its real start. Whatever an old
    process makes is old, at any time of its life. ``None`` where there is none.
    """

    name: str
    created: str
    namespace: str = ""
    dag_id: str = ""
    run_id: str = ""
    task_id: str = ""
    map_index: int = -1
    creator_began: Optional[str] = None

    @property
    def task(self) -> str:
        """``DAG.TASK``, which is what gets accepted."""
        return f"{self.dag_id}.{self.task_id}"


@dataclass(frozen=True)
class Accepted(Record):
    """A task (``DAG.TASK``) that somebody answers for: it neither reads nor writes what the next step is about."""

    task: str
    by: str = ""
    at: str = ""


@dataclass(frozen=True)
class Evidence(Record):
    """Everything that was seen, at one moment.

    ``contexts`` are those in which tasks are started or hosted. ``pods`` is ``None`` where tasks run in pods that
    cannot be listed, empty where there are none. ``unknown`` are sentences about what could not be looked at.
    """

    now: str
    contexts: tuple[str, ...]
    processes: tuple[HostingProcess, ...]
    running: tuple[RunningInstance, ...] = ()
    queued: tuple[QueuedInstance, ...] = ()
    left: tuple[LeftInstance, ...] = ()
    pods: Optional[tuple[Pod, ...]] = ()
    unknown: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name in _NESTED and value is not None:
            return tuple(_NESTED[name].from_json(entry) for entry in value)
        return super()._read_field(name, value)


_NESTED: dict[str, type[Record]] = {
    "processes": HostingProcess,
    "running": RunningInstance,
    "queued": QueuedInstance,
    "left": LeftInstance,
    "pods": Pod,
}


# --- what follows from it -----------------------------------------------------------------------------------------------


class Kind(str, Enum):
    """What a blocker is."""

    #: A context in which nothing has come up yet, or a process that still has other settings.
    PROCESS = "process"
    RUNNING = "running"
    QUEUED = "queued"
    POD = "pod"
    #: An instance that is not running any more, whose process may be.
    LEFT = "left"


class Passage(str, Enum):
    """Whether the next step may be taken."""

    PASSED = "passed"
    BLOCKED = "blocked"
    #: Nothing that is known blocks, and not everything is known.
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Blocker(Record):
    """One thing that is not over. ``since`` is when it began, ``None`` when that is not known.

    ``task`` is what ``--accept`` would have to name, empty where nothing can be accepted.
    """

    kind: str
    name: str
    reason: str
    since: Optional[str] = None
    host: str = ""
    ways_out: tuple[str, ...] = ()
    task: str = ""


@dataclass(frozen=True)
class Barrier(Record):
    """The answer. ``moment`` is T of DESIGN §2, ``None`` while a process of the old phase lives or is not known; for
    :func:`judge_stopped` it is when the last process ended.

    ``blockers`` and ``unknown`` are empty when it is passed. ``accepted`` are blockers that were accepted by name and so
    do not block.
    """

    target: str
    passage: str
    moment: Optional[str]
    blockers: tuple[Blocker, ...] = ()
    unknown: tuple[str, ...] = ()
    accepted: tuple[Blocker, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the next step may be taken."""
        return self.passage == Passage.PASSED.value

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name in ("blockers", "accepted"):
            return tuple(Blocker.from_json(entry) for entry in value)
        return super()._read_field(name, value)


def judge(
    target: Phase,
    evidence: Evidence,
    accepted: Iterable[Accepted] = (),
    following: Optional[Phase] = None,
    margin: datetime.timedelta = CLOCK_MARGIN,
    outlives: datetime.timedelta = HEARTBEAT_TIMEOUT + KILL_GRACE,
    not_before: Optional[str] = None,
) -> Barrier:
    """Whether the step to ``target`` is over, so that one to ``following`` may begin.

    Towards ``inline`` nothing is accepted: what still writes references would hand them to tasks that cannot read them.
    ``not_before`` is a moment until which something old is known to have lived that ``evidence`` has no record of any
    more. ``margin`` is what clocks may differ by, ``outlives`` how long a process may live on without its instance.
    """
    blockers = list(_of_processes(target, evidence))
    unknown = [*evidence.unknown, *_not_known(evidence)]
    # Without an old process T is not earlier than this; what is not known can only make it later.
    moment = None if blockers else _moment(target, evidence.processes, not_before)
    if blockers:
        blockers += _of_tasks(evidence, None, margin, outlives)
    elif moment is not None:
        blockers += _of_tasks(evidence, parse_time(moment) + margin, margin, outlives)
    return _answer(
        target.value,
        None if unknown else moment,
        blockers,
        [*unknown, *_pods_not_seen(evidence)],
        frozenset(each.task for each in accepted),
        acceptable=following is not Phase.INLINE,
    )


def judge_stopped(
    evidence: Evidence,
    margin: datetime.timedelta = CLOCK_MARGIN,
    outlives: datetime.timedelta = HEARTBEAT_TIMEOUT + KILL_GRACE,
    not_before: Optional[str] = None,
) -> Barrier:
    """Whether the whole fleet stands still, no process, task or step pod alive, so that any step is one deploy.

    Nothing may be started until every context has the new settings. What is queued does not block for good, since nothing
    is there to start it; but a process that was forked for it may be about to: so for how long the fleet stands still
    counts, by when its last process ended and by ``not_before``.
    """
    blockers = [
        Blocker(Kind.PROCESS.value, each.describe(), "is up", each.started, each.host, ("stop it",))
        for each in evidence.processes
        if each.ended is None and each.context is not None
    ]
    unknown = [*evidence.unknown, *_uncovered(evidence)]
    ends = [each.ended for each in evidence.processes if each.ended is not None]
    since = max(ends if not_before is None else [*ends, not_before], key=parse_time, default=None)
    waiting: tuple[LeftInstance, ...] = ()
    if since is not None:
        waiting = tuple(
            LeftInstance(
                each.dag_id, each.run_id, each.task_id, each.map_index, "left in the queue", since, each.queued
            )
            for each in evidence.queued
        )
    elif evidence.queued:
        unknown.append("it is not known since when the fleet stands still, and instances are queued")
    still = replace(evidence, queued=(), left=evidence.left + waiting)
    blockers += _of_tasks(still, None, margin, outlives)
    return _answer(STOPPED, since, blockers, [*unknown, *_pods_not_seen(evidence)], frozenset(), acceptable=False)


def _answer(
    target: str,
    moment: Optional[str],
    blockers: Iterable[Blocker],
    unknown: Iterable[str],
    accepted: Collection[str],
    acceptable: bool,
) -> Barrier:
    ordered = sorted(blockers, key=lambda each: _LONG_AGO if each.since is None else parse_time(each.since))
    if acceptable:
        ordered = [
            replace(each, ways_out=(*each.ways_out, f"--accept {each.task}")) if each.task else each for each in ordered
        ]
    passes = frozenset(name for name in accepted if name) if acceptable else frozenset()
    holding = tuple(each for each in ordered if each.task not in passes)
    unknown = tuple(dict.fromkeys(unknown))
    passage = Passage.BLOCKED if holding else Passage.INCONCLUSIVE if unknown else Passage.PASSED
    passing = tuple(each for each in ordered if each.task in passes)
    return Barrier(target, passage.value, moment, holding, unknown, passing)


def _pods_not_seen(evidence: Evidence) -> Iterator[str]:
    if evidence.pods is None:
        yield "tasks run in pods, and the pods cannot be listed"


# --- processes, and T -----------------------------------------------------------------------------------------------------


def _of_processes(target: Phase, evidence: Evidence) -> Iterator[Blocker]:
    """What is not up in the new phase yet, and what is still up in another one."""
    alive = [each for each in evidence.processes if each.ended is None]
    for each in alive:
        if each.phase in (None, target.value):
            continue
        ways = ("wait until it is gone", "stop it" if "backfill" in each.component else "restart it")
        yield Blocker(Kind.PROCESS.value, each.describe(), f"still runs as {each.phase}", each.started, each.host, ways)
    inhabited = {each.context for each in alive}
    for context in evidence.contexts:
        # A context that is down is no proof: whatever its supervisor starts next may have the old settings.
        if context not in inhabited:
            reason = f"nothing is up there as {target.value}"
            yield Blocker(Kind.PROCESS.value, context, reason, None, context, ("deploy there",))


def _not_known(evidence: Evidence) -> Iterator[str]:
    """Why T cannot be told."""
    if not evidence.contexts:
        yield "no context that starts or hosts tasks is known"
    yield from _uncovered(evidence)
    for each in evidence.processes:
        if each.ended is not None or each.context is None:
            continue
        if each.phase is None:
            yield (
                f"{each.describe()} does not tell what it resolved when it started, and a fresh exec there is no proof: "
                "restart it with SPT_NOENV=1, or say when the settings were rolled out (--deployed-at)"
            )
        elif each.started is None:
            yield f"it is not known when {each.describe()} started"


def _uncovered(evidence: Evidence) -> Iterator[str]:
    for each in evidence.processes:
        if each.ended is None and each.context is None:
            yield f"{each.describe()} is covered by no context: there is a host that we do not see"


def _moment(target: Phase, processes: Iterable[HostingProcess], not_before: Optional[str]) -> Optional[str]:
    """T: the last new one is up, and the last old one is gone. ``None`` when no moment of either is known."""
    moments = [] if not_before is None else [not_before]
    for each in processes:
        moment = each.started if each.ended is None else each.ended if each.phase != target.value else None
        if moment is not None:
            moments.append(moment)
    return max(moments, key=parse_time, default=None)


# --- tasks ----------------------------------------------------------------------------------------------------------------


def _of_tasks(
    evidence: Evidence, cutoff: Optional[datetime.datetime], margin: datetime.timedelta, outlives: datetime.timedelta
) -> Iterator[Blocker]:
    """Instances and pods that began before the cutoff; all of them when there is none yet."""

    def is_old(began: Optional[str], after: datetime.timedelta = datetime.timedelta(0)) -> bool:
        return cutoff is None or began is None or parse_time(began) <= cutoff + after

    for running in evidence.running:
        # A process that was there while its instance was queued does not outlive its parent for longer than others do.
        late = is_old(running.started, outlives) and running.queued is not None and is_old(running.queued)
        if late or is_old(running.started):
            reason = f"is {running.state} since before the change"
            if not is_old(running.started):
                reason = f"is {running.state}, was queued before the change and started soon after it"
            if running.started is None:
                reason = f"is {running.state}, and its log has no row that says since when (db clean removes them)"
            ways = ("wait until it ends", "clear it, which kills it")
            yield _blocker(Kind.RUNNING, running, reason, running.started, running.host, ways)
    for queued in evidence.queued:
        if is_old(queued.queued):
            yield _blocker(
                Kind.QUEUED, queued, "is queued since before the change", queued.queued, "", _ways_of(queued, evidence)
            )
    for left in evidence.left:
        if is_old(left.began) and parse_time(evidence.now) <= parse_time(left.left) + outlives + margin:
            reason = f"was {left.how} at {left.left}, and its process is not known to have ended"
            yield _blocker(Kind.LEFT, left, reason, left.began, left.host, ("wait until its process must have ended",))
    for pod in evidence.pods or ():
        of_old = pod.creator_began is not None and is_old(pod.creator_began)
        if of_old or is_old(pod.created):
            ways = ("wait until it ends", f"delete the pod {pod.name}")
            task = pod.task if pod.task_id else ""
            by = "by a process that started before the change" if not is_old(pod.created) else "before the change"
            reason = f"was created {by}" + (f", for {task} of {pod.run_id}" if task else "")
            yield Blocker(Kind.POD.value, pod.name, reason, pod.created, pod.name, ways, task)


def _ways_of(queued: QueuedInstance, evidence: Evidence) -> tuple[str, ...]:
    pods = [
        pod.name
        for pod in evidence.pods or ()
        if (pod.dag_id, pod.run_id, pod.task_id, pod.map_index)
        == (queued.dag_id, queued.run_id, queued.task_id, queued.map_index)
    ]
    if pods:  # clearing leaves the pod, and the next start may find it
        return ("wait until it starts and ends", *(f"delete the pod {name}" for name in pods))
    return ("wait until it starts and ends", "clear it")


def _blocker(
    kind: Kind, instance: _OfInstance, reason: str, since: Optional[str], host: str, ways_out: tuple[str, ...]
) -> Blocker:
    return Blocker(kind.value, instance.name, reason, since, host, ways_out, instance.task)
