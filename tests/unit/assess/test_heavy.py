"""Heavy work is done in a pod of its own: started once, used again, and gone afterwards, whatever happens (F43)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster, kinds
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, official, pod
from tests.support.kube.tools import tools
from xcomctl.assess import size
from xcomctl.assess.fleet import Fleet
from xcomctl.deployment.agent_errors import NoAirflow, NoStepPod
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.deployment.reach.kubernetes import KubernetesReach, Wanted
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model.size import SizeQuery


@pytest.fixture(autouse=True)
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {AIRFLOW: Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})}) as running:  # fmt: skip
        running.put(pod("s-0", official("scheduler"), [container("scheduler", {"OF": "scheduler"})]))
        running.put(pod("w-0", official("worker"), [container("worker", {"OF": "worker"})]))
        desk = tools(running, binaries.NEWER, tmp_path / "desk")
        desk.use(monkeypatch)
        yield running


def reach(component: str = "scheduler") -> KubernetesReach:
    return KubernetesReach(Wanted(Kubectl("airflow")), component).with_variables({"MORE": "than that"})


def asked(kube: Cluster) -> list[str]:
    return [name for name, _, _ in kube.execs]


def pods(kube: Cluster) -> set[str]:
    return {each["metadata"]["name"] for each in kube.all(kinds.POD)}


def gone(kube: Cluster) -> None:
    """Nothing but the components is left; a pod takes its time to go."""
    deadline = time.monotonic() + 60
    while pods(kube) != {"s-0", "w-0"}:
        assert time.monotonic() < deadline, pods(kube)
        time.sleep(0.05)


def name_of(session: AgentSession) -> str:
    return session.reach.name


def test_in_one_pod_like_the_component_s_for_all_of_it(kube: Cluster) -> None:
    with Fleet([reach()], lambda context, line: None) as fleet:
        assert fleet.with_database(name_of, heavy=True) == fleet.with_database(name_of, heavy=True) == "step pod"
        (name,) = pods(kube) - {"s-0", "w-0"}
        assert asked(kube) == [name]
        there = kube.get(kinds.POD, "airflow", name)
        assert there is not None and there["spec"]["activeDeadlineSeconds"] == 12 * 3600
        (its,) = there["spec"]["containers"]
        assert {"name": "OF", "value": "scheduler"} in its["env"]
        assert fleet.with_database(name_of) == "scheduler"
    assert asked(kube)[-1] == "s-0"
    gone(kube)


def test_it_is_gone_after_a_failure(kube: Cluster) -> None:
    def fail(session: AgentSession) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Fleet([reach()], lambda context, line: None) as fleet:
        fleet.with_database(fail, heavy=True)
    gone(kube)


def test_without_the_right_to_create_pods_nothing_is_done_in_the_scheduler(kube: Cluster) -> None:
    kube.access.denied.add(("create", "pods"))
    with (
        Fleet([reach(), reach("worker")], lambda context, line: None) as fleet,
        pytest.raises(NoStepPod, match="may not create pods"),
    ):
        fleet.with_database(name_of, heavy=True)
    assert asked(kube) == []


def test_a_context_that_is_no_pod_does_it_itself(kube: Cluster) -> None:
    with Fleet([LocalReach(Path(sys.executable), label="here")], lambda context, line: None) as fleet:
        assert fleet.with_database(name_of, heavy=True) == "here"
    assert asked(kube) == []


def test_sizes_are_never_measured_in_the_scheduler_s_container(kube: Cluster) -> None:
    with (
        Fleet([reach()], lambda context, line: None) as fleet,
        pytest.raises(NoAirflow),  # the image of these pods has none
    ):
        size.measure(fleet, SizeQuery(), lambda what: None)
    assert asked(kube) and "s-0" not in asked(kube)
    gone(kube)
