"""barrier: the processes of this context with what they started with, and what is in flight."""

from __future__ import annotations

import datetime
from typing import Any, Optional

from xcomctl.agent.context import RequestContext
from xcomctl.agent.requests import resolve
from xcomctl.agent.requests.common import open_metadata
from xcomctl.airflow_compat import configuration, hosts, loading
from xcomctl.checks import running_phases
from xcomctl.metadata import in_flight, starts
from xcomctl.metadata.in_flight import InFlight
from xcomctl.model.barrier import LeftInstance, QueuedInstance, RunningInstance
from xcomctl.model.barrier_evidence import HOST_RECENT_S, BarrierAnswer, BarrierQuery, InFlightAnswer, Job, PodOwner
from xcomctl.model.journal_entry import timestamp

#: What a process of Airflow is called by the type of its job.
_COMPONENTS = {
    "SchedulerJob": "scheduler",
    "TriggererJob": "triggerer",
    "DagProcessorJob": "dag-processor",
    "BackfillJob": "dags backfill",
}
#: Instances that are named in a sentence.
_NAMED = 3


def run(context: RequestContext) -> BarrierAnswer:
    """Answer the request."""
    query = BarrierQuery.from_json(context.params)
    context.progress("importing Airflow")
    resolution = resolve.run(context)
    context.progress("the processes of Airflow")
    found = running_phases.hosting()
    # The processes come first: what is in flight is judged by when the last old one of them was gone.
    answer = None
    if query.database:
        context.progress("what is in flight")
        answer = _in_flight()
    return BarrierAnswer(
        airflow=loading.version(),
        hostname=hosts.hostname(),
        phase=resolution.phase,
        reason=resolution.reason,
        processes=found.processes,
        others=found.others,
        in_flight=answer,
    )


def _in_flight() -> InFlightAnswer:
    now = datetime.datetime.now(datetime.timezone.utc)
    outlives = hosts.outlives()
    with open_metadata() as metadata:
        connection, tables = metadata.connection, metadata.tables
        alive = list(in_flight.alive(connection, tables))
        suspended = list(in_flight.suspended_on_pods(connection, tables))
        on_hosts = in_flight.hosts(connection, tables, now - datetime.timedelta(seconds=HOST_RECENT_S))
        return InFlightAnswer(
            now=timestamp(now),
            outlives_s=outlives,
            running=tuple(
                RunningInstance(*_key(each), state=each.state or "", started=_text(each.started), host=each.hostname, queued=_text(each.queued))
                for each in alive
            ),
            queued=tuple(
                QueuedInstance(*_key(each), queued=_text(each.queued)) for each in in_flight.queued(connection, tables)
            ),
            left=tuple(
                LeftInstance(*_key(each), how=_how(each), left=_left(each), began=_began(each), host=each.hostname)
                for each in in_flight.without_known_end(
                    connection, tables, now - datetime.timedelta(seconds=2 * outlives)
                )
            ),
            jobs=tuple(
                Job(_COMPONENTS[each.job_type], each.hostname, timestamp(each.start), _text(each.end), _text(each.beat))
                for each in starts.lifetimes(connection, tables, now, tuple(_COMPONENTS))
            ),
            hosts=tuple(each.hostname for each in on_hosts),
            in_pods=_in_pods(alive, suspended),
            pod_namespace=_pod_namespace(),
            # Several are joined by commas, and each may be a class path.
            only_pods="," not in _executor() and _executor().rpartition(".")[2] == "KubernetesExecutor",
            pod_owners=tuple(PodOwner(*_key(each), began=_made(each)) for each in _stepping(alive, suspended)),
            warnings=metadata.warnings,
        )  # fmt: skip


def _in_pods(alive: list[InFlight], suspended: list[InFlight]) -> str:
    """Why some of what is in flight runs in pods, in words; empty if nothing does."""
    executor = _executor()
    if "Kubernetes" in executor:
        return f"[core] executor is {executor}"
    stepping = _stepping(alive, suspended)
    if not stepping:
        return ""
    named = ", ".join(f"{each.dag_id}.{each.task_id} ({each.operator})" for each in stepping[:_NAMED])
    return f"steps run in pods: {named}{' and more' if len(stepping) > _NAMED else ''}"


def _executor() -> str:
    return configuration.option("core", "executor") or ""


def _stepping(alive: list[InFlight], suspended: list[InFlight]) -> list[InFlight]:
    return [each for each in (*alive, *suspended) if "Pod" in each.operator]


def _pod_namespace() -> str:
    """Where the executor starts pods. The section was called otherwise before the executor was a provider's."""
    if "Kubernetes" not in _executor():
        return ""
    for section in ("kubernetes_executor", "kubernetes"):
        if (configuration.option(section, "multi_namespace_mode") or "").lower() in ("true", "t", "1"):
            return "*"
        if namespace := configuration.option(section, "namespace"):
            return namespace
    return "default"


def _how(each: InFlight) -> str:
    if each.state in in_flight.ALIVE:
        return "started again"
    if each.state in (None, "scheduled", "queued"):
        return "cleared"
    return "given up for want of a heartbeat" if each.given_up else f"marked {each.state}"


def _left(each: InFlight) -> str:
    """Until when its process may have been its own at the latest."""
    return _text(each.started if each.state in in_flight.ALIVE else each.changed) or ""


def _began(each: InFlight) -> Optional[str]:
    """When that process was there at the earliest: it may have been since its instance was queued.

    Of one whose instance runs again nothing says when that was.
    """
    return None if each.state in in_flight.ALIVE else _made(each)


def _made(each: InFlight) -> Optional[str]:
    """Since when the process that makes the pod of its step can have been there."""
    return _text(min((moment for moment in (each.started, each.queued) if moment is not None), default=None))


def _key(each: InFlight) -> tuple[str, str, str, int]:
    return each.dag_id, each.run_id, each.task_id, each.map_index


def _text(moment: Any) -> Optional[str]:
    return None if moment is None else timestamp(moment)
