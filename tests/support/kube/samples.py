"""Objects as a cluster with Airflow has them, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.kube.kinds import Object

#: The image that the sample pods are made of.
AIRFLOW = "apache/airflow:sample"


def container(name: str, env: Mapping[str, str] | None = None, **more: Any) -> Object:
    """A container of the image :data:`AIRFLOW`, unless ``more`` says otherwise."""
    listed = [{"name": key, "value": value} for key, value in (env or {}).items()]
    return {"name": name, "image": AIRFLOW, "env": listed, **more}


def pod(
    name: str,
    labels: Mapping[str, str],
    containers: Sequence[Object],
    namespace: str = "airflow",
    **spec: Any,
) -> Object:
    """A pod by itself."""
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": list(containers), **spec}}


def deployment(
    name: str,
    labels: Mapping[str, str],
    containers: Sequence[Object],
    namespace: str = "airflow",
    replicas: int = 1,
    kind: str = "Deployment",
) -> Object:
    """A Deployment or a StatefulSet."""
    template = {"metadata": {"labels": dict(labels)}, "spec": {"containers": list(containers)}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {"replicas": replicas, "selector": {"matchLabels": dict(labels)}, "template": template},
    }


def loki(
    port: int, name: str = "loki", namespace: str = "monitoring", component: str = "", **spec: Any
) -> list[Object]:
    """A Loki that listens on this port of the machine: its pod, and the Service in front, labelled as its chart does it."""
    labels = {"app.kubernetes.io/name": "loki", "app.kubernetes.io/instance": name.partition("-")[0]}
    labels |= {"app.kubernetes.io/component": component} if component else {}
    ports = [{"name": "http-metrics", "port": 3100, "targetPort": port, "protocol": "TCP"}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"clusterIP": "10.0.0.7", "ports": ports, "selector": {"one": name}, **spec},
    }
    return [pod(f"{name}-0", {**labels, "one": name}, [container("loki")], namespace), service]


def official(component: str, release: str = "airflow") -> dict[str, str]:
    """The labels that the official chart gives a component's pods."""
    return {"tier": "airflow", "component": component, "release": release}


def community(component: str, release: str = "airflow") -> dict[str, str]:
    """The labels that the community chart gives a component's pods."""
    return {"app": "airflow", "component": component, "release": release}
