"""``xcomctl logs``: which Loki it asks, who it is there, and what it prints of both."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube import binaries, cluster, samples
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.tools import tools
from tests.support.loki import FakeLoki, fake_loki
from xcomctl.cli.main import main
from xcomctl.deployment.kubectl import Kubectl

LABELS = {"job": "airflow", "stream": "stdout"}
SECOND_NS = 10**9
QUERY = '{job="airflow"}'


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ADDR", "ORG_ID", "USERNAME", "PASSWORD", "BEARER_TOKEN", "BEARER_TOKEN_FILE", "CA_CERT_PATH"):
        monkeypatch.delenv(f"LOKI_{name}", raising=False)
    for name in ("XCOMCTL_DEPLOYMENT", "XCOMCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def loki() -> Iterator[FakeLoki]:
    with fake_loki() as running:
        running.push(
            LABELS, [(time.time_ns() - 60 * SECOND_NS, 'File "/x/xcom.py", AirflowConfigException: xcom error')]
        )
        yield running


@pytest.fixture
def kube(tmp_path: Path, loki: FakeLoki, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {samples.AIRFLOW: Image()}) as running:
        running.put(*samples.loki(loki.port))
        found = tools(running, binaries.NEWER, tmp_path / "desk")
        found.use(monkeypatch)
        yield running


@pytest.mark.parametrize(
    "url",
    ["ops:hunter2@loki:3100", "https://u:pa/hunter2@host:3100", "https://u:1/hunter2@host", "https://hunter2@loki"],
)
def test_a_mistyped_address_shows_no_login(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", QUERY, "--url", url]) in (5, 6)
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err and "xcomctl: error: " in said.err


def test_a_password_of_the_environment_does_not_go_to_a_loki_that_is_found(
    kube: Cluster, loki: FakeLoki, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loki.rules.login = ("ops", "hunter2-ops")
    monkeypatch.setenv("LOKI_USERNAME", "ops")
    monkeypatch.setenv("LOKI_PASSWORD", "hunter2-ops")
    assert main(["logs", QUERY]) == 5
    said = capsys.readouterr()
    assert "LOKI_PASSWORD is not sent to a Loki that nobody named" in said.err and not said.out
    for words in (["--username", "ops"], ["--service", "monitoring/loki"]):
        assert main(["logs", QUERY, "-o", "raw", *words]) == 0
        assert "xcom error" in capsys.readouterr().out
    monkeypatch.setenv("LOKI_ADDR", "http://elsewhere:3100")
    assert main(["logs", QUERY, "--url", loki.url]) == 5
    assert "LOKI_PASSWORD is for LOKI_ADDR, and not sent to --url" in capsys.readouterr().err


def test_a_deployment_without_a_cluster_says_which_streams_are_its(
    loki: FakeLoki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "xcomctl.toml"
    file.write_text(f"[deployments.prod.loki]\nurl = {loki.url!r}\n")
    with pytest.raises(SystemExit):
        main(["logs", "--preset", "xcom-errors", "-D", "prod"])
    assert "a selector of its Loki" in capsys.readouterr().err
    file.write_text(f"[deployments.prod.loki]\nurl = {loki.url!r}\nselector = {QUERY!r}\n")
    assert main(["logs", "--preset", "xcom-errors", "-D", "prod", "-o", "raw"]) == 0
    assert "xcom error" in capsys.readouterr().out
    assert 'job="airflow"' in loki.queries()[-1]["query"]


def test_a_selector_of_the_file_goes_before_the_namespace_of_the_cluster(
    loki: FakeLoki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "xcomctl.toml").write_text(
        "[deployments.prod]\nnamespace = 'airflow'\ncontext = 'c'\n"
        f"[deployments.prod.loki]\nurl = {loki.url!r}\nselector = {QUERY!r}\n"
    )
    assert main(["logs", "--preset", "xcom-errors", "-D", "prod", "-o", "raw"]) == 0
    assert "xcom error" in capsys.readouterr().out


def test_a_kube_context_alone_means_its_own_namespace(kube: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    Kubectl("default").run("config", "set-context", "fake", "--namespace", "apps")
    Kubectl("default").run("config", "unset", "current-context")
    kube.access.namespaces = {"apps"}
    assert main(["logs", QUERY, "--context", "fake"]) == 5
    assert "in the namespace apps, the only one that was looked at" in capsys.readouterr().err
    kube.access.namespaces = {"default"}
    assert main(["logs", QUERY, "--context", "fake"]) == 5
    said = capsys.readouterr().err
    assert "in the namespace apps (403)" in said and "xcomctl rbac --logs -n LOKIS_NAMESPACE" in said


def test_the_gates_hint_asks_the_same_loki_about_the_same_time(
    loki: FakeLoki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    at_ns = 1_780_747_200 * SECOND_NS
    loki.push(LABELS, [(at_ns, "long ago")])
    loki.rules.login = ("ops", "hunter2-ops")
    monkeypatch.setenv("LOKI_PASSWORD", "hunter2-ops")
    place = ["--url", loki.url, "--username", "ops"]
    words = [
        "logs",
        '{job="wrong"}',
        "--expect-none",
        "-o",
        "json",
        "--to",
        "2026-06-06T12:00:01Z",
        "--since",
        "15m",
        *place,
    ]
    assert main(words) == 5
    (hint,) = json.loads(capsys.readouterr().out)["next_steps"]
    assert "hunter2" not in hint
    assert main(shlex.split(hint)[1:]) == 0
    assert "airflow" in capsys.readouterr().out
    for option in (["--since", "1h"], []):
        assert main(["logs", '{job="wrong"}', "--expect-none", *option, *place]) == 5
        assert f"→ xcomctl logs --labels --since 24h --url {loki.url} --username ops\n" in capsys.readouterr().out
    assert main(["logs", '{job="wrong"}', "--expect-none", "--since", "48h", *place]) == 5
    assert "--labels --from 2" in capsys.readouterr().out


def test_the_gates_hint_names_the_files_of_the_login(
    loki: FakeLoki, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "my token"
    token.write_text("hunter2-token")
    assert main(["logs", '{job="wrong"}', "--expect-none", "--url", loki.url, "--bearer-token-file", str(token)]) == 5
    out = capsys.readouterr().out
    assert f"--bearer-token-file '{token}'" in out and "hunter2" not in out


def test_values_of_a_label_that_is_called_a_secret_are_not_shown(
    loki: FakeLoki, capsys: pytest.CaptureFixture[str]
) -> None:
    loki.push({"job": "airflow", "password": "hunter2"}, [(time.time_ns() - SECOND_NS, "x")])
    for words in (["--labels"], ["--labels", "password"], ["--labels", "-o", "json"]):
        assert main(["logs", *words, "--url", loki.url]) == 0
        out = capsys.readouterr().out
        assert "hunter2" not in out and "***" in out
