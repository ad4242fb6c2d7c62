"""The kinds that the API server serves. What is not here is unknown to it, as to a cluster without that API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Any object of the API, as JSON.
Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of object."""

    group: str
    version: str
    plural: str
    name: str
    short: tuple[str, ...] = ()
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``GROUP/VERSION``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


POD = Kind("", "v1", "pods", "Pod", ("po",))
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap", ("cm",))
SECRET = Kind("", "v1", "secrets", "Secret")
NAMESPACE = Kind("", "v1", "namespaces", "Namespace", ("ns",), namespaced=False)
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment", ("deploy",))
STATEFUL_SET = Kind("apps", "v1", "statefulsets", "StatefulSet", ("sts",))
REPLICA_SET = Kind("apps", "v1", "replicasets", "ReplicaSet", ("rs",))

KINDS = (
    POD,
    CONFIG_MAP,
    SECRET,
    NAMESPACE,
    Kind("", "v1", "services", "Service", ("svc",)),
    Kind("", "v1", "serviceaccounts", "ServiceAccount", ("sa",)),
    Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", ("pvc",)),
    Kind("", "v1", "events", "Event", ("ev",)),
    DEPLOYMENT,
    STATEFUL_SET,
    REPLICA_SET,
    Kind("batch", "v1", "jobs", "Job"),
    Kind("batch", "v1", "cronjobs", "CronJob", ("cj",)),
    Kind("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
)


def by_plural(group: str, version: str, plural: str) -> Kind | None:
    """The kind of a path."""
    return next((kind for kind in KINDS if (kind.group, kind.version, kind.plural) == (group, version, plural)), None)


def of(thing: Object) -> Kind:
    """The kind of an object. Raises ``KeyError`` for one that is not served."""
    for kind in KINDS:
        if (kind.api_version, kind.name) == (thing["apiVersion"], thing["kind"]):
            return kind
    raise KeyError(f"{thing['apiVersion']} {thing['kind']}")
