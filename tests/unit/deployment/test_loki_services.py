"""Which Service of a cluster is Loki's, among those that its chart makes, in each of its ways to be deployed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.kube import binaries, cluster, samples
from tests.support.kube.cluster import Cluster
from tests.support.kube.tools import tools
from xcomctl.deployment.kubectl import Forbidden, Kubectl, KubectlError, NotThere
from xcomctl.deployment.loki_services import SeveralLokis, choose, find, named, parse_name


def service(
    name: str, component: str = "", *, headless: bool = False, release: str = "loki", namespace: str = "monitoring",
    ports: tuple[tuple[str, int], ...] = (("http-metrics", 3100), ("grpc", 9095)),
) -> dict[str, Any]:  # fmt: skip
    labels = {"app.kubernetes.io/name": "loki", "app.kubernetes.io/instance": release}
    labels |= {"app.kubernetes.io/component": component} if component else {}
    listed = [{"name": name, "port": port, "protocol": "TCP"} for name, port in ports]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"clusterIP": "None" if headless else "10.0.0.1", "ports": listed},
    }


MEMBERLIST = service("loki-memberlist", headless=True, ports=(("tcp", 7946),))
CACHE = service("loki-chunks-cache", "memcached-chunks-cache", headless=True, ports=(("client", 11211), ("http-metrics", 9150)))  # fmt: skip
CANARY = service("loki-canary", "canary", ports=(("http-metrics", 3500),))
GATEWAY = service("loki-gateway", "gateway", ports=(("http", 80),))
SINGLE = [service("loki-headless", headless=True), service("loki"), MEMBERLIST, CACHE, CANARY]
SCALABLE = [
    service("loki-backend", "backend"), service("loki-backend-headless", "backend", headless=True), MEMBERLIST, CACHE,
    service("loki-read", "read"), service("loki-read-headless", "read", headless=True), service("loki-write", "write"),
]  # fmt: skip
MICROSERVICES = [
    service(f"loki-{name}", name, headless=name == "ingester")
    for name in (
        "distributor",
        "ingester",
        "querier",
        "query-frontend",
        "query-scheduler",
        "index-gateway",
        "compactor",
    )
]


@pytest.mark.parametrize(
    ("things", "name", "port"),
    [
        (SINGLE, "loki", 3100),
        ([*SINGLE, GATEWAY], "loki-gateway", 80),
        (SCALABLE, "loki-read", 3100),
        ([GATEWAY, *SCALABLE], "loki-gateway", 80),
        (MICROSERVICES, "loki-query-frontend", 3100),
        ([service("loki-headless", headless=True)], "loki-headless", 3100),
        ([service("mine", ports=(("metrics", 9090), ("api", 8080)))], "mine", 8080),
    ],
)
def test_the_one_that_answers_queries(things: list[dict[str, Any]], name: str, port: int) -> None:
    for order in (things, things[::-1]):
        (found,) = choose(order)
        assert (found.name, found.port, found.shown) == (name, port, f"monitoring/{name}")


def test_none_of_these_answers() -> None:
    assert (
        choose([MEMBERLIST, CACHE, CANARY, service("loki-write", "write"), service("x", ports=(("grpc", 9095),))]) == []
    )
    assert choose([{"metadata": {"name": "bare"}}]) == []


def test_two_releases_and_two_namespaces_are_several() -> None:
    things = [*SINGLE, service("other", release="other"), service("loki", namespace="apps")]
    assert [each.shown for each in choose(things)] == ["apps/loki", "monitoring/loki", "monitoring/other"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("loki", (None, "loki", None)),
        ("monitoring/loki-gateway:80", ("monitoring", "loki-gateway", 80)),
        ("loki:3100", (None, "loki", 3100)),
        *(
            (text, None)
            for text in ("", "a/b/c", "Loki", "loki:", "loki:0", "loki:99999", "svc loki", "-n", "http://loki")
        ),
    ],
)
def test_names(text: str, found: tuple[str | None, str, int | None] | None) -> None:
    if found is None:
        with pytest.raises(ValueError, match="is not of the form"):
            parse_name(text)
    else:
        assert parse_name(text) == found


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {}) as running:
        found = tools(running, binaries.NEWER, tmp_path / "desk")
        found.use(monkeypatch)
        yield running


def test_a_cluster_is_asked(kube: Cluster) -> None:
    airflow = Kubectl("airflow")
    with pytest.raises(KubectlError, match="no Service labelled") as none:
        find(airflow, lambda text: None)
    assert "--url" in none.value.hint and none.value.message.endswith("in the cluster")
    kube.put(
        *SINGLE, {**service("stranger"), "metadata": {"name": "stranger", "namespace": "monitoring", "labels": {}}}
    )
    said: list[str] = []
    assert find(airflow, said.append).shown == "monitoring/loki"
    assert said == ["Loki is service/loki in monitoring (labelled app.kubernetes.io/name=loki)"]
    kube.put(service("loki", namespace="airflow", release="second"))
    with pytest.raises(SeveralLokis) as several:
        find(airflow, said.append)
    assert find(airflow, said.append, everywhere=False).shown == "airflow/loki"
    assert several.value.names == ("airflow/loki", "monitoring/loki") and "--service airflow/loki" in several.value.hint


def test_who_may_not_list_all_looks_in_his_own_namespace(kube: Cluster) -> None:
    kube.put(*SINGLE, service("loki", namespace="airflow", release="second"))
    kube.access.namespaces = {"airflow"}
    assert find(Kubectl("airflow"), lambda text: None).shown == "airflow/loki"
    with pytest.raises(Forbidden) as caught:
        find(Kubectl("apps"), lambda text: None)
    assert "in the namespace apps" in caught.value.message
    assert "xcomctl rbac --logs -n LOKIS_NAMESPACE" in caught.value.hint  # where it is, nobody has said
    for ask in (
        lambda: find(Kubectl("monitoring"), print, everywhere=False),
        lambda: named(Kubectl("monitoring"), "x", None),
    ):
        with pytest.raises(Forbidden) as caught:
            ask()
        assert "xcomctl rbac --logs -n monitoring" in caught.value.hint


def test_one_that_is_named(kube: Cluster) -> None:
    kube.put(*SINGLE, service("odd", ports=(("a", 1), ("b", 2))))
    monitoring = Kubectl("monitoring")
    assert named(monitoring, "loki", None).port == 3100
    assert named(monitoring, "anything", 99).port == 99
    with pytest.raises(NotThere):
        named(monitoring, "nowhere", None)
    with pytest.raises(KubectlError, match="it has 1, 2") as caught:
        named(monitoring, "odd", None)
    assert caught.value.hint == "name it: --service monitoring/odd:PORT"


def test_the_samples_are_labelled_as_the_chart_does_it() -> None:
    things = samples.loki(3100, "loki-gateway", component="gateway")
    assert [each.shown for each in choose(things[1:])] == ["monitoring/loki-gateway"]
