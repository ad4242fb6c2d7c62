"""Pods as ``kubectl get -o json`` shows them: which are Airflow's, which can be asked, and in which container.

The labels are those of the official chart (``tier: airflow``) and of the community chart (``app: airflow``); both say
``component`` and ``release``. Sources: apache/airflow ``chart/templates``, airflow-helm/charts ``charts/airflow/templates``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Components that resolve Airflow's configuration, in the order of the columns. ``web`` is the community chart's.
COMPONENTS = ("scheduler", "worker", "triggerer", "dag-processor", "api-server", "webserver", "web")
#: Labels of a pod that runs one task, and of one that runs a step of a task.
KUBERNETES_EXECUTOR, KUBERNETES_POD_OPERATOR = "kubernetes_executor", "kubernetes_pod_operator"
TASK_LABELS = (KUBERNETES_EXECUTOR, KUBERNETES_POD_OPERATOR)
#: What is no Airflow in a pod of Airflow's, by a part of its name.
_SIDECARS = ("git-sync", "log-groomer", "log-cleanup", "istio", "linkerd", "kerberos", "cloud-sql", "cloudsql", "vault-agent", "statsd", "fluent")  # fmt: skip
_LABEL_MAX = 63
_NO_LABEL = re.compile(r"^[^a-z0-9A-Z]*|[^a-zA-Z0-9_\-.]|[^a-z0-9A-Z]*$")
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass(frozen=True)
class Pod:
    """One pod. ``created`` is its ``creationTimestamp``; ``content`` all that the cluster says of it."""

    name: str
    namespace: str
    created: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    content: Mapping[str, Any]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Pod:
        """From its JSON."""
        metadata = content["metadata"]
        return cls(
            name=metadata["name"],
            namespace=metadata.get("namespace", ""),
            created=metadata.get("creationTimestamp", ""),
            labels=metadata.get("labels") or {},
            annotations=metadata.get("annotations") or {},
            content=content,
        )

    @property
    def component(self) -> str | None:
        """Which of :data:`COMPONENTS` it is, ``None`` for what is none of Airflow's, and for the pod of a task."""
        component = self.labels.get("component")
        of_airflow = self.labels.get("tier") == "airflow" or self.labels.get("app") == "airflow"
        return component if of_airflow and component in COMPONENTS and not self.of_task else None

    @property
    def of_task(self) -> bool:
        """Whether it was made for one task."""
        return any(name in self.labels for name in TASK_LABELS)

    @property
    def release(self) -> str:
        """The Helm release that it belongs to, empty where it does not say."""
        return self.labels.get("release", "")

    @property
    def status(self) -> Mapping[str, Any]:
        """Its ``status``."""
        return self.content.get("status") or {}

    @property
    def uid(self) -> str:
        """What tells it from another pod of its name."""
        return str(self.content["metadata"].get("uid", ""))

    @property
    def restarts(self) -> int:
        """How often its containers were started again."""
        return sum(each.get("restartCount", 0) for each in self.status.get("containerStatuses") or ())

    @property
    def is_leaving(self) -> bool:
        """Whether it is being deleted."""
        return "deletionTimestamp" in self.content["metadata"]

    @property
    def is_ready(self) -> bool:
        """Running and Ready, and not about to go."""
        conditions = self.status.get("conditions") or ()
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
        return self.status.get("phase") == "Running" and ready and not self.is_leaving

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.status.get("phase") in ("Succeeded", "Failed")

    @property
    def containers(self) -> list[str]:
        """The names of its containers."""
        return [each["name"] for each in self.content["spec"]["containers"]]

    @property
    def started(self) -> str | None:
        """When the container that is Airflow was started last, ``None`` where it does not run."""
        try:
            name = self.container()
        except ValueError:
            return None
        states = {each["name"]: each.get("state") or {} for each in self.status.get("containerStatuses") or ()}
        running = states.get(name, {}).get("running")
        return None if running is None else str(running["startedAt"])

    def spec_of(self, container: str) -> Mapping[str, Any]:
        """A container's part of the spec. Raises ``KeyError``."""
        found: dict[str, Any] = {each["name"]: each for each in self.content["spec"]["containers"]}[container]
        return found

    def says(self, name: str) -> str:
        """What it says of its task, as ``dag_id``: an annotation has it as it is, a label as :func:`label_value`."""
        return self.annotations.get(name) or self.labels.get(name) or ""

    def describe(self) -> str:
        """Its name and what keeps it from being asked, as ``kubectl get pods`` words it."""
        return f"{self.name} ({self._state()})"

    def _state(self) -> str:
        if self.is_leaving:
            return "Terminating"
        status = self.status
        if self.is_over:
            return f"{status['phase']}: {status['reason']}" if status.get("reason") else str(status["phase"])
        states = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
        for state in states:
            if reason := (state.get("state", {}).get("waiting") or {}).get("reason"):
                return str(reason)
        for condition in status.get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"Pending: {condition.get('reason', 'not scheduled')}"
        phase = str(status.get("phase", "Unknown"))
        return "Running, not Ready" if phase == "Running" and not self.is_ready else phase

    def container(self, wanted: str | None = None) -> str:
        """The container that is Airflow. Raises ``ValueError``, which names them all, where that cannot be told."""
        names = self.containers
        if wanted is not None:
            if wanted not in names:
                raise ValueError(f"the pod {self.name} has no container {wanted!r}; it has {', '.join(names)}")
            return wanted
        for name in (self.labels.get("component"), f"airflow-{self.labels.get('component')}", "base"):
            if name in names:
                return str(name)
        if (default := self.annotations.get(_DEFAULT_CONTAINER)) in names:
            return str(default)
        left = [name for name in names if not any(part in name for part in _SIDECARS)]
        if len(left) != 1:
            raise ValueError(f"which container of the pod {self.name} is Airflow? It has {', '.join(names)}")
        return left[0]


def label_value(text: str) -> str:
    """What Airflow makes of an id that is put into a label.

    Source: ``make_safe_label_value`` in the provider cncf.kubernetes, ``pod_generator.py``.
    """
    safe = _NO_LABEL.sub("", text)
    if len(safe) <= _LABEL_MAX and safe == text:
        return safe
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:9]
    return f"{safe[: _LABEL_MAX - len(digest) - 1]}-{digest}"


def parsed(listed: Mapping[str, Any]) -> list[Pod]:
    """The pods of a list."""
    return [Pod.of(item) for item in listed.get("items", ())]


def components(pods: Iterable[Pod]) -> list[str]:
    """The components that are there, in their order."""
    there = {pod.component for pod in pods}
    return [component for component in COMPONENTS if component in there]


def releases(pods: Iterable[Pod]) -> list[str]:
    """The Helm releases of Airflow that are there."""
    return sorted({pod.release for pod in pods if pod.component is not None})


def newest_ready(pods: Sequence[Pod]) -> Pod | None:
    """The one to ask: of those that can be asked the newest, which has what was deployed last."""
    return max((pod for pod in pods if pod.is_ready), key=lambda pod: (pod.created, pod.name), default=None)
