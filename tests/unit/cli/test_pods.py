"""Pods on the command line: what the options mean together, and a command from end to end with the real kubectl."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.samples import AIRFLOW, container, official, pod
from tests.support.kube.tools import tools
from xcomctl.cli import contexts
from xcomctl.cli.main import build_parser, main
from xcomctl.model.verdicts import Verdict

PINNED = "[deployments.prod]\nnamespace = 'airflow'\ncontext = 'fake'\ncomponents = ['scheduler']\n"


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    image = Image({"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"})
    with cluster.running(tmp_path / "cluster", {AIRFLOW: image}) as running:
        desk = tools(running, binaries.OLDER, tmp_path / "desk")
        desk.use(monkeypatch)
        running.put(
            pod("s-1", official("scheduler"), [container("scheduler")]),
            pod("w-0", official("worker"), [container("worker", command=["false"])]),
        )
        running.wait_for("CrashLoopBackOff", "w-0")
        yield running


def parsed(*words: str):
    return build_parser(["status"]).parse_args(["status", *words])


def test_what_is_printed_names_the_same_pods_again():
    words = "-n airflow --component worker --component web -c main --context kind --kubeconfig 'a b' --release r --all-pods --python python3"  # fmt: skip
    assert contexts.spelled(parsed(*shlex.split(words))) == f" {words}"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-n a --via x", "leave out --via and -D, or -n"),
        ("-n a -D prod", "leave out --via and -D, or -n"),
        ("-c main", "-c goes with -n"),
        ("--context kind", "--context goes with -n"),
        ("-D prod --release r", "--release goes with -n"),
        ("--component worker", "go with -n or with a deployment"),
        ("--all-pods --via x", "go with -n or with a deployment"),
        ("-n a --component sheduler", "invalid choice"),
    ],
)
def test_options_that_do_not_go_together(words: str, said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["status", *words.split()])
    assert caught.value.code == 2 and said in capsys.readouterr().err


def test_each_component_is_a_column_and_what_cannot_be_asked_says_why(
    kube: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code = main(["preflight", "-n", "airflow", "--journal", str(tmp_path / "j"), "-o", "json"])
    said = capsys.readouterr()
    assert code == Verdict.INCONCLUSIVE.exit_code
    report = json.loads(said.out)
    assert [each["name"] for each in report["contexts"]] == ["scheduler", "worker"]
    assert "no pod in airflow is Running and Ready: w-0 (CrashLoopBackOff)" in said.out
    assert f"there is no Airflow in {Path(sys.executable).parent}" in said.out  # the agent in the pod says so
    assert "xcomctl: namespace airflow in the kube context fake\n" in said.err
    assert said.err.count("xcomctl: scheduler: asking s-1\n") == 1
    assert not kube.processes("airflow", "s-1")


def test_a_deployment_is_pinned_to_its_kube_context(
    kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    config = json.loads(kube.kubeconfig.read_text())
    kube.kubeconfig.write_text(json.dumps({**config, "current-context": "elsewhere"}))
    (tmp_path / "xcomctl.toml").write_text(PINNED)
    monkeypatch.chdir(tmp_path)
    assert main(["wait", "--to", "offload", "-D", "prod", "--dry-run"]) == 0
    assert "would look at the processes in: scheduler\n" in capsys.readouterr().out
    assert main(["wait", "--to", "offload", "-D", "prod", "--component", "worker", "--all-pods", "--dry-run"]) == 0
    assert "would look at the processes in: w-0\n" in capsys.readouterr().out
    assert main(["wait", "--to", "offload", "-n", "airflow", "--dry-run"]) == Verdict.INCONCLUSIVE.exit_code
    assert "there is no kube context 'elsewhere'" in capsys.readouterr().err
    (tmp_path / "xcomctl.toml").write_text("[deployments.prod]\n")
    with pytest.raises(SystemExit):
        main(["wait", "--to", "offload", "-D", "prod", "--component", "worker", "--dry-run"])
    assert "the deployment 'prod' has no namespace" in capsys.readouterr().err


def test_a_refusal_by_rbac_ends_with_the_command_that_says_what_is_needed(
    kube: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kube.access.denied = {("list", "pods")}
    assert main(["status", "-n", "airflow", "--journal", str(tmp_path / "j")]) == Verdict.INCONCLUSIVE.exit_code
    said = capsys.readouterr().err
    assert "error: ops may not list pods in the namespace airflow (403)" in said
    assert "hint: what is needed, for whoever may grant it: xcomctl rbac -n airflow" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--step-pod",), "--step-pod starts a pod in a namespace"),
        (("--step-pod", "--via", "x"), "--step-pod starts a pod in a namespace"),
        (("-n", "a", "--pod-template", "f"), "--pod-template goes with --step-pod"),
    ],
)
def test_a_step_pod_needs_a_namespace(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["preflight", *words])
    assert said in capsys.readouterr().err


def test_a_step_pod_is_a_column_of_its_own(kube: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["preflight", "-n", "airflow", "--component", "scheduler", "--step-pod", "--journal", str(tmp_path / "j")]
    assert main([*words, "--dry-run"]) == 0
    assert "would start a pod, run the checks in it too, and remove it" in capsys.readouterr().out
    assert main([*words, "-o", "json"]) == Verdict.INCONCLUSIVE.exit_code
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert [each["name"] for each in report["contexts"]] == ["scheduler", "step pod"]
    assert said.out.count(f"there is no Airflow in {Path(sys.executable).parent}") == 2
    assert "like s-1" in said.err
    assert {name.startswith("xcomctl-step-") for name, _, _ in kube.execs} == {True, False}
