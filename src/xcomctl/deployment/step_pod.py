"""A short-lived pod as tasks' pods are: the production path that no pod which is there already takes.

It has the image, the service account, the environment and the volumes of a worker's pod (or of a template), and none of
what makes that a worker: no labels by which a controller, a Service or a budget would count it, no probes, no init
containers, no sidecars. It is removed whatever happens; where xcomctl itself is killed it ends by itself, and the next
call removes it.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xcomctl.deployment.agent_errors import AgentError, ReachFailed
from xcomctl.deployment.kubectl import Kubectl, KubectlError
from xcomctl.deployment.pods import Pod, newest_ready, parsed
from xcomctl.deployment.reach.kubernetes import KubernetesReach, Say, Wanted
from xcomctl.journal.local import this_actor
from xcomctl.journal.owners import Process

NAME = "step pod"
#: The label that all of them have, and the annotations that say whose each is.
LABEL = "xcomctl/step-pod"
_OWNER, _STARTED_BY = "xcomctl/owner", "xcomctl/started-by"
#: Whose pod it is made like, where no template is given: the first of these that has one.
_LIKE = ("worker", "scheduler")
#: Seconds until the cluster ends it, and until it has to be up: an image may have to be pulled, a node to be found.
DEADLINE_S = 900
_START_S = 180
_POLL_S = 0.5
#: What does not get better by waiting.
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff")  # fmt: skip
#: What is taken over of a pod's spec. Affinity is not: it is about the pods of one component.
_OF_SPEC = (
    "serviceAccountName", "automountServiceAccountToken", "imagePullSecrets", "nodeSelector", "tolerations", "securityContext", "hostAliases",
    "dnsPolicy", "dnsConfig", "runtimeClassName", "schedulerName", "volumes", "enableServiceLinks",
)  # fmt: skip
#: What is taken over of its container.
_OF_CONTAINER = ("image", "imagePullPolicy", "env", "envFrom", "volumeMounts", "securityContext", "workingDir", "resources")  # fmt: skip
#: Volumes with this name are put in by the API server, into each pod anew.
_ADMITTED = "kube-api-access-"
#: Every right that is needed, so that nothing is created that could not be removed.
RIGHTS = (("create", "pods"), ("delete", "pods"), ("create", "pods/exec"))


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


@contextmanager
def step_pod(wanted: Wanted, say: Say, template: Path | None = None) -> Iterator[StepPodReach]:
    """Such a pod for as long as the block lasts, made like the newest worker (or scheduler), or of a pod template file.

    Raises :class:`~xcomctl.deployment.kubectl.Forbidden` before anything is created if something of it is not allowed.
    """
    kubectl = wanted.kubectl
    kubectl.require(*RIGHTS)
    remove_leftovers(kubectl, say)
    name = f"xcomctl-step-{secrets.token_hex(4)}"
    reach = StepPodReach(replace(wanted, container=None), NAME, only=name)
    try:
        source = _of_template(kubectl, template) if template is not None else _of_component(wanted)
        manifest = made_like(source, source.container(wanted.container), name, wanted.python)
    except (AgentError, ValueError) as error:
        told = error if isinstance(error, AgentError) else ReachFailed(f"{NAME}: {error}", "name it: -c CONTAINER")
        yield replace(reach, problem=told)
        return
    say(
        f"{NAME}: starting {name}, like {source.name}"
        if template is None
        else f"{NAME}: starting {name}, of {template}"
    )
    try:
        problem: AgentError | None = None
        try:
            kubectl.run("create", "-f", "-", stdin=json.dumps(manifest))
            _await_ready(kubectl, name)
        except AgentError as error:
            problem = error
        yield replace(reach, problem=problem)
    finally:
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


def made_like(source: Pod, container: str, name: str, python: str) -> dict[str, Any]:
    """The manifest of a pod of this name with what ``container`` of ``source`` has. It waits, for the agent to be exec'd."""
    spec, its = source.content["spec"], source.spec_of(container)
    taken = {key: copy.deepcopy(its[key]) for key in _OF_CONTAINER if key in its}
    taken["volumeMounts"] = [each for each in taken.get("volumeMounts", ()) if not each["name"].startswith(_ADMITTED)]  # fmt: skip
    actor = this_actor()
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            # A mesh's sidecar would neither be needed nor end.
            "labels": {LABEL: "true", "sidecar.istio.io/inject": "false"},
            "annotations": {
                _OWNER: json.dumps(asdict(Process.running(os.getpid()))),
                _STARTED_BY: f"{actor.user}@{actor.host}",
                "linkerd.io/inject": "disabled",
            },
        },
        "spec": {
            **{key: copy.deepcopy(spec[key]) for key in _OF_SPEC if key in spec},
            "volumes": [_volume(each, source) for each in spec.get("volumes") or () if not each["name"].startswith(_ADMITTED)],
            "restartPolicy": "Never",
            "activeDeadlineSeconds": DEADLINE_S,
            "terminationGracePeriodSeconds": 5,
            "containers": [
                {**taken, "name": container, "command": [python, "-c", f"import time; time.sleep({DEADLINE_S})"]}
            ],
        },
    }  # fmt: skip


def _volume(volume: Mapping[str, Any], source: Pod) -> dict[str, Any]:
    """A volume as it is; a claim that a StatefulSet made for this one pod is nobody else's, so an empty folder instead."""
    claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
    if claim == f"{volume['name']}-{source.name}":
        return {"name": volume["name"], "emptyDir": {}}
    return copy.deepcopy(dict(volume))


def _of_component(wanted: Wanted) -> Pod:
    pods = parsed(wanted.kubectl.get("pods", "-l", "component"))
    for component in _LIKE:
        its = [each for each in pods if each.component == component and wanted.release in (None, each.release)]
        if (chosen := newest_ready(its)) is not None:
            return chosen
    raise ReachFailed(
        f"{NAME}: neither a worker nor a scheduler in {wanted.kubectl.namespace} is Running and Ready to be made like",
        "give a pod template: --pod-template FILE",
    )


def _of_template(kubectl: Kubectl, template: Path) -> Pod:
    """A file as KubernetesExecutor and KubernetesPodOperator take it. kubectl reads its YAML."""
    said = kubectl.run("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", str(template))
    content = json.loads(said)
    if content.get("kind") != "Pod":
        raise ReachFailed(f"{NAME}: {template} holds a {content.get('kind')}, not a Pod", "give the template of a pod")
    return Pod.of(content)


def _await_ready(kubectl: Kubectl, name: str) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        pod = Pod.of(kubectl.get("pod", name))
        if pod.is_ready:
            return
        waiting = [each.get("state", {}).get("waiting") or {} for each in pod.status.get("containerStatuses") or ()]
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
        say(
            f"{NAME}: {name} could not be removed, and ends by itself within {DEADLINE_S // 60} minutes: {error.message}"
        )
