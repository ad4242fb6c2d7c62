"""``xcomctl.toml``: what it may hold, where it is found, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from xcomctl.deployment import deployments
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import ApiEntry, ContextEntry, DeploymentError, SettingsEntry, find_file, load
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.deployment.loki_entry import LokiEntry
from xcomctl.deployment.reach.kubernetes import Wanted

WHOLE = """
[deployments.staging]
journal = "state/staging.jsonl"

[deployments.staging.settings]
path = "s3://aws_default@artifacts/xcom"
threshold = 1_600_000
compression = "gzip"

[deployments.staging.api]
url = "https://airflow.example.org"
username = "ops"
password_env = "AIRFLOW_PASSWORD"

[[deployments.staging.contexts]]
name = "scheduler"
via = "docker compose exec -T scheduler"

[[deployments.staging.contexts]]
name = "here"
python = "/opt/airflow/bin/python"
"""

PODS = "[deployments.staging]\nnamespace = 'airflow'\ncontext = 'kind'\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(deployments.FILE_VARIABLE, raising=False)
    path = tmp_path / "xcomctl.toml"
    path.write_text(WHOLE)
    return path


def test_everything_it_may_hold(file: Path) -> None:
    found = load("staging", file)
    assert found.contexts == (
        ContextEntry("scheduler", "docker compose exec -T scheduler", None),
        ContextEntry("here", None, "/opt/airflow/bin/python"),
    )
    assert found.settings == SettingsEntry("s3://aws_default@artifacts/xcom", 1_600_000, "gzip")
    assert found.api == ApiEntry("https://airflow.example.org", "ops", "AIRFLOW_PASSWORD", None)
    assert found.journal == file.parent / "state" / "staging.jsonl"
    scheduler, here = found.reaches()
    assert (scheduler.name, scheduler.argv(["-V"])) == (
        "scheduler",
        ["docker", "compose", "exec", "-T", "scheduler", "python", "-V"],
    )
    assert (here.name, here.argv(["-V"])) == ("here", ["/opt/airflow/bin/python", "-V"])


def test_an_empty_deployment_has_nothing(file: Path) -> None:
    file.write_text("[deployments.bare]\n")
    found = load("bare", file)
    assert (found.contexts, found.settings, found.api, found.journal) == ((), SettingsEntry(), None, None)


def test_pods(file: Path) -> None:
    file.write_text(PODS)
    assert load("staging", file).pods == Wanted(Kubectl("airflow", "kind"))
    file.write_text(
        PODS
        + "kubeconfig = 'kube/config'\ncomponents = ['worker']\nrelease = 'blue'\ncontainer = 'c'\npython = 'python3'\n"
        + "all_pods = true\n"
    )
    found = load("staging", file)
    at = Kubectl("airflow", "kind", file.parent / "kube" / "config")
    assert found.pods == Wanted(at, ("worker",), "blue", "c", "python3", every_pod=True) and found.reaches() == []


def test_a_journal_may_be_a_url(file: Path) -> None:
    for journal in ("s3://bucket/xcomctl", "file:///srv/journal"):
        file.write_text(f"[deployments.shared]\njournal = {journal!r}\n")
        assert load("shared", file).journal == journal


def test_a_carrier_is_a_file_or_several(file: Path) -> None:
    file.write_text(
        '[deployments.one]\ncarrier = "values.yaml"\n[deployments.two]\ncarrier = ["values.yaml", "prod.yaml"]\n'
    )
    assert load("one", file).carrier == CarrierFiles((file.parent / "values.yaml",))
    assert load("two", file).carrier == CarrierFiles((file.parent / "values.yaml", file.parent / "prod.yaml"))
    file.write_text("[deployments.one]\ncarrier = [1]\n")
    with pytest.raises(DeploymentError, match="must be a string, or an array of strings"):
        load("one", file)


def test_it_is_found_from_below(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = file.parent / "a" / "b"
    below.mkdir(parents=True)
    assert find_file(start=below) == file
    monkeypatch.setenv(deployments.FILE_VARIABLE, "/elsewhere.toml")
    assert find_file(start=below) == Path("/elsewhere.toml")
    assert find_file(Path("given.toml"), start=below) == Path("given.toml")


def test_names_for_completion(file: Path, tmp_path: Path) -> None:
    assert deployments.names(file) == ["staging"]
    assert deployments.names(tmp_path / "nothing.toml") == []


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[deployments.prod]\n", "has no deployment 'staging'; it has prod", "[deployments.staging]"),
        ("[deployments.staging]\ncontxts = 1\n", "'contxts' that means nothing", "did you mean contexts?"),
        ("[deployments.staging]\npassword = 'x'\n", "'password' that means nothing", "known are"),
        ("[deployment.staging]\n", "'deployment' that means nothing", "did you mean deployments?"),
        ("[deployments.staging.settings]\nthreshold = '1600000'\n", "threshold must be a whole number", ""),
        ("[deployments.staging.settings]\nthreshold = true\n", "threshold must be a whole number", ""),
        ("[deployments.staging]\njournal = 1\n", "journal must be a string", ""),
        ("[deployments.staging]\ncontexts = 1\n", "must be an array", ""),
        ("[deployments.staging]\nsettings = 1\n", "must be a table", ""),
        ("[deployments.staging.api]\nusername = 'a'\n", "has no url", ""),
        ("[[deployments.staging.contexts]]\nname = 'a'\n" * 2, "two contexts of 'staging' are called 'a'", "apart"),
        ("[deployments.staging\n", "is no TOML", ""),
        ("[deployments.staging]\nnamespace = 'a'\n", "whichever cluster kubectl is at", "kubectl config get-contexts"),
        ("[deployments.staging]\nrelease = 'a'\n", "release of 'staging' is about pods", "namespace"),
        (PODS + "components = 5\n", "components must be a string, or an array of strings", ""),
        (PODS + "components = ['work']\n", "'work' is no component", "known are scheduler, worker"),
        (PODS + "all_pods = 1\n", "all_pods must be true or false", ""),
    ],
)
def test_what_makes_no_sense_is_named(file: Path, text: str, said: str, hint: str) -> None:
    file.write_text(text)
    with pytest.raises(DeploymentError) as caught:
        load("staging", file)
    assert str(file) in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("entry", "said"),
    [("name = 'a'\n", "neither `via` nor `python`"), ('via = "ssh \'host"\n', "No closing quotation")],
)
def test_a_context_that_leads_nowhere(file: Path, entry: str, said: str) -> None:
    file.write_text(f"[[deployments.staging.contexts]]\n{entry}")
    with pytest.raises(DeploymentError, match=said):
        load("staging", file).reaches()


def test_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(deployments.FILE_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeploymentError, match=r"no xcomctl\.toml here or above"):
        load("staging")
    with pytest.raises(DeploymentError, match="cannot read"):
        load("staging", tmp_path / "missing.toml")


def test_where_its_loki_is(file: Path) -> None:
    file.write_text(
        WHOLE + "[deployments.staging.loki]\nurl = 'https://loki'\ntenant = 'ops'\nusername = 'me'\n"
        "password_env = 'P'\ntoken_env = 'T'\nca_file = 'ca.pem'\n"
    )
    assert load("staging", file).loki == LokiEntry("https://loki", "ops", "me", "P", "T", file.parent / "ca.pem")
    file.write_text(PODS + "[deployments.staging.loki]\nservice = 'loki-gateway:80'\nnamespace = 'monitoring'\n")
    assert load("staging", file).loki == LokiEntry(service="loki-gateway:80", namespace="monitoring")
    file.write_text(PODS + "[deployments.staging.loki]\n")
    assert load("staging", file).loki == LokiEntry()
    file.write_text(WHOLE + "[deployments.staging.loki]\nurl = 'https://loki'\nselector = ' {job=\"airflow\"}'\n")
    assert load("staging", file).loki == LokiEntry("https://loki", selector='{job="airflow"}')
    file.write_text(PODS)
    assert load("staging", file).loki is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("url = 1", "must be a string"),
        ("password = 'x'", "has a key 'password' that means nothing"),
        ("url = 'http://l'\nservice = 'x'", "one of them"),
        ("selector = 'airflow'", "is no stream selector"),
        ("selector = '{}'", "is no stream selector"),
        ('selector = \'{a="b"} |= "x"\'', "is no stream selector"),
        ("selector = 'sum(rate({a=\"b\"}[5m]))'", "is no stream selector"),
        ("service = 'Not A Name'", "is not of the form"),
        ("service = 'a/b'\nnamespace = 'c'", "its service is in a, and its namespace is c"),
    ],
)
def test_a_loki_that_makes_no_sense(file: Path, text: str, said: str) -> None:
    file.write_text(PODS + f"[deployments.staging.loki]\n{text}\n")
    with pytest.raises(DeploymentError, match=said):
        load("staging", file)


def test_a_loki_needs_a_cluster_or_a_url(file: Path) -> None:
    file.write_text("[deployments.staging.loki]\nservice = 'loki'\n")
    with pytest.raises(DeploymentError, match="names no cluster") as caught:
        load("staging", file)
    assert "url" in caught.value.hint
