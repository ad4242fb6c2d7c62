"""Reaching pods with the real kubectl: which are found, which one is asked, and what is said when it does not work."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, community, container, deployment, official, pod
from tests.support.kube.tools import Tools, tools
from tests.support.waiting import until
from xcomctl.deployment import kubectl as kube_module
from xcomctl.deployment.agent_errors import AgentDied, NoPython, ReachFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.kubectl import Forbidden, Kubectl, KubectlError, NotThere
from xcomctl.deployment.pods import Pod
from xcomctl.deployment.reach.kubernetes import KubernetesReach, Wanted, find
from xcomctl.errors import UserError

KUBECTL = Kubectl("airflow")
WANTED = Wanted(KUBECTL)
CRASHING = {"command": ["sh", "-c", "exit 1"]}


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Cluster]:
    image = Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    with cluster.running(tmp_path / "cluster", {AIRFLOW: image}) as running:
        yield running


def desk_of(kube: Cluster, version: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    desk = tools(kube, version, folder)
    desk.use(monkeypatch)
    return desk


@pytest.fixture(autouse=True)
def desk(kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    return desk_of(kube, binaries.NEWER, tmp_path / "desk", monkeypatch)


def asked(kube: Cluster) -> list[tuple[str, str]]:
    return [(name, inside) for name, inside, _ in kube.execs]


@pytest.mark.parametrize("version", binaries.VERSIONS)
def test_components_are_found_by_the_charts_labels(
    kube: Cluster, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk_of(kube, version, tmp_path / version, monkeypatch)
    sidecars = [container("git-sync"), container("istio-proxy"), container("scheduler-log-groomer")]
    task = {**official("worker"), "kubernetes_executor": "True", "dag_id": "d"}
    kube.put(
        pod("sched-a", official("scheduler"), [*sidecars, container("scheduler")]),
        pod("sched-b", official("scheduler"), [container("scheduler", **CRASHING)]),
        pod("work-0", official("worker"), [container("worker")]),
        pod("task-1", task, [container("base")]),
        pod("redis-0", official("redis"), [container("redis")]),
        pod("other", {"component": "scheduler"}, [container("scheduler")]),
    )
    kube.wait_for("CrashLoopBackOff", "sched-b")
    said: list[str] = []
    found = find(WANTED, said.append)
    assert [reach.name for reach in found] == ["scheduler", "worker"]
    for reach in found:
        with AgentSession(reach) as session:
            assert session.hello["executable"].startswith(str(Path(sys.executable).parent))
    assert asked(kube) == [("sched-a", "scheduler"), ("work-0", "worker")]
    assert said == ["scheduler: asking sched-a", "worker: asking work-0"]
    assert not kube.processes("airflow", "sched-a")
    others = {(method, path.partition("?")[0].rpartition("/")[2]) for method, path in kube.requests if "/pods" in path}
    assert others == {
        ("GET", "pods"),
        ("GET", "exec"),
        ("GET", "sched-a"),
        ("GET", "work-0"),
    }  # kubectl exec gets it too


def test_the_community_chart_and_variables_on_top(kube: Cluster) -> None:
    kube.put(
        pod("web", community("web"), [container("dags-git-sync"), container("airflow-web")]),
        pod("sched", community("scheduler"), [container("airflow-scheduler", {"A": "old", "B": "kept"})]),
    )
    scheduler, web = find(WANTED, lambda text: None)
    assert (scheduler.name, web.name) == ("scheduler", "web")
    with AgentSession(web):
        pass
    with AgentSession(scheduler.with_variables({"A": "two words"})) as session:
        environment = Path(f"/proc/{session.hello['pid']}/environ").read_bytes().split(b"\0")
    assert {b"A=two words", b"B=kept"} <= set(environment)
    assert asked(kube) == [("web", "airflow-web"), ("sched", "airflow-scheduler")]


@pytest.mark.parametrize(
    ("component", "names", "wanted", "chosen"),
    [
        ("worker", ["worker-log-groomer", "worker"], None, "worker"),
        ("worker", ["base", "istio-proxy"], None, "base"),
        ("scheduler", ["mine", "git-sync", "linkerd-proxy"], None, "mine"),
        ("scheduler", ["scheduler", "mine"], "mine", "mine"),
        ("scheduler", ["mine", "yours"], None, None),
        ("scheduler", ["scheduler"], "mine", None),
    ],
)
def test_which_container_is_airflow(component: str, names: list[str], wanted: str | None, chosen: str | None) -> None:
    made = Pod.of(pod("p", official(component), [container(name) for name in names]))
    if chosen is None:
        with pytest.raises(ValueError, match=", ".join(names)):
            made.container(wanted)
    else:
        assert made.container(wanted) == chosen


def test_no_pod_that_can_be_asked(kube: Cluster) -> None:
    kube.put(
        pod("a", official("scheduler"), [container("scheduler", **CRASHING)]),
        pod("b", official("scheduler"), [container("scheduler")], nodeSelector={"disk": "fast"}),
        pod("c", official("scheduler"), [container("scheduler", readinessProbe={"exec": {"command": ["false"]}})]),
        pod("w", official("worker"), [container("worker")]),
    )
    kube.wait_for("CrashLoopBackOff", "a")
    reaches = find(WANTED, lambda text: None)
    with pytest.raises(ReachFailed) as caught:
        AgentSession(reaches[0]).start()
    assert caught.value.message == (
        "scheduler: no pod in airflow is Running and Ready: a (CrashLoopBackOff), b (Pending: Unschedulable), "
        "c (Running, not Ready)"
    )
    assert caught.value.hint == "kubectl -n airflow describe pod a"
    (missing,) = find(Wanted(KUBECTL, ("triggerer",)), lambda text: None)
    with pytest.raises(ReachFailed, match="triggerer: there is no pod of this component in the namespace airflow"):
        AgentSession(missing).start()
    for wrong, why in ((Wanted(KUBECTL, container="none"), "has no container 'none'; it has worker"), (Wanted(KUBECTL, python="python-of-old"), "no 'python-of-old' in the container worker of w")):  # fmt: skip
        with pytest.raises((ReachFailed, NoPython), match=why):
            AgentSession(find(wrong, lambda text: None)[1]).start()


def test_several_releases_are_told_apart(kube: Cluster) -> None:
    kube.put(*(pod(f"{name}-s", official("scheduler", name), [container("scheduler")]) for name in ("blue", "green")))
    with pytest.raises(UserError, match="several releases of Airflow: blue, green") as caught:
        find(WANTED, lambda text: None)
    assert caught.value.hint == "name one: --release blue"
    (one,) = find(Wanted(KUBECTL, release="green"), lambda text: None)
    with AgentSession(one):
        assert asked(kube) == [("green-s", "scheduler")]
    with pytest.raises(UserError, match="the namespace airflow has no pods of an Airflow"):
        find(Wanted(KUBECTL, release="red"), lambda text: None)


def test_one_pod_of_each_component_or_every_one(kube: Cluster) -> None:
    kube.put(deployment("w", official("worker"), [container("worker")], replicas=3, kind="StatefulSet"))
    until(lambda: len(find(Wanted(KUBECTL, every_pod=True), lambda text: None)) == 3, "three did not come up")
    said: list[str] = []
    until(lambda: kube.requests, "")
    every = find(Wanted(KUBECTL, every_pod=True), said.append)
    assert [reach.name for reach in every] == ["w-0", "w-1", "w-2"]
    with AgentSession(every[1]):
        assert asked(kube) == [("w-1", "worker")]
    named = find(Wanted(KUBECTL, ("worker", "scheduler"), every_pod=True), said.append)
    assert [reach.name for reach in named] == ["w-0", "w-1", "w-2", "scheduler"]  # which then says that it has none
    (one,) = find(WANTED, said.append)
    with AgentSession(one):
        assert len(said) == 1 and said[0].endswith(", the newest of 3")


def test_after_a_rollout_the_new_pod_is_asked(kube: Cluster, desk: Tools) -> None:
    kube.put(deployment("s", official("scheduler"), [container("scheduler")]))
    reaches: list[KubernetesReach] = []
    until(lambda: reaches or (reaches.extend(_found()) or reaches), "no pod came")
    (reach,) = reaches
    until(lambda: _ready(kube), "the pod is not ready")
    with AgentSession(reach):
        pass
    desk.kubectl("-n", "airflow", "set", "env", "deploy/s", "A=new")
    desk.kubectl("-n", "airflow", "rollout", "status", "deploy/s", "--timeout=60s")
    with AgentSession(reach):
        pass
    (old, _), (new, _) = asked(kube)
    assert old != new


def _found() -> list[KubernetesReach]:
    try:
        return find(WANTED, lambda text: None)
    except UserError:
        return []


def _ready(kube: Cluster) -> bool:
    from tests.support.kube import kinds

    return any(Pod.of(each).is_ready for each in kube.all(kinds.POD))


def one(kube: Cluster) -> KubernetesReach:
    kube.put(pod("s", official("scheduler"), [container("scheduler")]))
    return KubernetesReach(WANTED, "scheduler")


@pytest.mark.parametrize("version", binaries.VERSIONS)
def test_a_connection_that_breaks_half_way(
    kube: Cluster, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk_of(kube, version, tmp_path / version, monkeypatch)
    reach = one(kube)
    how = r"scheduler: the connection to the pod s broke: (read tcp|write tcp|websocket: close 1006).*"
    kube.cut_next_exec(after=100_000)  # amid the zip
    with pytest.raises(AgentDied) as caught:
        AgentSession(reach).start()
    assert re.fullmatch(how, caught.value.message) and caught.value.hint == "ask again"
    until(lambda: not kube.processes("airflow", "s"), "the agent lives on without its desk")
    cut = kube.cut_next_exec(after=1 << 60)
    session = AgentSession(reach)
    session.start()
    cut.after = cut.passed + 500  # the request is through, and the answer has begun
    with pytest.raises(AgentDied) as caught:
        list(session.stream("preflight_list"))
    assert cut.met and re.fullmatch(how, caught.value.message) and caught.value.hint == "ask again"
    session.close()
    until(lambda: not kube.processes("airflow", "s"), "the agent lives on without its desk")


def test_a_desk_that_is_killed_leaves_no_agent(kube: Cluster) -> None:
    session = AgentSession(one(kube))
    session.start()
    os.killpg(session.pid or 0, 9)
    until(lambda: not kube.processes("airflow", "s"), "the agent lives on without its desk")
    with pytest.raises(AgentDied) as caught:
        session.request("resolve")
    assert caught.value.message == "scheduler: the connection to the pod s broke: kubectl ended without a word"
    session.close()


@pytest.mark.parametrize("how", ["evicted", "deleted"])
def test_a_pod_that_goes_away_amid_the_work(kube: Cluster, desk: Tools, how: str) -> None:
    session = AgentSession(one(kube))
    session.start()
    if how == "evicted":
        kube.evict("airflow", "s")
    else:
        desk.kubectl("-n", "airflow", "delete", "pod", "s", "--grace-period=0", "--force")
    with pytest.raises(AgentDied) as caught:
        session.request("resolve")
    expected = {"evicted": "the pod became s (Failed: Evicted)", "deleted": "the pod s was deleted"}
    assert caught.value.message == f"scheduler: while it was asked, {expected[how]}"
    session.close()


def test_what_rbac_forbids_is_named_by_its_verb(kube: Cluster) -> None:
    reach = one(kube)
    kube.access.denied = {("create", "pods/exec")}
    with pytest.raises(Forbidden) as caught:
        AgentSession(reach).start()
    assert (caught.value.verb, caught.value.resource) == ("create", "pods/exec")
    assert caught.value.message == "ops may not create pods/exec in the namespace airflow (403)"
    assert "xcomctl rbac -n airflow" in caught.value.hint
    with pytest.raises(Forbidden, match="you may not create pods/exec"):
        KUBECTL.require(("list", "pods"), ("create", "pods/exec"))
    kube.access.denied = {("list", "pods")}
    with pytest.raises(Forbidden, match="ops may not list pods in the namespace airflow"):
        find(WANTED, lambda text: None)


def test_a_cluster_that_does_not_answer(kube: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def why(wanted: Wanted = WANTED) -> str:
        with pytest.raises(KubectlError) as caught:
            find(wanted, lambda text: None)
        return caught.value.message

    kube.unauthorized = True
    assert why().startswith("the cluster does not know who you are (401)")
    with pytest.raises(KubectlError) as caught:
        find(WANTED, lambda text: None)
    assert "aws sso login" in caught.value.hint
    assert caught.value.hint.endswith(", then: kubectl -n airflow get pods")
    kube.unauthorized = False
    assert why(Wanted(Kubectl("airflow", context="none"))) == "there is no kube context 'none'"
    monkeypatch.setattr(kube_module, "REQUEST_TIMEOUT_S", 1)
    kube.hangs = True
    assert why().startswith("the cluster gave kubectl no answer")
    nowhere = tmp_path / "nowhere"
    nowhere.write_text(kube.kubeconfig.read_text().replace("127.0.0.1", "127.0.0.1:1/#"))
    assert why(Wanted(Kubectl("airflow", kubeconfig=nowhere))).startswith("kubectl cannot reach the cluster")
    empty = tmp_path / "empty"
    empty.write_text("{}")
    assert why(Wanted(Kubectl("airflow", kubeconfig=empty))) == "kubectl knows of no cluster"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why().startswith("there is no kubectl to run on this machine")


def test_commands_to_type_are_quoted(kube: Cluster, tmp_path: Path) -> None:
    config = tmp_path / "my config"
    config.write_text(kube.kubeconfig.read_text())
    kubectl = Kubectl("airflow", context="fake", kubeconfig=config)
    with pytest.raises(UserError, match="has no pods of an Airflow") as caught:
        find(Wanted(kubectl), lambda text: None)
    assert shlex.split(caught.value.hint) == kubectl.argv("get", "pods", "--show-labels")
    with pytest.raises(NotThere) as missing:
        kubectl.get("pod", "none")
    assert shlex.split(missing.value.hint) == kubectl.argv("get", "pods")
    kube.put(pod("s", official("scheduler"), [container("scheduler")], nodeSelector={"disk": "fast"}))
    with pytest.raises(ReachFailed) as unready:
        KubernetesReach(Wanted(kubectl), "scheduler").pod()
    assert shlex.split(unready.value.hint) == kubectl.argv("describe", "pod", "s")


def test_where_a_kube_context_leads(kube: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert KUBECTL.current_context() == "fake"
    assert Kubectl("airflow", context="other").current_context() == "other"
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert KUBECTL.current_context() == ""
