"""What xcomctl asks of a cluster's RBAC, and no more: the rights, and the Role that grants them.

``helm`` is not in it: it runs with the rights of whoever calls it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

#: A verb and a resource, such as ``create`` and ``pods/exec``.
Right = tuple[str, str]

READ, CHANGE, LOGS = "xcomctl-read", "xcomctl-change", "xcomctl-logs"


@dataclass(frozen=True)
class Rule:
    """One rule of a Role. ``why`` is what it is for."""

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str

    @property
    def rights(self) -> tuple[Right, ...]:
        """Each verb with the resource, as ``kubectl auth can-i`` takes it."""
        named = f"{self.resource}.{self.group}" if self.group else self.resource
        return tuple((verb, named) for verb in self.verbs)


@dataclass(frozen=True)
class Subject:
    """Who gets the Role: ``User``, ``Group``, or ``ServiceAccount`` in ``namespace``."""

    kind: str
    name: str
    namespace: str | None = None


_READS = (
    Rule("", "pods", ("get", "list"), "find the pods of Airflow, and tell why one cannot be asked"),
    # Who speaks WebSocket, as kubectl does from 1.31, has to `get` an exec, and from Kubernetes 1.35 to `create` it as well;
    # where it may not, kubectl falls back to SPDY, which `create` alone allows and some proxies break.
    Rule("", "pods/exec", ("create", "get"), "start a Python in one of them"),
    Rule("apps", "deployments", ("list",), "see how far a rollout is, and who else writes a release"),
    Rule("apps", "statefulsets", ("list",), "the same of workers and triggerers that keep a volume"),
)
_CHANGES = (Rule("", "pods", ("create", "delete"), "short-lived pods of its own, which are removed again"),)
#: In the namespace of Loki, which is seldom Airflow's.
_LOGS = (
    Rule("", "services", ("get", "list"), "find Loki's Service"),
    Rule("", "pods", ("get", "list"), "find a pod behind it"),
    Rule("", "pods/portforward", ("create", "get"), "forward a port to it"),
)


def logs_rules() -> tuple[Rule, ...]:
    """What ``xcomctl logs`` needs where Loki is, unless it is given an address."""
    return _LOGS


def rules(*, change: bool) -> tuple[Rule, ...]:
    """What commands that only read need, and with ``change`` what the others need on top."""
    return (*_READS, *(_CHANGES if change else ()))


def is_read(right: Right) -> bool:
    """Whether commands that only read need this right."""
    return any(right in rule.rights for rule in _READS)


def manifest(*, change: bool, namespace: str | None, subject: Subject | None, logs: bool = False) -> str:
    """The Role, and the RoleBinding where somebody is named, as YAML for ``kubectl apply -f -``. ``logs``: of Loki's
    namespace, and of nothing else."""
    name = LOGS if logs else CHANGE if change else READ
    place = () if namespace is None else (f"  namespace: {json.dumps(namespace)}",)
    lines = ["apiVersion: rbac.authorization.k8s.io/v1", "kind: Role", "metadata:", f"  name: {name}", *place, "rules:"]
    for rule in _LOGS if logs else rules(change=change):
        lines += [f"  # {rule.why}", f'  - apiGroups: ["{rule.group}"]', f"    resources: [{rule.resource}]", f"    verbs: {_listed(rule.verbs)}"]  # fmt: skip
    if subject is None:
        return "\n".join(
            [*lines, f"# who gets it: --user, --group or --serviceaccount adds the RoleBinding of {name}", ""]
        )
    lines += ["---", "apiVersion: rbac.authorization.k8s.io/v1", "kind: RoleBinding", "metadata:", f"  name: {name}", *place]  # fmt: skip
    lines += ["roleRef:", "  apiGroup: rbac.authorization.k8s.io", "  kind: Role", f"  name: {name}", "subjects:"]
    lines += [f"  - kind: {subject.kind}", f"    name: {json.dumps(subject.name)}"]
    if subject.kind == "ServiceAccount":
        lines += [f"    namespace: {json.dumps(subject.namespace)}"]
    else:
        lines += ["    apiGroup: rbac.authorization.k8s.io"]
    return "\n".join([*lines, ""])


def _listed(words: Sequence[str]) -> str:
    return f"[{', '.join(words)}]"
