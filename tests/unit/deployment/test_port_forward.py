"""The real kubectl forwards a port, is made anew when it breaks, and never outlives whoever wanted it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.kube import binaries, cluster, samples
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.tools import tools
from tests.support.loki import FakeLoki, fake_loki
from tests.support.waiting import until
from xcomctl.deployment import loki_services, port_forward, rbac
from xcomctl.deployment.kubectl import Forbidden, Kubectl, KubectlError, NotThere
from xcomctl.deployment.port_forward import PortForward

MONITORING = Kubectl("monitoring")
#: A program that forwards a port until it is ended, and says so. It is ended as a command is.
HOLDING = """
import sys, time
from xcomctl.deployment.interrupts import interruptible
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.deployment.port_forward import PortForward
try:
    with interruptible(), PortForward(Kubectl("monitoring"), "loki", 3100, say=print) as forward:
        print(forward.url, flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as running:
        yield running


@pytest.fixture
def kube(tmp_path: Path, loki: FakeLoki) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {samples.AIRFLOW: Image()}) as running:
        running.put(*samples.loki(loki.port))
        yield running


@pytest.fixture(params=binaries.VERSIONS)
def age(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def desk(kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    version = request.getfixturevalue("age") if "age" in request.fixturenames else binaries.NEWER
    found = tools(kube, version, tmp_path / "desk")
    found.use(monkeypatch)


def kubectls(parent: int | None = None) -> list[psutil.Process]:
    """Those that a process has started, this one by default, however deep."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        try:
            found += [process] if process.name() == "kubectl" else []
        except psutil.NoSuchProcess:
            continue
    return found


def answers(forward: PortForward) -> bool:
    with urllib.request.urlopen(f"{forward.url}/ready", timeout=10) as response:
        return response.read() == b"ready\n"


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def forward_to(service: str = "loki", said: list[str] | None = None) -> PortForward:
    return PortForward(MONITORING, service, 3100, say=(said if said is not None else []).append)


def test_it_is_ready_at_once_and_ends_with_its_block(kube: Cluster, age: str) -> None:
    with forward_to() as forward:
        assert answers(forward)
        (process,) = kubectls()
    assert kube.forwards == ["loki-0"]
    assert gone(process) and not kubectls()


def test_it_is_made_anew_however_it_broke(kube: Cluster, age: str) -> None:
    said: list[str] = []
    with forward_to(said=said) as forward:
        assert answers(forward)
        kubectls()[0].kill()
        assert forward.renew() and answers(forward)
        until(lambda: kube.cut_forwards(), "nothing was forwarded")
        assert forward.renew() and answers(forward)
        kubectls()[0].suspend()  # alive, and of no use
        assert forward.renew() and answers(forward)
        assert forward.made == 4 and len(kubectls()) == 1
    assert not kubectls()
    assert len(said) == 3 and all("port-forward to service/loki in monitoring was made anew" in each for each in said)


def test_it_waits_for_a_pod_that_is_replaced(kube: Cluster, loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_forward, "_PAUSES_S", (0.0, 0.1, 0.1))
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if "cannot be made anew yet" in text:
            another = samples.loki(loki.port)[0]
            another["metadata"]["name"] = "loki-1"
            kube.put(another)

    with PortForward(MONITORING, "loki", 3100, say=say) as forward:
        kube.evict("monitoring", "loki-0")
        kubectls()[0].kill()
        assert forward.renew() and answers(forward)
    assert sum("cannot be made anew yet" in each for each in said) == 1, said
    assert kube.forwards == ["loki-0", "loki-1"]


def test_a_pod_that_does_not_come_back_ends_it(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_forward, "_PAUSES_S", (0.0, 0.1))
    with forward_to() as forward:
        kube.evict("monitoring", "loki-0")
        with pytest.raises(KubectlError) as caught:
            forward.renew()
        assert not kubectls()
    assert "pod is not running" in caught.value.message


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_however_we_end(number: signal.Signals) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", HOLDING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # the tests may run under nohup
    )  # fmt: skip
    assert program.stdout is not None
    assert program.stdout.readline().startswith("http://127.0.0.1:")
    (process,) = kubectls(program.pid)
    shell = process.parent()
    program.send_signal(number)
    _, errors = program.communicate()
    assert program.returncode == (-9 if number == signal.SIGKILL else 130), errors
    assert shell is not None
    until(lambda: gone(process) and gone(shell), "something is left")


def test_what_the_terminal_sends_does_not_reach_it() -> None:
    with forward_to() as forward:
        (process,) = kubectls()
        assert os.getpgid(process.pid) != os.getpgid(0) and os.getsid(process.pid) != os.getsid(0)
        assert answers(forward)


def test_what_goes_wrong_is_one_sentence(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotThere, match='services "nowhere" not found'), forward_to("nowhere"):
        pass
    kube.access.denied = {("get", "services")}
    with pytest.raises(Forbidden) as caught, forward_to():
        pass
    assert "xcomctl rbac --logs -n monitoring" in caught.value.hint and "--url" in caught.value.hint
    kube.access.denied = set()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KubectlError, match="there is no kubectl"), forward_to():
        pass
    assert not kubectls()


def test_the_role_is_enough_and_the_least(kube: Cluster, age: str) -> None:
    kube.access.rules = [{"apiGroups": [each.group], "resources": [each.resource], "verbs": each.verbs} for each in rbac.logs_rules()]  # fmt: skip
    kube.access.namespaces = {"monitoring"}
    found = loki_services.find(MONITORING, lambda text: None)
    with found.forward(MONITORING, lambda text: None) as forward:
        assert answers(forward)
    for rule in rbac.logs_rules():
        for verb, resource in rule.rights:
            if (verb, resource) in (("create", "pods/portforward"), ("get", "pods/portforward")):
                continue  # which of the two depends on the age of the cluster: kubectl falls back from WebSocket to SPDY
            kube.access.denied = {(verb, resource)}
            with pytest.raises(KubectlError), loki_services.find(MONITORING, lambda text: None).forward(MONITORING, lambda text: None):  # fmt: skip
                pytest.fail(f"nobody needs to {verb} {resource}")


def test_one_that_takes_too_long_is_given_up(kube: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port_forward, "_READY_S", 0.2)
    kube.hangs = True
    with (
        pytest.raises(KubectlError, match="does not forward a port to service/loki in monitoring within"),
        forward_to(),
    ):
        pass
    assert not kubectls()
