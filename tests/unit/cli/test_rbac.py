"""``xcomctl rbac``: with the Role that it prints everything works, and without any right of it something does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, official, pod
from tests.support.kube.tools import Tools, tools
from xcomctl.cli.main import main
from xcomctl.deployment import rbac
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.kubectl import Forbidden, Kubectl
from xcomctl.deployment.reach.kubernetes import Wanted, find
from xcomctl.deployment.workloads import workloads
from xcomctl.model.verdicts import Verdict


@pytest.fixture
def kube(tmp_path: Path):
    image = Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    with cluster.running(tmp_path / "cluster", {AIRFLOW: image}) as running:
        running.put(pod("s", official("scheduler"), [container("scheduler")]))
        yield running


@pytest.fixture
def desk(kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    found = tools(kube, binaries.NEWER, tmp_path / "desk")
    found.use(monkeypatch)
    return found


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["rbac", *words]) == 0
    return capsys.readouterr().out


def asks() -> None:
    (reach,) = find(Wanted(Kubectl("airflow")), lambda text: None)
    with AgentSession(reach):
        workloads(Kubectl("airflow"), None)


def test_the_role_is_enough_and_the_least(kube: Cluster, desk: Tools, capsys: pytest.CaptureFixture[str]):
    made = desk.kubectl("create", "-f", "-", "-o", "json", stdin=printed(capsys, "-n", "airflow").encode())
    kube.access.rules = json.loads(made.stdout)["rules"]
    asks()
    for rule in rbac.rules(change=False):
        for right in rule.rights:
            if right == ("get", "pods/exec"):
                continue  # kubectl then speaks SPDY, which only real servers do
            kube.access.denied = {(right[0], right[1].partition(".")[0])}
            with pytest.raises(Forbidden) as caught:
                asks()
            assert (caught.value.verb, caught.value.resource) == right
            assert caught.value.hint.endswith("xcomctl rbac -n airflow")
    kube.access.denied = set()
    with pytest.raises(Forbidden) as caught:
        Kubectl("airflow").require(("get", "pods"), ("delete", "pods"))
    assert caught.value.hint.endswith("xcomctl rbac --change -n airflow")


@pytest.mark.parametrize(
    ("who", "subject"),
    [
        (("--user", "ops@example.org"), {"kind": "User", "name": "ops@example.org", "apiGroup": "rbac.authorization.k8s.io"}),
        (("--group", "on-call"), {"kind": "Group", "name": "on-call", "apiGroup": "rbac.authorization.k8s.io"}),
        (("--serviceaccount", "tools:xcomctl"), {"kind": "ServiceAccount", "name": "xcomctl", "namespace": "tools"}),
    ],
)  # fmt: skip
def test_the_binding(
    kube: Cluster, desk: Tools, who: tuple[str, ...], subject: dict[str, str], capsys: pytest.CaptureFixture[str]
):
    text = printed(capsys, "--change", "-n", "airflow", *who)
    made = desk.kubectl("apply", "-f", "-", "-o", "json", stdin=text.encode())
    role, binding = json.loads(made.stdout)["items"]
    assert (role["metadata"]["name"], role["metadata"]["namespace"]) == ("xcomctl-change", "airflow")
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete"]} in role["rules"]
    assert binding["subjects"] == [subject] and binding["roleRef"]["name"] == "xcomctl-change"


def test_the_role_for_loki_is_one_of_its_own(kube: Cluster, desk: Tools, capsys: pytest.CaptureFixture[str]):
    text = printed(capsys, "--logs", "-n", "airflow", "--group", "on-call")
    role, binding = json.loads(desk.kubectl("apply", "-f", "-", "-o", "json", stdin=text.encode()).stdout)["items"]
    assert role["metadata"]["name"] == binding["roleRef"]["name"] == "xcomctl-logs"
    assert {resource for rule in role["rules"] for resource in rule["resources"]} == {
        "services",
        "pods",
        "pods/portforward",
    }
    kube.access.denied = {("get", "pods/portforward")}
    assert main(["rbac", "--check", "--logs", "-n", "airflow"]) == Verdict.FAILED.exit_code
    assert "FAIL  get pods/portforward: forward a port to it\n" in capsys.readouterr().out


def test_it_works_without_a_cluster(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    text = printed(capsys)
    assert "kind: Role\n" in text and "RoleBinding of xcomctl-read" in text and "namespace" not in text
    for words, said in ((["--context", "x"], "go with --check"), (["--check"], "-n NS"), (["--serviceaccount", "x"], "NS:NAME")):  # fmt: skip
        with pytest.raises(SystemExit):
            main(["rbac", *words])
        assert said in capsys.readouterr().err


def test_the_check_says_what_is_missing(kube: Cluster, desk: Tools, capsys: pytest.CaptureFixture[str]):
    assert main(["rbac", "--check", "--change", "-n", "airflow"]) == 0
    kube.access.denied = {("create", "pods/exec")}
    assert main(["rbac", "--check", "-n", "airflow"]) == Verdict.FAILED.exit_code
    said = capsys.readouterr()
    assert "FAIL  create pods/exec: start a Python in one of them\n" in said.out and said.out.count("FAIL") == 1
    assert "in the kube context fake" in said.err
    assert main(["rbac", "--check", "-n", "airflow", "--context", "none"]) == Verdict.INCONCLUSIVE.exit_code
