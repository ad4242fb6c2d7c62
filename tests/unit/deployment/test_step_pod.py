"""A pod as tasks' pods are: what it is made of, that it works with the Role for changes, and that it never stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster, kinds
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, official, pod
from tests.support.kube.tools import Tools, tools
from xcomctl.deployment import rbac, step_pod
from xcomctl.deployment.agent_errors import ReachFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.kubectl import Forbidden, Kubectl
from xcomctl.deployment.pods import Pod
from xcomctl.deployment.reach.kubernetes import Wanted

WANTED = Wanted(Kubectl("airflow"))
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "airflow"}, "data": {"FROM": "map"}}  # fmt: skip
MOUNTS = [{"name": "kube-api-access-x", "mountPath": "/var/run"}, {"name": "logs", "mountPath": "/logs"}]
VOLUMES = [
    {"name": "kube-api-access-x", "projected": {}},
    {"name": "logs", "persistentVolumeClaim": {"claimName": "logs-w-0"}},
    {"name": "dags", "persistentVolumeClaim": {"claimName": "dags"}},
]
WORKER = pod(
    "w-0",
    official("worker"),
    [
        container("worker-log-groomer"),
        container(
            "worker", {"OWN": "value"}, envFrom=[{"configMapRef": {"name": "settings"}}], volumeMounts=MOUNTS,
            livenessProbe={"exec": {"command": ["true"]}}, lifecycle={"preStop": {"exec": {"command": ["true"]}}},
        ),
    ],
    initContainers=[container("wait-for-airflow-migrations")],
    serviceAccountName="airflow-worker",
    volumes=VOLUMES,
    affinity={"podAntiAffinity": {}},
    nodeName="node-1",
)  # fmt: skip


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Cluster]:
    image = Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    with cluster.running(tmp_path / "cluster", {AIRFLOW: image}) as running:
        running.put(SETTINGS, WORKER)
        yield running


@pytest.fixture(params=[binaries.NEWER], autouse=True)
def desk(request: pytest.FixtureRequest, kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    found = tools(kube, request.param, tmp_path / "desk")
    for name in ("PATH", "HOME", "KUBECONFIG"):
        monkeypatch.setenv(name, found.environment[name])
    return found


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def there(kube: Cluster) -> list[str]:
    return [each["metadata"]["name"] for each in kube.all(kinds.POD)]


def test_it_has_what_a_task_of_a_worker_has_and_nothing_that_makes_it_one():
    manifest = step_pod.made_like(Pod.of(WORKER), "worker", "x", "python")
    spec = manifest["spec"]
    assert set(spec) == {"serviceAccountName", "volumes", "restartPolicy", "activeDeadlineSeconds", "terminationGracePeriodSeconds", "containers"}  # fmt: skip
    (its,) = spec["containers"]
    assert set(its) == {"name", "image", "command", "env", "envFrom", "volumeMounts"}
    assert its["volumeMounts"] == [{"name": "logs", "mountPath": "/logs"}]
    assert spec["volumes"] == [{"name": "logs", "emptyDir": {}}, VOLUMES[2]]
    assert (spec["restartPolicy"], spec["serviceAccountName"]) == ("Never", "airflow-worker")
    assert not set(manifest["metadata"]["labels"]) & set(official("worker"))


@pytest.mark.parametrize("desk", binaries.VERSIONS, indirect=True)
def test_an_agent_runs_in_it_with_the_workers_environment(kube: Cluster):
    kube.access.rules = [{"apiGroups": [rule.group], "resources": [rule.resource], "verbs": rule.verbs} for rule in rbac.rules(change=True)]  # fmt: skip
    said: list[str] = []
    with step_pod.step_pod(WANTED, said.append) as reach:
        assert len(there(kube)) == 2
        with AgentSession(reach) as session:
            environment = Path(f"/proc/{session.hello['pid']}/environ").read_bytes().split(b"\0")
    assert {b"OWN=value", b"FROM=map"} <= set(environment)
    assert reach.name == "step pod" and said[0].endswith(", like w-0")
    until(lambda: there(kube) == ["w-0"], "the pod stayed")


def test_without_the_right_to_remove_it_none_is_created(kube: Cluster):
    kube.access.denied = {("delete", "pods")}
    refused = pytest.raises(Forbidden, match="you may not delete pods in the namespace airflow")
    with refused as caught, step_pod.step_pod(WANTED, lambda text: None):
        pass
    assert "xcomctl rbac --change -n airflow" in caught.value.hint and there(kube) == ["w-0"]


def test_one_that_does_not_come_up_says_why_and_is_removed(kube: Cluster, tmp_path: Path):
    template = tmp_path / "pod.yaml"
    template.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: dummy-name\nspec:\n  containers:\n    - {name: base, image: nowhere:1}\n"
    )
    with (
        step_pod.step_pod(WANTED, lambda text: None, template) as reach,
        pytest.raises(ReachFailed, match=r"did not come up: xcomctl-step-\w+ \(ImagePullBackOff\): Back-off pulling"),
    ):
        reach.argv([])
    until(lambda: there(kube) == ["w-0"], "the pod stayed")
    template.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
    with step_pod.step_pod(WANTED, lambda text: None, template) as reach, pytest.raises(ReachFailed, match="not a Pod"):
        reach.argv([])
    template.write_text(template.read_text().replace("ConfigMap", "Pod") + f"spec:\n  containers: [{{name: a, image: '{AIRFLOW}'}}]\n")  # fmt: skip
    with step_pod.step_pod(WANTED, lambda text: None, template) as reach, AgentSession(reach):
        pass


def test_nothing_to_be_made_like(kube: Cluster, desk: Tools):
    desk.kubectl("-n", "airflow", "delete", "pod", "w-0", "--grace-period=0", "--force")
    with (
        step_pod.step_pod(WANTED, lambda text: None) as reach,
        pytest.raises(ReachFailed, match="neither a worker nor"),
    ):
        reach.argv([])
    assert there(kube) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_or_killed_it_does_not_stay(kube: Cluster, desk: Tools, tmp_path: Path, how: signal.Signals):
    # The far side never answers: its Python is `cat`.
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "slow").write_text('#!/bin/sh\ncase "$2" in *time.sleep*) exec sleep 60;; *) exec cat >/dev/null;; esac\n')  # fmt: skip
    (tmp_path / "bin" / "slow").chmod(0o755)
    words = [
        "preflight",
        "-n",
        "airflow",
        "--component",
        "worker",
        "--step-pod",
        "--python",
        str(tmp_path / "bin" / "slow"),
    ]
    command = subprocess.Popen(
        [sys.executable, "-m", "xcomctl", *words, "--journal", str(tmp_path / "j")],
        env=desk.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: len(kube.execs) == 2, "the pods were not asked")
    command.send_signal(how)
    _, said = command.communicate(timeout=90)
    if how is signal.SIGINT:
        assert command.returncode == 130, said
    else:
        assert len(there(kube)) == 2
        told: list[str] = []
        step_pod.remove_leftovers(Kubectl("airflow"), told.append)
        assert "left behind by" in told[0]
    until(lambda: there(kube) == ["w-0"], "the pod stayed")
    until(lambda: not kube.processes("airflow", "w-0"), "something runs on in the worker")


def test_of_others_only_what_is_over_is_removed(kube: Cluster, monkeypatch: pytest.MonkeyPatch):
    for name, owner, more in (
        ("mine", step_pod.Process.running(1), {"command": ["sleep", "60"]}),
        ("theirs", step_pod.Process(1, "elsewhere", "1"), {"command": ["sleep", "60"]}),
        ("over", step_pod.Process(1, "elsewhere", "1"), {"command": ["true"]}),
    ):
        made = pod(name, {step_pod.LABEL: "true"}, [container("base", **more)], restartPolicy="Never")
        made["metadata"]["annotations"] = {"xcomctl/owner": json.dumps(vars(owner))}
        kube.put(made)
    until(lambda: Pod.of(kube.get(kinds.POD, "airflow", "over") or {}).is_over, "it goes on")
    step_pod.remove_leftovers(Kubectl("airflow"), lambda text: None)
    until(lambda: there(kube) == ["mine", "theirs", "w-0"], "another one was removed")
