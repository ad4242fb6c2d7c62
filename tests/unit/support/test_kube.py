"""The API server of the tests, by the real kubectl and helm of both ages: what they need of a cluster is there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster, kinds
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, deployment, pod
from tests.support.kube.tools import Tools, tools
from tests.support.waiting import until

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.0.0\n",
    "values.yaml": "backend: inline\n",
    "templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {backend: {{ .Values.backend }}}\n",
    "templates/scheduler.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: scheduler, labels: {component: scheduler}}
spec:
  replicas: 1
  selector: {matchLabels: {component: scheduler}}
  template:
    metadata:
      labels: {component: scheduler}
      annotations: {backend: {{ .Values.backend }}}
    spec:
      containers:
        - name: scheduler
          image: apache/airflow:sample
          envFrom: [{configMapRef: {name: settings}}]
""",
}


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {AIRFLOW: Image()}) as running:
        yield running


@pytest.fixture(params=binaries.VERSIONS)
def desk(request: pytest.FixtureRequest, kube: Cluster, tmp_path: Path) -> Tools:
    return tools(kube, request.param, tmp_path / "desk")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_pods_are_listed_selected_and_watched(kube: Cluster, desk: Tools) -> None:
    kube.put(pod("one", {"component": "scheduler"}, [container("main")]), pod("two", {}, [container("main")]))
    listed = json.loads(desk.kubectl("-n", "airflow", "get", "pods", "-o", "json").stdout)["items"]
    assert [each["metadata"]["name"] for each in listed] == ["one", "two"]
    assert listed[0]["status"]["phase"] == "Running" and listed[0]["metadata"]["creationTimestamp"]
    by = ("-l", "component in (scheduler),tier!=x", "--field-selector", "status.phase=Running", "-o", "name")
    assert desk.kubectl("-n", "airflow", "get", "pods", *by).stdout == "pod/one\n"
    assert "1/1     Running" in desk.kubectl("-n", "airflow", "get", "pods").stdout
    assert "Error from server (NotFound)" in desk.kubectl("-n", "airflow", "get", "pod", "none").stderr
    watching = desk.start("-n", "airflow", "get", "pods", "-w", "-o", "name")
    assert watching.stdout is not None
    assert [watching.stdout.readline() for _ in range(2)] == [b"pod/one\n", b"pod/two\n"]
    kube.put(pod("three", {}, [container("main")]))
    assert watching.stdout.readline() == b"pod/three\n"
    watching.kill()
    watching.communicate()


def test_exec_has_streams_an_exit_code_and_the_environment_of_the_container(kube: Cluster, desk: Tools) -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "airflow"}, "data": {"A": "map"}}  # fmt: skip
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "airflow"}, "data": {"key": "aGlkZGVu"}}  # fmt: skip
    kube.put(settings, secret)
    key = {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}
    main = container("main", {"B": "own of $(A)"}, envFrom=[{"configMapRef": {"name": "settings"}}])
    main["env"].append(key)
    kube.put(pod("one", {}, [main, container("other")]))
    os.environ["OF_THE_DESK"] = "1"
    try:
        done = desk.kubectl("-n", "airflow", "exec", "one", "-c", "main", "--", "sh", "-c", "echo $A, $B, $C, $HOSTNAME,$OF_THE_DESK; echo loud >&2; exit 7")  # fmt: skip
    finally:
        del os.environ["OF_THE_DESK"]
    assert (done.stdout, done.returncode) == ("map, own of map, hidden, one,\n", 7) and "loud\n" in done.stderr
    much = os.urandom(1 << 20) * 4
    counted = desk.kubectl("-n", "airflow", "exec", "-i", "one", "-c", "main", "--", "sha256sum", stdin=much)
    assert counted.stdout.split()[0] == hashlib.sha256(much).hexdigest()  # whole, and its end was told
    missing = desk.kubectl("-n", "airflow", "exec", "one", "-c", "main", "--", "no-such-program")
    assert missing.returncode == 1 and 'exec: "no-such-program": executable file not found' in missing.stderr
    wrong = desk.kubectl("-n", "airflow", "exec", "one", "-c", "nobody", "--", "true")
    assert wrong.returncode == 1 and "container nobody is not valid for pod one" in wrong.stderr


def test_what_is_exec_d_outlives_its_client_and_ends_with_its_pod(kube: Cluster, desk: Tools) -> None:
    kube.put(pod("one", {}, [container("main")]))
    reading = desk.start("-n", "airflow", "exec", "-i", "one", "--", "sh", "-c", "cat; echo over > over; exec sleep 60")
    assert reading.stdin is not None
    reading.stdin.write(b"x")
    reading.stdin.flush()
    until(lambda: kube.processes("airflow", "one"), "nothing was started")
    (pid,) = kube.processes("airflow", "one")
    reading.kill()
    reading.communicate()
    # Its input ended, as for `cat` on a cluster; the rest of it lives on.
    until(lambda: list(kube.kubeconfig.parent.glob("pods/*/over")), "its input did not end")
    assert alive(pid)
    kube.evict("airflow", "one")
    until(lambda: not kube.processes("airflow", "one"), "it lives in an evicted pod")
    assert "current phase is Failed" in desk.kubectl("-n", "airflow", "exec", "one", "--", "true").stderr


def test_faults_on_demand(kube: Cluster, desk: Tools) -> None:
    kube.put(pod("one", {}, [container("main")]))
    cut = kube.cut_next_exec(after=100_000)
    broken = desk.kubectl("-n", "airflow", "exec", "-i", "one", "--", "cat", stdin=b"x" * 1_000_000)
    assert cut.met and broken.returncode == 1 and len(broken.stdout) < 1_000_000
    assert "websocket: close" in broken.stderr or "EOF" in broken.stderr or "reset" in broken.stderr
    kube.access.denied.add(("create", "pods/exec"))
    refused = desk.kubectl("-n", "airflow", "exec", "one", "--", "true")
    assert refused.returncode == 1 and 'cannot create resource "pods/exec"' in refused.stderr
    kube.access.denied.clear()
    kube.access.rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    assert desk.kubectl("auth", "can-i", "get", "pods", "-n", "airflow").stdout == "yes\n"
    assert desk.kubectl("auth", "can-i", "create", "pods", "--subresource=exec", "-n", "airflow").stdout == "no\n"
    assert 'cannot list resource "pods"' in desk.kubectl("-n", "airflow", "get", "pods").stderr
    kube.unauthorized = True
    assert "Unauthorized" in desk.kubectl("-n", "airflow", "get", "pod", "one").stderr


def test_how_pods_fail(kube: Cluster, desk: Tools) -> None:
    kube.put(
        pod("crashing", {}, [container("main", command=["sh", "-c", "echo broken; exit 1"])]),
        pod("done", {}, [container("main", command=["true"])], restartPolicy="Never"),
        pod("late", {}, [container("main", command=["sleep", "60"])], activeDeadlineSeconds=1),
        pod("no-image", {}, [container("main", image="nowhere")]),
        pod("no-map", {}, [container("main", envFrom=[{"configMapRef": {"name": "none"}}])]),
        pod("not-ready", {}, [container("main", readinessProbe={"exec": {"command": ["false"]}})]),
        pod("nowhere", {}, [container("main")], nodeSelector={"disk": "fast"}),
    )
    until(lambda: "DeadlineExceeded" in desk.kubectl("-n", "airflow", "get", "pods").stdout, "it outlives its deadline")
    shown = {line.split()[0]: line.split()[1:3] for line in desk.kubectl("-n", "airflow", "get", "pods").stdout.splitlines()[1:]}  # fmt: skip
    assert shown == {
        "crashing": ["0/1", "CrashLoopBackOff"],
        "done": ["0/1", "Succeeded"],
        "late": ["0/1", "DeadlineExceeded"],
        "no-image": ["0/1", "ImagePullBackOff"],
        "no-map": ["0/1", "CreateContainerConfigError"],
        "not-ready": ["0/1", "Running"],
        "nowhere": ["0/1", "Pending"],
    }
    assert desk.kubectl("-n", "airflow", "logs", "crashing").stdout == "broken\n"


def test_a_pod_is_created_followed_and_deleted(kube: Cluster, desk: Tools) -> None:
    kube.put(pod("other", {}, [container("main")]))
    new = pod("step", {}, [container("main", command=["sh", "-c", "echo begun; sleep 0.3; echo done"])], restartPolicy="Never")  # fmt: skip
    created = desk.kubectl("create", "-f", "-", stdin=json.dumps(new).encode())
    assert created.stdout == "pod/step created\n", created.stderr
    assert desk.kubectl("-n", "airflow", "logs", "-f", "step").stdout == "begun\ndone\n"
    sleeping = {**new, "metadata": {"name": "sleeping", "namespace": "airflow"}}
    sleeping["spec"] = {"containers": [container("main", command=["sleep", "60"])]}
    desk.kubectl("create", "-f", "-", stdin=json.dumps(sleeping).encode())
    waited = desk.kubectl("-n", "airflow", "wait", "pod/sleeping", "--for=condition=Ready", "--timeout=60s")
    assert waited.stdout == "pod/sleeping condition met\n", waited.stderr
    (pid,) = kube.processes("airflow", "sleeping")
    assert desk.kubectl("-n", "airflow", "delete", "pod", "step", "sleeping", "--grace-period=1").returncode == 0
    assert not alive(pid) and desk.kubectl("-n", "airflow", "get", "pods", "-o", "name").stdout == "pod/other\n"


def test_a_rollout(kube: Cluster, desk: Tools) -> None:
    kube.put(deployment("scheduler", {"component": "scheduler"}, [container("scheduler", {"A": "old"})]))
    kube.put(deployment("worker", {"component": "worker"}, [container("worker")], replicas=2, kind="StatefulSet"))

    def status(what: str, *words: str) -> str:
        done = desk.kubectl("-n", "airflow", "rollout", "status", what, "--timeout=60s", *words)
        return done.stdout + done.stderr

    def value() -> str:
        return desk.kubectl("-n", "airflow", "exec", "deploy/scheduler", "--", "printenv", "A").stdout

    assert "successfully rolled out" in status("deploy/scheduler")
    assert "complete" in status("sts/worker")
    assert value() == "old\n"
    kube.hold_rollouts()
    desk.kubectl("-n", "airflow", "set", "env", "deploy/scheduler", "A=new")
    assert "0 out of 1 new replicas have been updated" in status("deploy/scheduler", "--watch=false")
    assert value() == "old\n"
    kube.hold_rollouts(False)
    assert "successfully rolled out" in status("deploy/scheduler")
    until(lambda: value() == "new\n", "the new pod did not come")
    before = {each["metadata"]["uid"] for each in kube.all(kinds.POD)}
    desk.kubectl("-n", "airflow", "rollout", "restart", "sts/worker")
    status("sts/worker")
    after = {each["metadata"]["uid"] for each in kube.all(kinds.POD)}
    assert len(after) == 3 and len(before & after) == 1
    desk.kubectl("-n", "airflow", "scale", "deploy/scheduler", "--replicas=0")
    desk.kubectl("-n", "airflow", "delete", "sts/worker")
    until(lambda: not kube.all(kinds.POD), "pods are left")


def test_helm_installs_upgrades_and_rolls_back(kube: Cluster, desk: Tools, tmp_path: Path) -> None:
    for name, text in CHART.items():
        (tmp_path / "chart" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chart" / name).write_text(text)
    to = ("-n", "prod", "--disable-openapi-validation")

    def value() -> str:
        return desk.kubectl("-n", "prod", "exec", "deploy/scheduler", "--", "printenv", "backend").stdout

    installed = desk.helm("install", "air", str(tmp_path / "chart"), *to, "--create-namespace")
    assert installed.returncode == 0, installed.stderr
    until(lambda: value() == "inline\n", "the first pod did not come")
    upgraded = desk.helm("upgrade", "air", str(tmp_path / "chart"), *to, "--set", "backend=offload")
    assert upgraded.returncode == 0, upgraded.stderr
    until(lambda: value() == "offload\n", "the upgrade's pod did not come")
    assert json.loads(desk.helm("get", "values", "air", "-n", "prod", "-o", "json").stdout) == {"backend": "offload"}
    back = desk.helm("rollback", "air", "1", "-n", "prod")
    assert back.returncode == 0, back.stderr
    until(lambda: value() == "inline\n", "the old settings did not come back")
    history = json.loads(desk.helm("history", "air", "-n", "prod", "-o", "json").stdout)
    assert [(each["revision"], each["status"]) for each in history] == [(1, "superseded"), (2, "superseded"), (3, "deployed")]  # fmt: skip


def test_an_interrupted_kubectl_leaves_the_server_as_it_was(kube: Cluster, desk: Tools) -> None:
    kube.put(pod("one", {}, [container("main")]))
    waiting = desk.start("-n", "airflow", "exec", "-i", "one", "--", "cat")
    until(lambda: kube.processes("airflow", "one"), "nothing was started")
    waiting.send_signal(signal.SIGINT)
    waiting.communicate()
    until(lambda: not kube.processes("airflow", "one"), "its input did not end")
    assert desk.kubectl("-n", "airflow", "exec", "one", "--", "echo", "here").stdout == "here\n"


def test_a_port_is_forwarded(kube: Cluster, desk: Tools) -> None:
    kube.put(pod("one", {}, [container("main")]))
    much = os.urandom(300_000)

    class Reversing(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(self.rfile.read()[::-1])  # once the other half is closed

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Reversing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        forwarding = desk.start("-n", "airflow", "port-forward", "pod/one", f":{server.server_address[1]}")
        assert forwarding.stdout is not None
        line = forwarding.stdout.readline().decode()
        port = int(re.findall(r"127\.0\.0\.1:(\d+)", line)[0])
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(much)
                connection.shutdown(socket.SHUT_WR)
                assert b"".join(iter(lambda: connection.recv(65_536), b"")) == much[::-1]
        server.shutdown()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        assert connection.recv(1) == b""  # nobody listens there now
    forwarding.kill()
    assert b"inside the pod" in forwarding.communicate()[1]
