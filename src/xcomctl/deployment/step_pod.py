"""A short-lived pod as tasks' pods are: the production path that no pod which is there already takes.

It has the image, the service account, the environment, the volumes and the labels of a worker's pod (or of a template), and
none of what makes that a worker: no label by which a controller, a Service or a budget would count it, no probes, no
sidecars, and of the init containers those alone that fill a folder of Airflow's. It is removed whatever happens; where
xcomctl itself is killed it ends by itself, and the next call removes it.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xcomctl.deployment.agent_errors import AgentError, ReachFailed
from xcomctl.deployment.interrupts import interruptible, postponed, uninterruptible
from xcomctl.deployment.kubectl import Kubectl, KubectlError
from xcomctl.deployment.pods import TASK_LABELS, Pod, newest_ready, parsed
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.kubernetes import KubernetesReach, Say, Wanted
from xcomctl.journal.local import this_actor
from xcomctl.journal.owners import Process

NAME = "step pod"
#: The label that all of them have, and the annotations that say whose each is.
LABEL = "xcomctl/step-pod"
_OWNER, _STARTED_BY = "xcomctl/owner", "xcomctl/started-by"
#: Seconds until the cluster ends it, and until it has to be up: an image may have to be pulled, a node to be found.
DEADLINE_S = 900
#: The same for one in which heavy work is done: a call that was ended by it is called again.
HEAVY_DEADLINE_S = 12 * 3600
#: Seconds without an agent in it after which it ends by itself: whoever started it and would remove it was killed.
IDLE_S = 600
_LOOK_EVERY_S = 5
_START_S = 180
#: The same where init containers install something first.
_START_INSTALLING_S = 600
_POLL_S = 0.5
#: What does not get better by waiting.
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff")  # fmt: skip
#: What is taken over of a pod's spec. Affinity is not: it is about the pods of one component.
_OF_SPEC = (
    "serviceAccountName", "automountServiceAccountToken", "imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "hostAliases",
    "dnsPolicy", "dnsConfig", "runtimeClassName", "schedulerName", "volumes", "enableServiceLinks",
)  # fmt: skip
#: Labels that are not: by these a controller, a Service or a budget selects, and a task's pod is taken for one.
_LABELS_DROPPED = frozenset({"component", "app.kubernetes.io/component", "pod-template-hash", "controller-revision-hash", "airflow-worker", *TASK_LABELS})  # fmt: skip
_LABEL_PREFIXES_DROPPED = ("statefulset.kubernetes.io/", "apps.kubernetes.io/")
#: A pod without an owner that has an application's label would be pruned by Argo CD as none of it; a mesh's sidecar would
#: neither be needed nor end.
_LEFT_ALONE = {
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false",
    "linkerd.io/inject": "disabled",
}
#: What is taken over of its container.
_OF_CONTAINER = ("image", "imagePullPolicy", "env", "envFrom", "volumeMounts", "securityContext", "workingDir", "resources")  # fmt: skip
#: Init containers with one of these in their name wait for the database: what fails there is for the checks to tell.
_WAIT = ("migrations", "check-db", "wait-for")
#: What the pod runs: until its end, or until for a while there was no process in it but this one. Its children are those whose
#: parent ended, which nobody else takes off the list.
_WAITING = """\
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
end = time.monotonic() + {deadline}
quiet = time.monotonic() + {idle}
while time.monotonic() < min(end, quiet):
    time.sleep({every})
    if any(name.isdigit() and int(name) != os.getpid() for name in os.listdir("/proc")):
        quiet = time.monotonic() + {idle}
"""
#: Prints the executor, the path of its pod template, and that file: as the environment says, else airflow.cfg, else where the
#: official chart mounts one whatever the executor. Sources: apache/airflow chart/values.yaml (config.kubernetes_executor) and
#: chart/templates/scheduler; the community chart sets the variables (secret-config-envs.yaml).
_TEMPLATE_OF_EXECUTOR = """\
home=${AIRFLOW_HOME:-/opt/airflow}
says() { sed -n "s/^$1 *= *//p" "${AIRFLOW_CONFIG:-$home/airflow.cfg}" 2>/dev/null | tail -n 1; }
echo "${AIRFLOW__CORE__EXECUTOR:-$(says executor)}"
file=${AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE:-${AIRFLOW__KUBERNETES__POD_TEMPLATE_FILE:-$(says pod_template_file)}}
file=${file:-$home/pod_templates/pod_template_file.yaml}
echo "$file"
if [ -f "$file" ] && [ -r "$file" ]; then cat "$file"; fi
"""
#: Volumes with this name are put in by the API server, into each pod anew.
_ADMITTED = "kube-api-access-"
#: Every right that is needed, so that nothing is created that could not be removed.
RIGHTS = (("create", "pods"), ("delete", "pods"), ("create", "pods/exec"))


@dataclass(frozen=True)
class _Model:
    """What it is made like: a pod, its container, and how a person calls it."""

    pod: Pod
    container: str
    told: str


@dataclass(frozen=True)
class StepPodReach(KubernetesReach):
    """The way into it; with ``problem`` it did not come up, which is said when it is asked."""

    problem: AgentError | None = None

    @property
    def name(self) -> str:
        """Always the same: each call has another pod."""
        return NAME

    def argv(self, program: Sequence[str]) -> list[str]:
        """As any pod's. Raises the problem."""
        if self.problem is not None:
            raise self.problem
        return super().argv(program)


def beside(reach: Reach) -> AbstractContextManager[Reach]:
    """Where heavy work for a context is done: in a pod of its own made like the context's, so that it counts against nobody's
    memory (F43); in the context itself where that is no pod.

    Raises as :func:`step_pod`.
    """
    if not isinstance(reach, KubernetesReach) or isinstance(reach, StepPodReach):
        return nullcontext(reach)
    return step_pod(reach.wanted, reach.say, like=reach, deadline_s=HEAVY_DEADLINE_S)


@contextmanager
def step_pod(
    wanted: Wanted,
    say: Say,
    template: Path | None = None,
    *,
    like: KubernetesReach | None = None,
    deadline_s: int = DEADLINE_S,
) -> Iterator[StepPodReach]:
    """Such a pod for as long as the block lasts, made like the newest worker, ``like`` another context's, or of a pod template
    file; where there is no worker, of the scheduler's own template, or like the scheduler. The cluster ends it after
    ``deadline_s``. SIGTERM and SIGHUP are as Ctrl-C while it is there.

    Raises :class:`~xcomctl.deployment.kubectl.Forbidden` before anything is created if something of it is not allowed.
    """
    kubectl = wanted.kubectl
    kubectl.require(*RIGHTS)
    remove_leftovers(kubectl, say)
    name = f"xcomctl-step-{secrets.token_hex(4)}"
    variables = {} if like is None else like.variables
    reach = StepPodReach(replace(wanted, container=None), NAME, only=name, variables=variables)
    try:
        model = _model(wanted, say, template, like)
        manifest = made_like(model.pod, model.container, name, wanted.python, deadline_s)
    except (AgentError, ValueError) as error:
        told = error if isinstance(error, AgentError) else ReachFailed(f"{NAME}: {error}", "name it: -c CONTAINER")
        yield replace(reach, problem=told)
        return
    say(f"{NAME}: starting {name}, {model.told}")
    with interruptible():
        try:
            problem: AgentError | None = None
            try:
                with postponed():
                    kubectl.run("create", "-f", "-", stdin=json.dumps(manifest), shielded=True)
                _await_ready(kubectl, name)
            except AgentError as error:
                problem = error
            yield replace(reach, problem=problem)
        finally:
            with uninterruptible():
                _remove(kubectl, name, say)


def remove_leftovers(kubectl: Kubectl, say: Say) -> None:
    """Remove the pods of calls that were killed: of processes of this machine that are gone, and what is over anyway.

    Raises :class:`KubectlError` where the namespace cannot be listed.
    """
    for pod in parsed(kubectl.get("pods", "-l", LABEL)):
        if pod.is_leaving or not (pod.is_over or _is_left(pod)):
            continue
        say(f"{NAME}: removing {pod.name}, left behind by {pod.annotations.get(_STARTED_BY, 'somebody')}")
        _remove(kubectl, pod.name, say)


def made_like(source: Pod, container: str, name: str, python: str, deadline_s: int = DEADLINE_S) -> dict[str, Any]:
    """The manifest of a pod of this name with what ``container`` of ``source`` has. It waits, for the agent to be exec'd."""
    spec, its = source.content["spec"], source.spec_of(container)
    actor = this_actor()
    waiting = _WAITING.format(deadline=deadline_s, idle=IDLE_S, every=_LOOK_EVERY_S)
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {**_labels(source), LABEL: "true", "sidecar.istio.io/inject": "false"},
            "annotations": {
                _OWNER: json.dumps(asdict(Process.running(os.getpid()))),
                _STARTED_BY: f"{actor.user}@{actor.host}",
                **_LEFT_ALONE,
            },
        },
        "spec": {
            **{key: copy.deepcopy(spec[key]) for key in _OF_SPEC if key in spec},
            "volumes": [_volume(each, source) for each in spec.get("volumes") or () if not each.get("name", "").startswith(_ADMITTED)],
            "restartPolicy": "Never",
            "activeDeadlineSeconds": deadline_s,
            "terminationGracePeriodSeconds": 5,
            "containers": [{**_taken(its, _OF_CONTAINER), "name": container, "command": [python, "-c", waiting]}],
        },
    }  # fmt: skip
    if filling := [_taken(each, (*_OF_CONTAINER, "name", "command", "args")) for each in _filling(spec, its)]:
        manifest["spec"]["initContainers"] = filling
    return manifest


def _labels(source: Pod) -> dict[str, str]:
    """All by which a network policy or a webhook may know Airflow's pods; none by which somebody would take it for his own."""
    return {
        name: value
        for name, value in source.labels.items()
        if name not in _LABELS_DROPPED and not name.startswith(_LABEL_PREFIXES_DROPPED)
    }


def _taken(its: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    taken = {key: copy.deepcopy(its[key]) for key in keys if key in its}
    taken["volumeMounts"] = [
        each for each in taken.get("volumeMounts") or () if not each.get("name", "").startswith(_ADMITTED)
    ]
    return taken


def _filling(spec: Mapping[str, Any], its: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The init containers that put something of Airflow's image into an empty folder of its container, as the community
    chart's ``extraPipPackages`` do.
    """
    empty = {each.get("name") for each in spec.get("volumes") or () if "emptyDir" in each}
    shared = empty & {each.get("name") for each in its.get("volumeMounts") or ()}
    return [
        each
        for each in spec.get("initContainers") or ()
        if each.get("image") == its.get("image")
        and "restartPolicy" not in each  # a sidecar, which would not end
        and not any(word in each.get("name", "") for word in _WAIT)
        and any(mount.get("name") in shared for mount in each.get("volumeMounts") or ())
    ]


def _volume(volume: Mapping[str, Any], source: Pod) -> dict[str, Any]:
    """A volume as it is; a claim that a StatefulSet made for this one pod is nobody else's, so an empty folder instead."""
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if claim and claim == f"{volume.get('name')}-{source.name}":
        return {"name": volume["name"], "emptyDir": {}}
    return copy.deepcopy(dict(volume))


def _model(wanted: Wanted, say: Say, template: Path | None, like: KubernetesReach | None) -> _Model:
    """What to make it like. Raises :class:`AgentError`, and ``ValueError`` where its container cannot be told."""
    if like is not None:
        return _like(like.pod(), wanted)
    if template is not None:
        pod = _of_template(wanted.kubectl, str(template), str(template))
        return _Model(pod, pod.container(wanted.container), f"of {template}")
    pods = [each for each in parsed(wanted.kubectl.get("pods", "-l", "component")) if wanted.release in (None, each.release)]  # fmt: skip
    workers = [each for each in pods if each.component == "worker" and not each.is_over]
    if (worker := newest_ready(workers)) is not None:
        return _like(worker, wanted)
    scheduler = newest_ready([each for each in pods if each.component == "scheduler"])
    if scheduler is None:
        raise ReachFailed(
            f"{NAME}: neither a worker nor a scheduler in {wanted.kubectl.namespace} is Running and Ready to be made like",
            "give a pod template: --pod-template FILE",
        )
    return (None if workers else _of_executor(wanted, scheduler, say)) or _like(scheduler, wanted)


def _like(pod: Pod, wanted: Wanted) -> _Model:
    return _Model(pod, pod.container(wanted.container), f"like {pod.name}")


def _of_executor(wanted: Wanted, scheduler: Pod, say: Say) -> _Model | None:
    """The template by which a scheduler starts its tasks' pods; ``None`` where tasks run in the scheduler, or it has none."""
    inside = scheduler.container(wanted.container)
    said = wanted.kubectl.run("exec", scheduler.name, "-c", inside, "--", "sh", "-c", _TEMPLATE_OF_EXECUTOR)
    executor, path, text = [*said.split("\n", 2), "", ""][:3]
    if executor and not any(word in executor for word in ("Kubernetes", "Celery")):
        return None
    where = f"{path} in {scheduler.name}"
    if not text.strip():
        say(f"{NAME}: there is no worker and no pod template {where}, so it is like the scheduler")
        return None
    pod = _of_template(wanted.kubectl, "-", where, stdin=text)
    container = pod.container(wanted.container if wanted.container in pod.containers else None)
    # A template may leave the image to Airflow's settings; by default that is the scheduler's.
    for each in pod.content["spec"]["containers"]:
        if each["name"] == container:
            each.setdefault("image", scheduler.spec_of(inside)["image"])
    return _Model(pod, container, f"of {where}, as there is no worker")


def _of_template(kubectl: Kubectl, file: str, called: str, stdin: str = "") -> Pod:
    """A file as KubernetesExecutor and KubernetesPodOperator take it. kubectl reads its YAML. Raises :class:`ReachFailed` where
    it is none. Its name is nobody's: Airflow gives each pod another, so it may have none.
    """

    def refused(why: str) -> ReachFailed:
        return ReachFailed(f"{NAME}: {called} {why}", "give the template of one pod: --pod-template FILE")

    try:
        said = kubectl.run("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", file, stdin=stdin)
    except KubectlError as error:
        if "no objects passed" not in error.message:
            raise
        raise refused("is empty") from None
    try:
        content = json.loads(said)
    except ValueError:  # one after another
        raise refused("holds several documents, not one Pod") from None
    if content.get("kind") != "Pod":
        raise refused(f"holds a {content.get('kind')}, not a Pod")
    spec = content.get("spec")
    containers = spec.get("containers") if isinstance(spec, dict) else None
    if not isinstance(containers, list) or not containers:
        raise refused("has no containers: spec.containers is missing or empty")
    if not all(isinstance(each, dict) and each.get("name") for each in containers):
        raise refused("has a container without a name")
    content["metadata"].setdefault("name", called)
    return Pod.of(content)


def _await_ready(kubectl: Kubectl, name: str) -> None:
    began = time.monotonic()
    while True:
        pod = Pod.of(kubectl.get("pod", name))
        if pod.is_ready:
            return
        deadline = began + (_START_INSTALLING_S if pod.content["spec"].get("initContainers") else _START_S)
        states = [*(pod.status.get("initContainerStatuses") or ()), *(pod.status.get("containerStatuses") or ())]
        waiting = [each.get("state", {}).get("waiting") or {} for each in states]
        stuck = next((each for each in waiting if each.get("reason") in _STUCK), None)
        if stuck is not None or pod.is_over or time.monotonic() >= deadline:
            why = f": {stuck['message']}" if stuck is not None and stuck.get("message") else ""
            raise ReachFailed(f"{NAME}: it did not come up: {pod.describe()}{why}", "see what the pod is made like, or give a template: --pod-template FILE")  # fmt: skip
        time.sleep(_POLL_S)


def _is_left(pod: Pod) -> bool:
    with suppress(ValueError, TypeError):
        return Process(**json.loads(pod.annotations.get(_OWNER, ""))).is_gone
    return False


def _remove(kubectl: Kubectl, name: str, say: Callable[[str], None]) -> None:
    try:
        kubectl.run("delete", "pod", name, "--ignore-not-found", "--wait=false", "--grace-period=1", shielded=True)
    except KubectlError as error:
        say(f"{NAME}: {name} could not be removed, and ends by itself within {IDLE_S // 60} minutes: {error.message}")
