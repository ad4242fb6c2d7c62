"""What one context tells for the barrier (DESIGN §2): the processes there, and what the metadata database says is in flight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.model.barrier import HostingProcess, LeftInstance, QueuedInstance, RunningInstance
from xcomctl.model.requests import Record

#: Seconds that a host counts as one that runs tasks after the last one started there.
HOST_RECENT_S = 3600.0


@dataclass(frozen=True)
class Job(Record):
    """A row of ``job``: a process that starts or hosts tasks. ``ended`` is ``None`` while it beats."""

    component: str
    host: str
    started: str
    ended: Optional[str]
    last_beat: Optional[str]


@dataclass(frozen=True)
class PodOwner(Record):
    """An instance whose operator runs a step in a pod: it runs, or it is deferred and the pod runs on.

    ``began`` is since when the process that makes its pod can have been there, ``None`` when that is not known.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    began: Optional[str]

    @property
    def name(self) -> str:
        """``DAG.TASK``, the map index if there is one, and the run."""
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id}.{self.task_id}{index} of {self.run_id}"


@dataclass(frozen=True)
class InFlightAnswer(Record):
    """What the metadata database says. ``hosts`` ran tasks lately. ``now`` is the clock of the context that was asked.

    ``in_pods`` is why some of it runs in pods, empty if nothing does; ``pod_namespace`` where the executor starts them,
    ``*`` for several namespaces, empty for an executor that starts none; ``only_pods`` that it starts nothing else;
    ``pod_owners`` whose steps have one. ``outlives_s`` is how long a process may live on
    without its instance, in seconds, as this Airflow is configured.
    """

    now: str
    outlives_s: float
    running: tuple[RunningInstance, ...] = ()
    queued: tuple[QueuedInstance, ...] = ()
    left: tuple[LeftInstance, ...] = ()
    jobs: tuple[Job, ...] = ()
    hosts: tuple[str, ...] = ()
    in_pods: str = ""
    pod_namespace: str = ""
    only_pods: bool = False
    pod_owners: tuple[PodOwner, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        nested: dict[str, type[Record]] = {
            "running": RunningInstance, "queued": QueuedInstance, "left": LeftInstance, "jobs": Job,
            "pod_owners": PodOwner,
        }  # fmt: skip
        if name in nested:
            return tuple(nested[name].from_json(each) for each in value)
        return super()._read_field(name, value)


@dataclass(frozen=True)
class BarrierQuery(Record):
    """What to look at. ``database``: answer for the metadata database too, which is the same for every context."""

    database: bool = True


@dataclass(frozen=True)
class BarrierAnswer(Record):
    """One context. ``phase`` and ``reason`` are what a fresh process resolves, ``hostname`` is what Airflow calls the host.

    ``processes`` are those there that start or host tasks or run their code; ``others`` counts the Airflow processes that
    do not. ``in_flight`` is ``None`` where the database was not asked.
    """

    airflow: str
    hostname: str
    phase: str
    reason: str
    processes: tuple[HostingProcess, ...] = ()
    others: int = 0
    in_flight: Optional[InFlightAnswer] = None

    @classmethod
    def _read_field(cls, name: str, value: Any) -> Any:
        if name == "processes":
            return tuple(HostingProcess.from_json(each) for each in value)
        if name == "in_flight":
            return None if value is None else InFlightAnswer.from_json(value)
        return super()._read_field(name, value)
