"""The context is a pod, found by the charts' labels and reached by ``kubectl exec -i``.

Which pod is looked up each time that a Python is started there: after a rollout the one of yesterday is gone. Nothing but
``get`` and ``list`` of pods and ``exec`` is asked of the cluster.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from xcomctl.deployment import kubectl as kube
from xcomctl.deployment.agent_errors import AgentDied, AgentError, NoPython, ReachFailed
from xcomctl.deployment.kubectl import Forbidden, Kubectl, KubectlError
from xcomctl.deployment.pods import COMPONENTS, Pod, components, newest_ready, parsed, releases
from xcomctl.deployment.reach.command import CommandReach
from xcomctl.errors import UserError

#: Pods that are named in a sentence.
_NAMED = 5
#: What kubectl ends with where the far side ended, and not the way to it.
_ENDED_THERE = "command terminated with exit code"
#: What it says of a stream that broke, beside which stream of its own that was.
_BROKEN = re.compile(r"^kubectl: (?:error reading from error stream: )?(?:next reader: )?(?=.*(?:read tcp|write tcp|websocket|EOF|lost connection))")  # fmt: skip
#: Told of which pod is asked.
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """Which pods, and how to get in. ``components``: empty for those that are there. ``release``: of which Helm release,
    where a namespace has several. ``container`` and ``python`` as they are called over there. ``every_pod``: one context
    per pod; else the newest of each component stands for all of it.
    """

    kubectl: Kubectl
    components: tuple[str, ...] = ()
    release: str | None = None
    container: str | None = None
    python: str = "python"
    every_pod: bool = False


@dataclass
class _Last:
    """The pod that was asked last: two copies of a reach share it, and it is told of once."""

    pod: Pod | None = None
    container: str = ""


@dataclass(frozen=True)
class KubernetesReach:
    """A component of an Airflow in a cluster, or, with ``only``, one pod of it."""

    wanted: Wanted
    component: str
    say: Say = lambda text: None
    only: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    _last: _Last = field(default_factory=_Last, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The component, or the pod: the same before and after a rollout as far as that can be."""
        return self.only or self.component

    @property
    def asked(self) -> Pod | None:
        """The pod that was asked last, as it was then; ``None`` before."""
        return self._last.pod

    @property
    def environment(self) -> None:
        """kubectl runs in the desk's own."""
        return None

    @property
    def working_directory(self) -> Path | None:
        """kubectl runs where the desk does."""
        return None

    def argv(self, program: Sequence[str]) -> list[str]:
        """``kubectl exec -i POD -c CONTAINER -- python …``, in a pod that is Running and Ready now.

        Raises :class:`ReachFailed` where none is, and :class:`KubectlError`.
        """
        pod = self.pod()
        try:
            container = pod.container(self.wanted.container)
        except ValueError as error:
            raise ReachFailed(f"{self.name}: {error}", "name it: -c CONTAINER") from error
        self._last.pod, self._last.container = pod, container
        return self._command().argv(program)

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The same way in with these on top."""
        return replace(self, variables={**self.variables, **variables})

    def describe_missing(self) -> tuple[str, str]:
        """There is no kubectl here."""
        return kube.missing()

    def explain_end(self, status: int, lines: Sequence[str], *, began: bool) -> AgentError | None:
        """No Python over there, what kubectl says for itself, or what became of the pod."""
        pod = self._last.pod
        if pod is None:
            return None
        if self._command().explain_end(status, lines, began=began) is not None:
            return NoPython(
                f"{self.name}: there is no {self.wanted.python!r} in the container {self._last.container} of {pod.name}",
                "name the interpreter that runs Airflow there (--python), or the container that has it (-c)",
            )
        said = kube.explained(lines, self.wanted.kubectl)
        if isinstance(said, Forbidden):
            return said
        if became := self._became(pod):
            return AgentDied(f"{self.name}: while it was asked, {became}", "ask again", status=status, log=tuple(lines))
        if (broke := _broke(said, status, lines, began)) is not None:
            return AgentDied(f"{self.name}: the connection to the pod {pod.name} broke: {broke}", "ask again", status=status, log=tuple(lines))  # fmt: skip
        return said

    def _command(self) -> CommandReach:
        assert self._last.pod is not None
        words = ("exec", "-i", self._last.pod.name, "-c", self._last.container, "--")
        prefix = tuple(self.wanted.kubectl.argv(*words))
        return CommandReach(prefix, self.wanted.python, self.name, through_shell=False, variables=self.variables)

    def pod(self) -> Pod:
        """The pod to ask now. Raises :class:`ReachFailed` where none is Running and Ready, and :class:`KubectlError`."""
        namespace = self.wanted.kubectl.namespace
        if self.only is not None:
            pod = Pod.of(self.wanted.kubectl.get("pod", self.only))
            if not pod.is_ready:
                raise ReachFailed(
                    f"the pod {pod.describe()} in {namespace} is not Running and Ready", _describe(self, pod)
                )
            return pod
        there = [pod for pod in _listed(self.wanted) if pod.component == self.component]
        chosen = newest_ready(there)
        if chosen is None:
            if not there:
                raise ReachFailed(f"{self.name}: there is no pod of this component in the namespace {namespace}", self.wanted.kubectl.shown("get", "pods", "--show-labels"))  # fmt: skip
            there.sort(key=lambda pod: pod.is_over)  # what was evicted long ago may lie about by the dozen
            named = ", ".join(pod.describe() for pod in there[:_NAMED]) + (" and more" if len(there) > _NAMED else "")
            raise ReachFailed(f"{self.name}: no pod in {namespace} is Running and Ready: {named}", _describe(self, there[0]))  # fmt: skip
        if self._last.pod is None or self._last.pod.name != chosen.name:
            count = sum(pod.is_ready for pod in there)
            self.say(f"{self.name}: asking {chosen.name}" + (f", the newest of {count}" if count > 1 else ""))
        return chosen

    def _became(self, pod: Pod) -> str:
        """What has happened to the pod that was asked; empty where it is as it was, or nobody knows."""
        try:
            now = Pod.of(self.wanted.kubectl.get("pod", pod.name))
        except kube.NotThere:
            return f"the pod {pod.name} was deleted"
        except KubectlError:
            return ""
        if now.uid != pod.uid:
            return f"the pod {pod.name} was replaced"
        if now.restarts > pod.restarts:
            return f"a container of the pod {now.describe()} was restarted"
        return "" if now.is_ready else f"the pod became {now.describe()}"


def _broke(said: KubectlError | None, status: int, lines: Sequence[str], began: bool) -> str | None:
    """How the way into the pod broke; ``None`` where it did not. Before the agent said hello, kubectl may have been refused."""
    if said is None:
        ended_there = status == 0 or any(_ENDED_THERE in line for line in lines)
        return "kubectl ended without a word" if began and not ended_there else None
    broken = _BROKEN.match(said.message)
    if broken is None:
        return said.message if began else None
    return said.message[broken.end() :]


def find(wanted: Wanted, say: Say) -> list[KubernetesReach]:
    """The way into every component, or with ``every_pod`` into every pod that is not over.

    The cluster is asked only for what was not said. Raises :class:`KubectlError`, and :class:`UserError` where there is no
    Airflow, or more than one.
    """
    if wanted.components and wanted.release is not None and not wanted.every_pod:
        return [KubernetesReach(wanted, component, say) for component in wanted.components]
    there = [pod for pod in _listed(wanted) if pod.component is not None and not pod.is_over]
    namespace = wanted.kubectl.namespace
    if len(found := releases(there)) > 1:
        raise UserError(f"the namespace {namespace} has several releases of Airflow: {', '.join(found)}", f"name one: --release {found[0]}")  # fmt: skip
    named = wanted.components or components(there)
    if not named:
        raise UserError(
            f"the namespace {namespace} has no pods of an Airflow: none says component={'|'.join(COMPONENTS)} beside "
            "tier=airflow or app=airflow",
            wanted.kubectl.shown("get", "pods", "--show-labels"),
        )
    if not wanted.every_pod:
        return [KubernetesReach(wanted, component, say) for component in named]

    def names(component: str) -> list[str | None]:
        """Of its pods; a component without any is a context all the same, which says so."""
        return [pod.name for pod in there if pod.component == component] or [None]

    return [KubernetesReach(wanted, component, say, only) for component in named for only in names(component)]


def release(wanted: Wanted) -> str:
    """The Helm release that is meant. Raises :class:`KubectlError`, and :class:`UserError` where that cannot be told."""
    if wanted.release is not None:
        return wanted.release
    found = releases([pod for pod in _listed(wanted) if pod.component is not None])
    if len(found) != 1 or not found[0]:
        said = f"several: {', '.join(found)}" if len(found) > 1 else "not told by the labels of its pods"
        raise UserError(f"the Helm release in the namespace {wanted.kubectl.namespace} is {said}", "--release NAME")
    return found[0]


def _listed(wanted: Wanted) -> list[Pod]:
    selector = "component" if wanted.release is None else f"component,release={wanted.release}"
    return parsed(wanted.kubectl.get("pods", "-l", selector))


def _describe(reach: KubernetesReach, pod: Pod) -> str:
    return reach.wanted.kubectl.shown("describe", "pod", pod.name)
