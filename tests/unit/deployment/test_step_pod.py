"""A pod as tasks' pods are: what it is made of, that it works with the Role for changes, and that it never stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster, kinds, kubelet
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, official, pod
from tests.support.kube.tools import Tools, tools
from tests.support.waiting import until
from xcomctl.deployment import rbac, step_pod
from xcomctl.deployment.agent_errors import AgentDied, ReachFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.kubectl import Forbidden, Kubectl
from xcomctl.deployment.pods import Pod
from xcomctl.deployment.reach.kubernetes import KubernetesReach, Wanted, find

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
    found.use(monkeypatch)
    return found


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


def test_it_keeps_the_labels_by_which_a_policy_knows_airflow_and_none_by_which_somebody_takes_it_for_his_own(
    kube: Cluster, desk: Tools
):
    kept = {"tier": "airflow", "release": "airflow", "azure.workload.identity/use": "true", "team": "data"}
    dropped = {
        "component": "worker", "pod-template-hash": "1", "controller-revision-hash": "2", "statefulset.kubernetes.io/pod-name": "w-1",
        "apps.kubernetes.io/pod-index": "1", "app.kubernetes.io/component": "worker", "kubernetes_executor": "True", "airflow-worker": "3",
    }  # fmt: skip
    metadata = step_pod.made_like(Pod.of(pod("w-1", {**kept, **dropped}, [container("worker")])), "worker", "x", "python")["metadata"]  # fmt: skip
    assert metadata["labels"] == {**kept, step_pod.LABEL: "true", "sidecar.istio.io/inject": "false"}
    assert metadata["annotations"]["argocd.argoproj.io/sync-options"] == "Prune=false"
    with step_pod.step_pod(WANTED, lambda text: None) as reach:
        made = Pod.of(kube.get(kinds.POD, "airflow", reach.only or "") or {})
        assert (made.labels["tier"], made.labels["release"]) == ("airflow", "airflow")
        assert made.component is None and not made.of_task
        assert [each.name for each in find(replace(WANTED, every_pod=True), lambda text: None)] == ["w-0"]
        selected = ",".join(f"{name}={value}" for name, value in official("worker").items())
        assert desk.kubectl("-n", "airflow", "get", "pods", "-o", "name", "-l", selected).stdout.split() == ["pod/w-0"]


def test_of_the_init_containers_those_stay_that_fill_a_folder_of_airflows(kube: Cluster, tmp_path: Path):
    site = {"name": "python-site-packages", "mountPath": "/opt/python/site-packages"}
    installed = tmp_path / "installed"
    spec = {
        "initContainers": [
            container("wait-for-airflow-migrations", volumeMounts=[site], command=["false"]),
            container("check-db", volumeMounts=[site], command=["false"]),
            container("install-pip-packages", {"PIP": "1"}, volumeMounts=[site, MOUNTS[0]], command=["sh"], args=["-c", f"touch {installed}"]),
            {**container("dags-git-clone", volumeMounts=[site]), "image": "git-sync:4"},
            container("fix-permissions", volumeMounts=[MOUNTS[1]]),
            container("another-folder", volumeMounts=[{"name": "elsewhere", "mountPath": "/else"}]),
            container("native-sidecar", volumeMounts=[site], restartPolicy="Always"),
        ],
        "volumes": [*VOLUMES, {"name": site["name"], "emptyDir": {}}, {"name": "elsewhere", "emptyDir": {}}],
    }  # fmt: skip
    source = pod("w-1", official("worker"), [container("worker", volumeMounts=[*MOUNTS, site])], **spec)
    made = step_pod.made_like(Pod.of(source), "worker", "x", "python")
    (its,) = made["spec"]["initContainers"]
    assert (its["name"], its["args"], its["volumeMounts"]) == (
        "install-pip-packages",
        ["-c", f"touch {installed}"],
        [site],
    )
    assert its["env"] == [{"name": "PIP", "value": "1"}]
    assert {"name": site["name"], "emptyDir": {}} in made["spec"]["volumes"]
    made["metadata"]["namespace"] = "airflow"
    kube.put(made)
    assert installed.exists()
    made["metadata"]["name"], its["image"] = "y", "nowhere:1"
    kube.put(made)
    with pytest.raises(ReachFailed, match=r"y \(ImagePullBackOff\): Back-off pulling"):
        step_pod._await_ready(Kubectl("airflow"), "y")


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


TEMPLATE = """---
apiVersion: v1
kind: Pod
metadata:
  labels: {tier: airflow, component: worker, release: airflow}
spec:
  serviceAccountName: tasks
  containers:
    - name: base
      env: [{name: OF, value: template}]
"""


@pytest.mark.parametrize("version", binaries.VERSIONS)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", "has no containers: spec.containers is missing or empty"),
        ("apiVersion: v1\nkind: Pod\nspec: text\n", "has no containers: spec.containers is missing or empty"),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a}]}\n", "has a container without a name"),
        (f"{TEMPLATE}{TEMPLATE}", "holds several documents, not one Pod"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "holds a ConfigMap, not a Pod"),
    ],
)
def test_a_template_that_is_none(
    kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, text: str, why: str
):
    monkeypatch.setenv("PATH", tools(kube, version, tmp_path / version).environment["PATH"])
    (template := tmp_path / "pod.yaml").write_text(text)
    with step_pod.step_pod(WANTED, lambda text: None, template) as reach, pytest.raises(ReachFailed) as caught:
        reach.argv([])
    assert caught.value.message == f"step pod: {template} {why}"
    assert there(kube) == ["w-0"]


@pytest.mark.parametrize("metadata", ["", "metadata: {}\n", "metadata: {labels: {a: b}}\n"])
def test_a_template_without_a_name_is_one(kube: Cluster, tmp_path: Path, metadata: str):
    template = tmp_path / "pod.yaml"
    template.write_text(
        f"apiVersion: v1\nkind: Pod\n{metadata}spec:\n  containers: [{{name: a, image: '{AIRFLOW}'}}]\n"
    )
    with step_pod.step_pod(WANTED, lambda text: None, template) as reach, AgentSession(reach):
        pass


def scheduler_alone(kube: Cluster, desk: Tools, home: Path, **variables: str) -> None:
    desk.kubectl("-n", "airflow", "delete", "pod", "w-0", "--grace-period=0", "--force")
    kube.put(pod("s", official("scheduler"), [container("scheduler", {"AIRFLOW_HOME": str(home), **variables})]))


@pytest.mark.parametrize("where", ["chart", "airflow.cfg", "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE", "AIRFLOW__KUBERNETES__POD_TEMPLATE_FILE"])  # fmt: skip
def test_without_a_worker_it_is_of_the_schedulers_template(kube: Cluster, desk: Tools, tmp_path: Path, where: str):
    file = tmp_path / "pod_templates" / ("pod_template_file.yaml" if where == "chart" else "mine.yaml")
    file.parent.mkdir()
    file.write_text(TEMPLATE)
    scheduler_alone(kube, desk, tmp_path, **({where: str(file)} if where.startswith("AIRFLOW") else {}))
    (tmp_path / "airflow.cfg").write_text(
        "[core]\nexecutor = KubernetesExecutor\n[kubernetes_executor]\npod_template_file = "
        + (str(file) if where == "airflow.cfg" else "")
    )
    said: list[str] = []
    with step_pod.step_pod(replace(WANTED, container="scheduler"), said.append) as reach:
        with AgentSession(reach) as session:
            environment = Path(f"/proc/{session.hello['pid']}/environ").read_bytes().split(b"\0")
        made = kube.get(kinds.POD, "airflow", reach.only or "") or {}
    assert b"OF=template" in environment and made["spec"]["serviceAccountName"] == "tasks"
    assert made["spec"]["containers"][0]["image"] == AIRFLOW  # of the scheduler, where the template has none
    assert said[0].endswith(f", of {file} in s, as there is no worker")


@pytest.mark.parametrize("executor", ["KubernetesExecutor", "LocalExecutor"])
def test_without_a_worker_and_a_template_it_is_like_the_scheduler(
    kube: Cluster, desk: Tools, tmp_path: Path, executor: str
):
    file = tmp_path / "pod_templates" / "pod_template_file.yaml"
    if executor == "LocalExecutor":  # the official chart mounts a template all the same
        file.parent.mkdir()
        file.write_text(TEMPLATE)
    scheduler_alone(kube, desk, tmp_path, AIRFLOW__CORE__EXECUTOR=executor)
    said: list[str] = []
    with step_pod.step_pod(WANTED, said.append) as reach, AgentSession(reach):
        pass
    assert said.pop().endswith(", like s")
    lack = f"step pod: there is no worker and no pod template {file} in s, so it is like the scheduler"
    assert said == ([lack] if executor == "KubernetesExecutor" else [])


def test_heavy_work_is_done_in_a_pod_like_the_one_that_was_asked(kube: Cluster, desk: Tools, tmp_path: Path):
    (tmp_path / "pod_templates").mkdir()
    (tmp_path / "pod_templates" / "pod_template_file.yaml").write_text(TEMPLATE)
    scheduler_alone(kube, desk, tmp_path)
    said: list[str] = []
    with step_pod.beside(KubernetesReach(WANTED, "scheduler", said.append)) as reach, AgentSession(reach):
        assert said[-1].endswith(", like s")


def test_a_connection_that_breaks_amid_an_answer_leaves_no_pod(kube: Cluster):
    with step_pod.step_pod(WANTED, lambda text: None) as reach:
        cut = kube.cut_next_exec(after=1 << 60)
        with AgentSession(reach) as session:
            cut.after = cut.passed + 500
            with pytest.raises(AgentDied) as caught:
                list(session.stream("preflight_list"))
    assert caught.value.message.startswith(f"step pod: the connection to the pod {reach.only} broke: ")
    until(lambda: there(kube) == ["w-0"], "the pod stayed")


def test_nothing_to_be_made_like(kube: Cluster, desk: Tools):
    desk.kubectl("-n", "airflow", "delete", "pod", "w-0", "--grace-period=0", "--force")
    with (
        step_pod.step_pod(WANTED, lambda text: None) as reach,
        pytest.raises(ReachFailed, match="neither a worker nor"),
    ):
        reach.argv([])
    assert there(kube) == []


@pytest.fixture
def command(kube: Cluster, desk: Tools, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A pre-flight that waits for its pods: the far side never answers, since its Python is `cat`."""
    slow = desk.folder / "bin" / "slow"
    slow.write_text('#!/bin/sh\ncase "$2" in *time.sleep*) exec sleep 60;; *) exec cat >/dev/null;; esac\n')
    slow.chmod(0o755)
    words = ["preflight", "-n", "airflow", "--component", "worker", "--step-pod", "--python", str(slow)]
    running = subprocess.Popen(
        [sys.executable, "-m", "xcomctl", *words, "--journal", str(tmp_path / "j")],
        env=desk.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup
    )  # fmt: skip
    until(lambda: len(kube.execs) == 2, "the pods were not asked")
    yield running
    running.kill()
    running.wait()


def slowed(desk: Tools, verb: str, how: str) -> None:
    """Have kubectl do this before its own work when it is asked for this; ``begun`` in the desk's folder is there then."""
    shown = desk.folder / "bin" / "kubectl"
    real = shown.rename(shown.with_name("real-kubectl"))
    how = how.replace("$0", str(real))
    shown.write_text(
        f'#!/bin/sh\ncase " $* " in *" {verb} "*) touch {desk.folder / "begun"}; {how};; esac\nexec {real} "$@"\n'
    )
    shown.chmod(0o755)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_interrupted_or_killed_it_does_not_stay(kube: Cluster, command: subprocess.Popen[str], how: signal.Signals):
    command.send_signal(how)
    _, said = command.communicate(timeout=90)
    if how is not signal.SIGKILL:
        assert command.returncode == 130, said
    else:
        assert len(there(kube)) == 2
        told: list[str] = []
        step_pod.remove_leftovers(Kubectl("airflow"), told.append)
        assert "left behind by" in told[0]
    until(lambda: there(kube) == ["w-0"], "the pod stayed")
    until(lambda: not kube.processes("airflow", "w-0"), "something runs on in the worker")


def test_interrupted_while_it_is_created_it_does_not_stay(kube: Cluster, desk: Tools, tmp_path: Path):
    # The API server goes on with a request whose client was killed.
    slowed(desk, "airflow create", 'exec 3<&0; (sleep 2; exec "$0" "$@" <&3) & wait $!; exit $?')
    words = ["preflight", "-n", "airflow", "--component", "worker", "--step-pod", "--journal", str(tmp_path / "j")]
    command = subprocess.Popen([sys.executable, "-m", "xcomctl", *words], env=desk.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip
    until((desk.folder / "begun").exists, "nothing was created")
    command.send_signal(signal.SIGTERM)
    _, said = command.communicate(timeout=90)
    assert command.returncode == 130, said
    time.sleep(3)
    assert there(kube) == ["w-0"]


def test_a_second_interrupt_does_not_stop_the_removal(kube: Cluster, desk: Tools, command: subprocess.Popen[str]):
    slowed(desk, "airflow delete", "sleep 2")
    command.send_signal(signal.SIGTERM)
    until((desk.folder / "begun").exists, "nothing was removed")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        command.send_signal(number)
    _, said = command.communicate(timeout=90)
    assert command.returncode == 130, said
    until(lambda: there(kube) == ["w-0"], "the pod stayed")


def waiting(folder: Path, *, beside: str, deadline: float = 60) -> float:
    """How long the pod's own command takes in a namespace in which ``beside`` runs too."""
    script = step_pod._WAITING.format(deadline=deadline, idle=1, every=0.1)
    begun = time.monotonic()
    done = subprocess.run([*kubelet._ALONE, "sh", "-c", f'{beside}\nexec "$0" -c "$1"', sys.executable, script], cwd=folder, timeout=50)  # fmt: skip
    assert done.returncode == 0
    return time.monotonic() - begun


def test_it_ends_by_itself_when_for_a_while_no_agent_ran_in_it(
    kube: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert 1 <= waiting(tmp_path, beside="") < 15
    # What an agent started may outlive it, and becomes a child of the pod's own command.
    assert 3.5 <= waiting(tmp_path, beside="sleep 3 & (sleep 2 &)") < 20
    assert waiting(tmp_path, beside="sleep 40 &", deadline=2) < 15
    kube.images[AIRFLOW] = replace(kube.images[AIRFLOW], isolated=True)
    monkeypatch.setattr(step_pod, "IDLE_S", 1)
    monkeypatch.setattr(step_pod, "_LOOK_EVERY_S", 0.1)
    made = step_pod.made_like(Pod.of(WORKER), "worker", "left", "python", step_pod.HEAVY_DEADLINE_S)
    assert made["spec"]["activeDeadlineSeconds"] == 12 * 3600
    made["metadata"]["namespace"] = "airflow"
    kube.put(made)
    kube.wait_for("Succeeded", "left")
    step_pod.remove_leftovers(Kubectl("airflow"), lambda text: None)
    until(lambda: there(kube) == ["w-0"], "the pod stayed")


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
