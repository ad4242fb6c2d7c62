"""How far rollouts are, by what a cluster says of Deployments and StatefulSets: the same as ``kubectl rollout status``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, deployment, official
from tests.support.kube.tools import Tools, tools
from tests.support.waiting import until
from xcomctl.change import pods_seen
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.deployment.reach.kubernetes import KubernetesReach, Wanted
from xcomctl.deployment.rollouts import UNSEEN, rollouts
from xcomctl.deployment.workloads import Workload, likely_owner, owner, unfinished, workloads

KUBECTL = Kubectl("airflow")


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {AIRFLOW: Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})}) as running:  # fmt: skip
        for component, kind in (("scheduler", "Deployment"), ("worker", "StatefulSet"), ("web", "Deployment")):
            running.put(deployment(component, official(component), [container(component)], replicas=2, kind=kind))
        yield running


@pytest.fixture
def desk(kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    found = tools(kube, binaries.NEWER, tmp_path / "desk")
    found.use(monkeypatch)
    return found


def under_way() -> dict[str, str]:
    return dict(unfinished(workloads(KUBECTL, "airflow"), ("scheduler", "worker")))


def test_a_rollout_that_does_not_get_on_is_named_and_one_that_is_over_is_not(kube: Cluster, desk: Tools) -> None:
    until(lambda: not under_way(), "it never came up")
    kube.hold_rollouts()
    for name in ("deploy/scheduler", "sts/worker", "deploy/web"):
        assert desk.kubectl("-n", "airflow", "set", "env", name, "A=b").returncode == 0
    until(lambda: len(under_way()) == 2, "nothing is under way")
    assert under_way() == {
        "deployment/scheduler": "is being rolled out: 0 of 2 pods are new",
        "statefulset/worker": "is being rolled out: 0 of 2 pods are new",
    }
    kube.hold_rollouts(False)
    until(lambda: not under_way(), "it is never over")
    for name in ("deploy/scheduler", "sts/worker"):
        assert desk.kubectl("-n", "airflow", "rollout", "status", name, "--watch=false").returncode == 0


def test_the_barrier_and_the_confirmation_have_it_and_what_rbac_hides(kube: Cluster, desk: Tools) -> None:
    scheduler = KubernetesReach(Wanted(KUBECTL), "scheduler")
    until(lambda: not rollouts([scheduler]), "it never came up")
    kube.access.denied.add(("list", "deployments"))
    ((name, problem),) = rollouts([scheduler])
    assert name == "the rollouts in the namespace airflow"
    assert problem.startswith(f"{UNSEEN}: ") and "may not list deployments" in problem
    seen = pods_seen.look([scheduler])
    assert seen is not None and seen.rollouts == (f"{name} {problem}",) and not seen.failures


@pytest.mark.parametrize(
    ("spec", "status", "said"),
    [
        ({}, {"observedGeneration": 1}, "its controller has not seen the change yet"),
        ({"replicas": 2}, {"updatedReplicas": 2, "replicas": 3, "availableReplicas": 3}, "1 old pods are still there"),
        ({"replicas": 2}, {"updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, "1 of 2 pods are available"),
        ({"replicas": 0}, {}, ""),
    ],
)
def test_what_a_deployment_waits_for(spec: dict[str, int], status: dict[str, int], said: str) -> None:
    content = {"kind": "Deployment", "metadata": {"name": "x", "generation": 2}, "spec": spec, "status": {"observedGeneration": 2, **status}}  # fmt: skip
    assert Workload(content).unfinished == said


def test_a_stateful_set_that_is_updated_by_hand_rolls_nothing_out() -> None:
    content = {"kind": "StatefulSet", "metadata": {"name": "x", "generation": 2}, "spec": {"updateStrategy": {"type": "OnDelete"}}, "status": {}}  # fmt: skip
    assert Workload(content).unfinished == ""


@pytest.mark.parametrize(("updated", "said"), [(1, "1 of 2 pods are new"), (2, "")])
def test_a_partition_keeps_the_first_pods_as_they_are(updated: int, said: str) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    content = {"kind": "StatefulSet", "metadata": {"name": "x", "generation": 2}, "spec": {"replicas": 3, "updateStrategy": strategy}, "status": {"observedGeneration": 2, "readyReplicas": 3, "updatedReplicas": updated, "updateRevision": "new", "currentRevision": "old"}}  # fmt: skip
    assert Workload(content).unfinished == said


def marked(labels: dict[str, str], **annotations: str) -> Workload:
    metadata = {"name": "x", "generation": 2, "labels": labels, "annotations": annotations}
    return Workload({"kind": "Deployment", "metadata": metadata, "spec": {}, "status": {"observedGeneration": 1}})


def test_a_worker_of_something_else_is_none_of_airflow_s() -> None:
    labels = {"component": "worker"}
    assert list(unfinished([marked({**labels, "app": "shop"})], ["worker"])) == []
    for ours in ({"tier": "airflow"}, {"app": "airflow"}):
        assert list(unfinished([marked({**labels, **ours})], ["worker"]))


def test_argo_marks_what_is_its_own_by_a_common_label_unless_it_is_told_otherwise() -> None:
    by_default = marked({"app.kubernetes.io/instance": "prod"})
    assert owner([by_default]) is None and str(likely_owner([by_default])) == "probably Argo CD (prod)"
    of_helm = Workload({**by_default.content, "metadata": {**by_default.content["metadata"], "annotations": {"meta.helm.sh/release-name": "prod"}}})  # fmt: skip
    assert likely_owner([of_helm]) is None
    elsewhere = Workload({**by_default.content, "metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "team_prod:apps/Deployment:a/b"}}})  # fmt: skip
    found = owner([elsewhere])
    assert found is not None and found.hold == "argocd app set team/prod --sync-policy none"
