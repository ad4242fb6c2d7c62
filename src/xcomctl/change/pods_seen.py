"""What a cluster shows for the barrier (DESIGN §2): the pods of tasks and of their steps, and the pods that nobody asked.

A pod has the environment that it was created with, so what its spec says is what its processes started with, pending ones
included: they have not even begun, and carry the settings of then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.deployment.kubectl import Kubectl, KubectlError
from xcomctl.deployment.pods import KUBERNETES_POD_OPERATOR, Pod, label_value, parsed
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.kubernetes import KubernetesReach
from xcomctl.deployment.rollouts import HOSTING, rollouts
from xcomctl.model import barrier
from xcomctl.model.barrier import HostingProcess, LeftInstance, QueuedInstance, RunningInstance
from xcomctl.model.barrier_evidence import InFlightAnswer, PodOwner
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Line, Phase, phase_of
from xcomctl.model.requests import ResolvedSetting
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, Setting, settings_from

_Instance = RunningInstance | QueuedInstance | LeftInstance | PodOwner
_Key = tuple[str | int, ...]


@dataclass(frozen=True)
class PodsSeen:
    """``tasks`` are the unfinished pods of tasks and of their steps, ``unasked`` those of components that hold a process and
    that no context is. ``failures`` are sentences about namespaces that could not be listed, ``rollouts`` about workloads
    that are not through with the last change, or could not be listed.
    """

    namespaces: frozenset[str]
    tasks: tuple[Pod, ...] = ()
    unasked: tuple[Pod, ...] = ()
    failures: tuple[str, ...] = ()
    rollouts: tuple[str, ...] = ()


def look(reaches: Sequence[Reach]) -> PodsSeen | None:
    """All that the clusters of these contexts show, after they were asked; ``None`` where no context is a pod."""
    there = [reach for reach in reaches if isinstance(reach, KubernetesReach)]
    if not there:
        return None
    asked = {reach.asked.uid for reach in there if reach.asked is not None}
    releases = {reach.wanted.release for reach in there}
    tasks: list[Pod] = []
    unasked: list[Pod] = []
    failures: list[str] = []
    clusters: list[Kubectl] = list(dict.fromkeys(reach.wanted.kubectl for reach in there))
    for cluster in clusters:
        try:
            pods = parsed(cluster.get("pods"))
        except KubectlError as error:
            failures.append(f"the pods in the namespace {cluster.namespace} cannot be listed: {error.message}")
            continue
        tasks += [pod for pod in pods if pod.of_task and not pod.is_over]
        unasked += [
            pod
            for pod in pods
            if pod.component in HOSTING
            and not pod.is_over
            and pod.uid not in asked
            and (None in releases or pod.release in releases)
        ]
    return PodsSeen(
        frozenset(each.namespace for each in clusters),
        tuple(tasks),
        tuple(unasked),
        tuple(failures),
        tuple(" ".join(each) for each in rollouts(there)),
    )


def processes(seen: PodsSeen, flight: InFlightAnswer, line: Line) -> Iterator[HostingProcess]:
    """The processes of the pods that nobody asked, as far as their specs tell the phase; the others are :func:`unknown`."""
    hosts = {host.partition(".")[0]: host for host in (job.host for job in flight.jobs)}
    for pod in seen.unasked:
        phase = phase_by_spec(pod, line)
        if phase is not None and pod.component is not None:
            host = hosts.get(pod.name, pod.name)
            yield HostingProcess(pod.component, host, started=pod.started, phase=phase.value, context=pod.name)


def unknown(seen: PodsSeen, flight: InFlightAnswer, line: Line) -> Iterator[str]:
    """What is not known of pods, in sentences."""
    yield from seen.failures
    yield from seen.rollouts
    for pod in seen.unasked:
        if phase_by_spec(pod, line) is None:
            yield f"the pod {pod.describe()} of {pod.component} was not asked, and its spec does not tell its settings: --all-pods"
    where = ", ".join(sorted(seen.namespaces))
    if flight.pod_namespace and flight.pod_namespace not in seen.namespaces:
        place = "several namespaces" if flight.pod_namespace == "*" else f"the namespace {flight.pod_namespace}"
        yield f"{flight.in_pods}, which starts pods in {place}, and those of {where} are seen"
    of_steps = {_key_of(pod) for pod in seen.tasks if KUBERNETES_POD_OPERATOR in pod.labels}
    for owner in flight.pod_owners:
        if _key(owner) not in of_steps:
            yield f"no pod of {owner.name} is seen in {where}: it is in another namespace, or not there yet"


def pods(seen: PodsSeen, flight: InFlightAnswer) -> tuple[barrier.Pod, ...]:
    """The unfinished pods of tasks and steps, by the ids of the instances that they are of."""
    known: dict[_Key, list[_Instance]] = {}
    instances: list[_Instance] = [*flight.pod_owners, *flight.left, *flight.running, *flight.queued]
    for each in instances:
        known.setdefault(_key(each), []).append(each)
    return tuple(_record(pod, known.get(_key_of(pod), ())) for pod in seen.tasks)


def phase_by_spec(pod: Pod, line: Line) -> Phase | None:
    """The phase that the environment of its Airflow container amounts to, where it stands in the spec as it is.

    ``None`` where a setting that matters comes from elsewhere: an ``airflow.cfg``, a ConfigMap, a Secret.
    """
    try:
        container = pod.spec_of(pod.container())
    except ValueError:
        return None
    said = {
        entry["name"]: entry.get("value") or ""
        for entry in container.get("env") or ()
        if "valueFrom" not in entry and "$(" not in (entry.get("value") or "")
    }
    if BACKEND.env not in said:
        return None

    def of(setting: Setting) -> ResolvedSetting:
        return ResolvedSetting(said.get(setting.env), setting.env)

    settings = settings_from(of(BACKEND), of(PATH), of(THRESHOLD), of(COMPRESSION), line)
    phase = phase_of(settings).phase
    told = all(each.env in said for each in (PATH, THRESHOLD))
    return phase if phase in (Phase.INLINE, Phase.UNKNOWN) or told else None


def _record(pod: Pod, its: Sequence[_Instance]) -> barrier.Pod:
    made = barrier.Pod(pod.name, pod.created, pod.namespace, map_index=_map_index(pod))
    if not its:
        return replace(made, dag_id=pod.says("dag_id"), run_id=pod.says("run_id"), task_id=pod.says("task_id"))
    # Of several starts of the instance any may have made it: the earliest counts.
    began = [each.began for each in its if isinstance(each, PodOwner | LeftInstance) and each.began is not None]
    of_step = KUBERNETES_POD_OPERATOR in pod.labels
    return replace(
        made,
        dag_id=its[0].dag_id,
        run_id=its[0].run_id,
        task_id=its[0].task_id,
        creator_began=min(began, key=parse_time, default=None) if of_step else None,
    )


def _key(instance: _Instance) -> _Key:
    """An instance as pods name it: a label holds less than an id may, and an annotation has the id itself."""
    ids = (instance.dag_id, instance.run_id, instance.task_id)
    return (*(label_value(each) for each in ids), instance.map_index)


def _key_of(pod: Pod) -> _Key:
    return (*(label_value(pod.says(name)) for name in ("dag_id", "run_id", "task_id")), _map_index(pod))


def _map_index(pod: Pod) -> int:
    said: Any = pod.says("map_index")
    return int(said) if said.lstrip("-").isdigit() else -1
