"""Edited values rendered by the real helm, older and newer, against charts that take settings as the official one and the
User-Community one do: what every workload gets, the pods of tasks, and a step pod that takes a ConfigMap alone."""

from __future__ import annotations

import base64
import configparser
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.kube.binaries import VERSIONS, helm
from xcomctl.deployment.carriers.helm_values import HelmValues
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.phases import Phase
from xcomctl.model.settings import BACKEND, SETTINGS, THRESHOLD, settings_for

pytestmark = pytest.mark.first_line_only

ROOT = Path(__file__).parents[2]
OFFICIAL = ROOT / "tests" / "data" / "chart"
COMMUNITY = ROOT / "tests" / "data" / "chart-community"
VALUES = ROOT / "tests" / "data" / "values"
EXAMPLE = ROOT / "infra" / "helm" / "airflow" / "values-prod.yaml"
WANTED = settings_for(Phase.OFFLOAD, "s3://xcom_s3@artifacts/xcom", 1_600_000)
EVERYWHERE = {
    OFFICIAL: {"scheduler", "triggerer", "dag-processor", "api-server"},
    COMMUNITY: {"scheduler", "triggerer", "web"},
}
#: Not for these charts: compose files, and `data:` as a mapping, which the official chart cannot render either.
OTHERS = ("compose-", "configmap-mapping")
#: Files whose settings a step pod can take by a ConfigMap.
IN_A_CONFIG_MAP = {"values-prod", "configmap-extra-env-from", "configmap-none-there"}
#: How the official chart has Celery's workers by default.
STATEFUL = ("--set", "workers.persistence.enabled=true")


def editable() -> list[Path]:
    found = [file for file in sorted(VALUES.glob("*.yaml")) if not file.stem.startswith(OTHERS)]
    return [EXAMPLE, *(file for file in found if not file.with_suffix(".diff").read_bytes().startswith(b"refused"))]


def chart_of(file: Path) -> Path:
    return COMMUNITY if file.stem.startswith("community-") else OFFICIAL


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that has the official one as a dependency."""
    folder = tmp_path_factory.mktemp("umbrella")
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: platform\nversion: 0.1.0\n")
    shutil.copytree(OFFICIAL, folder / "charts" / "airflow")
    return folder


def rendered(binary: Path, chart: Path, *files: Path, more: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    options = [word for file in files for word in ("-f", str(file))]
    command = [binary, "template", "cvntrade", chart, *options, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in YAML(typ="safe", pure=True).load_all(done.stdout) if document]


def environments(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, str]]]:
    """What each container gets, as Kubernetes resolves it: ``envFrom`` in order, ``env`` over it, over ``airflow.cfg``.

    A ConfigMap with a setting has a step pod, which takes nothing else, as the KubernetesPodOperator's do.
    """
    maps = {each["metadata"]["name"]: each["data"] for each in documents if each["kind"] == "ConfigMap"}
    secrets = {each["metadata"]["name"]: opened(each["data"]) for each in documents if each["kind"] == "Secret"}
    config = configparser.ConfigParser()
    config.read_string(maps.get("cvntrade-config", {}).get("airflow.cfg", ""))
    written = {each.env: config.get(each.section, each.key) for each in SETTINGS if config.has_option(each.section, each.key)}  # fmt: skip
    pods = [(each["metadata"]["labels"]["component"], each["spec"]["template"]["spec"]) for each in documents if each["kind"] in ("Deployment", "StatefulSet")]  # fmt: skip
    templates = [text for data in maps.values() for name, text in data.items() if name.startswith("pod_template")]
    pods += [("task pod", YAML(typ="safe", pure=True).load(text)["spec"]) for text in templates]
    for name, spec in pods:
        for container in spec["containers"]:
            found = dict(written)
            for source in container["envFrom"] or ():
                found.update(maps.get(source.get("configMapRef", {}).get("name"), {}))
                found.update(secrets.get(source.get("secretRef", {}).get("name"), {}))
            found.update({each["name"]: each["value"] for each in container["env"] if "value" in each})
            yield name, found
    for name, data in maps.items():
        if any(each.env in data for each in SETTINGS):
            yield f"step pod with {name}", dict(data)


def opened(data: dict[str, str]) -> dict[str, str]:
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def executor_of(file: Path, chart: Path) -> str:
    """What the values say, else the chart's own."""
    load = YAML(typ="safe", pure=True).load
    for values in (load(file.read_bytes()), load((chart / "values.yaml").read_bytes())):
        said = values.get("executor") or (values.get("airflow") or {}).get("executor")
        if said:
            return str(said)
    raise AssertionError(f"{chart} has no executor")


def of_file(version: str, file: Path, umbrella: Path, content: Path | None = None) -> list[tuple[str, dict[str, str]]]:
    """What the workloads get of a file of the corpus, or of what was made of it; of workers those that the executor has."""
    chart, inside = chart_of(file), file.stem.startswith("umbrella-")
    more = STATEFUL if chart is OFFICIAL and not inside else ()
    documents = rendered(helm(version), umbrella if inside else chart, content or file, more=more)
    executor = executor_of(file, chart)
    hosts = {name for name, kind in (("worker", "Celery"), ("task pod", "Kubernetes")) if kind in executor}
    found = [(name, said) for name, said in environments(documents) if name not in {"worker", "task pod"} - hosts]
    assert {name for name, _ in found if not name.startswith("step pod")} == EVERYWHERE[chart] | hosts
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", editable(), ids=lambda file: file.stem)
def test_every_workload_gets_what_was_written(tmp_path: Path, umbrella: Path, version: str, file: Path) -> None:
    carrier = CarrierFiles((file,)).open()
    edited = tmp_path / "values.yaml"
    edited.write_bytes(carrier.edit(WANTED).after)
    found = of_file(version, file, umbrella, edited)
    for name, variables in found:
        assert {each: variables.get(each) for each in WANTED} == WANTED, name
        assert int(variables[THRESHOLD.env]) == 1_600_000
    assert any(name.startswith("step pod") for name, _ in found) == (file.stem in IN_A_CONFIG_MAP)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", editable(), ids=lambda file: file.stem)
def test_what_a_file_says_is_what_helm_makes_of_it(umbrella: Path, version: str, file: Path) -> None:
    carrier = CarrierFiles((file,)).open()
    for name, variables in of_file(version, file, umbrella):
        said = {each.env: variables[each.env] for each in SETTINGS if each.env in variables}
        assert {each: str(value) for each, value in said.items()} == carrier.settings(), name


@pytest.mark.parametrize("version", VERSIONS)
def test_files_are_laid_over_each_other_as_helm_does(tmp_path: Path, version: str) -> None:
    files = [
        "config:\n  core:\n    xcom_backend: a.B\n    parallelism: 1\nenv:\n- {name: A, value: b}\n",
        "config:\n  core:\n    xcom_backend:\n  common.io:\n    xcom_objectstorage_threshold: 1600000\nenv: []\n",
    ]
    paths = [tmp_path / f"{number}.yaml" for number in range(2)]
    for path, content in zip(paths, files, strict=True):
        path.write_text(content)
    named = CarrierFiles(tuple(paths))
    for changes in ({}, WANTED):
        carrier = named.open()
        carrier.write(carrier.edit(changes))
        carrier = named.open()
        for name, variables in environments(rendered(helm(version), OFFICIAL, *paths)):
            said = {
                each.env: variables[each.env] for each in SETTINGS if variables.get(each.env) not in (None, "<nil>")
            }
            assert said == carrier.settings(), name


@pytest.mark.parametrize("version", VERSIONS)
def test_a_config_map_that_is_a_hook_is_told(tmp_path: Path, version: str) -> None:
    flags = ("false", "no", "off", "False", "null", "", "0", '""', "true", '"false"', "1")
    maps = "".join(f"  m{number}:\n    useHelmHooks: {flag}\n    data: |\n      {BACKEND.env}: a.B\n" for number, flag in enumerate(flags))  # fmt: skip
    own = f'  own:\n    useHelmHooks: false\n    annotations: {{"helm.sh/hook": pre-upgrade}}\n    data: |\n      {BACKEND.env}: a.B\n'
    file = tmp_path / "values.yaml"
    file.write_text(f"extraConfigMaps:\n{maps}{own}  none:\n    data: |\n      {BACKEND.env}: a.B\n")
    metadata = [each["metadata"] for each in rendered(helm(version), OFFICIAL, file) if each["kind"] == "ConfigMap"]
    hooks = {each["name"] for each in metadata if "helm.sh/hook" in (each.get("annotations") or {})}
    carrier = HelmValues.read(file)
    assert hooks == {said.split()[1].removeprefix("extraConfigMaps.") for said in carrier.hooked()}
    assert {"own", "none"} < hooks < {each["name"] for each in metadata}
