"""Loki in a cluster: which of its Services answers queries, told by the labels that its Helm chart gives them.

Source: the chart ``loki`` (``production/helm/loki/templates`` of grafana/loki). Depending on how it is deployed, one Loki
is up to twenty Services: a gateway in front, the parts that read and that write, headless doubles, caches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from xcomctl.deployment.kubectl import Forbidden, Kubectl, KubectlError
from xcomctl.deployment.port_forward import PortForward, what_is_needed
from xcomctl.errors import UserError

LABEL = "app.kubernetes.io/name=loki"
#: What answers queries, the best first, by ``app.kubernetes.io/component``; a Loki that is one process has none. The gateway
#: knows all parts, and whatever login the others are to be kept behind.
_COMPONENTS = ("gateway", "query-frontend", "read", "", "single-binary", "querier")
#: Names and numbers of the port, the best first. 7946 is gossip, 9095 gRPC, 443 would be another host's certificate.
_PORT_NAMES = ("http", "http-metrics", "web")
_PORT_NUMBERS = (3100, 80, 8080)
_HEADLESS = "None"
#: What stands for the namespace of a Loki that nobody named: the one that was looked in is often Airflow's.
_SOMEWHERE = "LOKIS_NAMESPACE"
#: ``[NAMESPACE/]NAME[:PORT]``
_NAMED = re.compile(r"(?:(?P<namespace>[a-z0-9][a-z0-9-]*)/)?(?P<name>[a-z][a-z0-9-]*)(?::(?P<port>[0-9]{1,5}))?")


class SeveralLokis(UserError):
    """More than one Loki is in reach; ``names`` are the Services, as ``--service`` takes them."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(
            f"several Lokis are in reach: {', '.join(self.names)}", f"which one? --service {self.names[0]}"
        )


@dataclass(frozen=True)
class Service:
    """A Service, and the port of it that speaks HTTP. ``instance`` is the Helm release; one of it is one Loki."""

    namespace: str
    name: str
    port: int
    instance: str = ""
    component: str = ""
    headless: bool = False

    @property
    def shown(self) -> str:
        """As ``--service`` takes it."""
        return f"{self.namespace}/{self.name}"

    def forward(self, kubectl: Kubectl, say: Callable[[str], None]) -> PortForward:
        """A port-forward to it, not begun yet."""
        return PortForward(replace(kubectl, namespace=self.namespace), self.name, self.port, say=say)


def parse_name(text: str) -> tuple[str | None, str, int | None]:
    """Namespace, name and port of ``[NAMESPACE/]NAME[:PORT]``. Raises ``ValueError``."""
    found = _NAMED.fullmatch(text)
    if found is None or (found["port"] and not 0 < int(found["port"]) < 65_536):
        raise ValueError(f"{text!r} is not of the form [NAMESPACE/]NAME[:PORT]")
    return found["namespace"], found["name"], int(found["port"]) if found["port"] else None


def named(kubectl: Kubectl, name: str, port: int | None) -> Service:
    """The Service of that name in kubectl's namespace. Raises :class:`~xcomctl.deployment.kubectl.KubectlError`."""
    if port is not None:
        return Service(kubectl.namespace, name, port)
    try:
        thing = kubectl.get("service", name)
    except Forbidden as error:
        raise Forbidden(error.message, what_is_needed(kubectl.namespace), error.verb, error.resource) from error
    found = _service(thing)
    if found is None:
        ports = ", ".join(str(each.get("port")) for each in thing.get("spec", {}).get("ports", [])) or "none"
        raise KubectlError(
            f"the Service {name} in {kubectl.namespace} has no port that is known to be Loki's; it has {ports}",
            f"name it: --service {kubectl.namespace}/{name}:PORT",
        )
    return found


def find(kubectl: Kubectl, say: Callable[[str], None], *, everywhere: bool = True) -> Service:
    """The Service of the one Loki in reach: ``everywhere``, or where that may not be listed in kubectl's own namespace.

    Raises :class:`SeveralLokis`, and :class:`~xcomctl.deployment.kubectl.KubectlError` where there is none.
    """
    where = "in the cluster" if everywhere else f"in the namespace {kubectl.namespace}"
    listed = None
    if everywhere:
        try:
            listed = kubectl.get("services", "--all-namespaces", "-l", LABEL)
        except Forbidden:
            where = (
                f"in the namespace {kubectl.namespace}, the only one that was looked at: you may not list all services"
            )
    if listed is None:
        try:
            listed = kubectl.get("services", "-l", LABEL)
        except Forbidden as error:
            needed = what_is_needed(_SOMEWHERE if everywhere else kubectl.namespace)
            message = f"{error.message}, where a Loki was looked for"
            raise Forbidden(message, needed, error.verb, error.resource) from error
    chosen = choose(listed.get("items", []))
    if not chosen:
        raise KubectlError(
            f"there is no Service labelled {LABEL} that answers queries {where}",
            "say where Loki is: --url URL, or --service NAMESPACE/NAME; in xcomctl.toml: [deployments.NAME.loki]",
        )
    if len(chosen) > 1:
        raise SeveralLokis(each.shown for each in chosen)
    (found,) = chosen
    say(f"Loki is service/{found.name} in {found.namespace} (labelled {LABEL})")
    return found


def choose(things: Iterable[Mapping[str, Any]]) -> list[Service]:
    """The best Service of each Loki among these, by namespace and name."""
    best: dict[tuple[str, str], Service] = {}
    for thing in things:
        found = _service(thing)
        if found is not None and found.component in _COMPONENTS:
            which = (found.namespace, found.instance)
            best[which] = min(best.get(which, found), found, key=_rank)
    return sorted(best.values(), key=lambda each: each.shown)


def _rank(service: Service) -> tuple[bool, int, str]:
    return service.headless, _COMPONENTS.index(service.component), service.name


def _service(thing: Mapping[str, Any]) -> Service | None:
    """A Service with a port of Loki's; ``None`` for one without."""
    metadata, spec = thing.get("metadata", {}), thing.get("spec", {})
    labels = metadata.get("labels") or {}
    port = _port(spec.get("ports") or [])
    if port is None:
        return None
    return Service(
        namespace=metadata.get("namespace", ""),
        name=metadata.get("name", ""),
        port=port,
        instance=labels.get("app.kubernetes.io/instance", ""),
        component=labels.get("app.kubernetes.io/component", ""),
        headless=spec.get("clusterIP") == _HEADLESS,
    )


def _port(ports: Iterable[Mapping[str, Any]]) -> int | None:
    tcp = [each for each in ports if each.get("protocol", "TCP") == "TCP"]
    for key, wanted in (("name", _PORT_NAMES), ("port", _PORT_NUMBERS)):
        for value in wanted:
            for each in tcp:
                if each.get(key) == value:
                    return int(each["port"])
    return None
