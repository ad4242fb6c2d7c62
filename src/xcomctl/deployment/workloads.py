"""What a cluster says of the workloads that make Airflow's pods: how far a rollout is, and who else writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from xcomctl.deployment.kubectl import Kubectl

#: Kinds whose controllers make pods of one template, and roll a new one out.
KINDS = ("deployments.apps", "statefulsets.apps")
#: By what a controller of GitOps marks what is its own, and what has it leave that alone for a while.
#: Sources: Argo CD, "Resource Tracking"; Flux, labels of helm-controller and kustomize-controller.
_ARGO = ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance")
_FLUX_RELEASE = "helm.toolkit.fluxcd.io"
_FLUX_KUSTOMIZATION = "kustomize.toolkit.fluxcd.io"
#: By what Argo CD up to 2.x marks it unless it is told otherwise, and what only Helm itself sets: both are common labels.
_ARGO_BY_DEFAULT = "app.kubernetes.io/instance"
_HELM_RELEASE = "meta.helm.sh/release-name"


@dataclass(frozen=True)
class Owner:
    """Who keeps a release as some repository says, and so undoes what was done by hand. ``hold`` has it wait."""

    program: str
    name: str
    hold: str

    def __str__(self) -> str:
        """Program and name for a sentence."""
        return f"{self.program} ({self.name})"


@dataclass(frozen=True)
class Workload:
    """A Deployment or a StatefulSet."""

    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Kind and name, as ``kubectl rollout status`` takes them."""
        return f"{self.content['kind'].lower()}/{self.content['metadata']['name']}"

    @property
    def component(self) -> str:
        """The component of Airflow, empty for what is not Airflow's by the charts' labels."""
        labels = self.content["metadata"].get("labels") or {}
        of_airflow = labels.get("tier") == "airflow" or labels.get("app") == "airflow"
        return str(labels.get("component", "")) if of_airflow else ""

    @property
    def unfinished(self) -> str:
        """What its rollout still waits for, empty when it is over or nobody can tell.

        Source: ``kubectl``, ``pkg/polymorphichelpers/rollout_status.go``; a StatefulSet with ``OnDelete`` rolls nothing out.
        """
        metadata, spec, status = (self.content.get(key) or {} for key in ("metadata", "spec", "status"))
        if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
            return ""
        if int(metadata.get("generation") or 0) > int(status.get("observedGeneration") or 0):
            return "its controller has not seen the change yet"
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        there, updated, ready, available = (int(status.get(count) or 0) for count in counts)
        wanted = int(spec.get("replicas", 1))
        if self.content["kind"] == "StatefulSet":
            if ready < wanted:
                return f"{ready} of {wanted} pods are ready"
            kept = int(((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)
            if kept:
                return f"{updated} of {wanted - kept} pods are new" if updated < wanted - kept else ""
            is_over = status.get("updateRevision") == status.get("currentRevision")
            return "" if is_over else f"{updated} of {wanted} pods are new"
        if updated < wanted:
            return f"{updated} of {wanted} pods are new"
        if there > updated:
            return f"{there - updated} old pods are still there"
        return f"{available} of {wanted} pods are available" if available < updated else ""

    @property
    def owner(self) -> Owner | None:
        """Who keeps it as a repository says, ``None`` for nobody that is known."""
        metadata = self.content["metadata"]
        marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
        for mark in _ARGO:
            if mark in marks:
                # An application outside of Argo CD's own namespace is marked as NAMESPACE_NAME.
                name = str(marks[mark]).partition(":")[0].replace("_", "/", 1)
                return Owner("Argo CD", name, f"argocd app set {name} --sync-policy none")
        for group, kind in ((_FLUX_RELEASE, "helmrelease"), (_FLUX_KUSTOMIZATION, "kustomization")):
            if f"{group}/name" in marks:
                name, place = marks[f"{group}/name"], marks.get(f"{group}/namespace", metadata.get("namespace", ""))
                return Owner("Flux", f"{kind} {name}", f"flux suspend {kind} {name} -n {place}")
        return None


def workloads(kubectl: Kubectl, release: str | None) -> list[Workload]:
    """Those of a release, or of every one in the namespace, that are components of Airflow.

    Raises :class:`~xcomctl.deployment.kubectl.KubectlError`.
    """
    selector = "component" if release is None else f"component,release={release}"
    listed = kubectl.get(",".join(KINDS), "-l", selector)
    return [Workload(item) for item in listed.get("items", ())]


def likely_owner(there: Iterable[Workload]) -> Owner | None:
    """Argo CD, where a release that Helm does not know bears the label that it sets by default."""
    for each in there:
        metadata = each.content["metadata"]
        name = (metadata.get("labels") or {}).get(_ARGO_BY_DEFAULT)
        if name and _HELM_RELEASE not in (metadata.get("annotations") or {}):
            return Owner("probably Argo CD", name, f"argocd app set {name} --sync-policy none")
    return None


def unfinished(there: Iterable[Workload], components: Iterable[str]) -> list[tuple[str, str]]:
    """Those of these components whose rollout is under way, and what it waits for."""
    wanted = set(components)
    return [(each.name, f"is being rolled out: {each.unfinished}") for each in there if each.component in wanted and each.unfinished]  # fmt: skip


def owner(there: Iterable[Workload]) -> Owner | None:
    """Who keeps these as a repository says."""
    return next((each.owner for each in there if each.owner is not None), None)
