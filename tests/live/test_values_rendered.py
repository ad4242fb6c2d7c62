"""Edited values rendered by the real helm, older and newer, against a chart that takes settings as the official one does:
what every workload gets, and the pods of tasks."""

from __future__ import annotations

import configparser
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.kube.binaries import VERSIONS, helm
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.model.phases import Phase
from xcomctl.model.settings import SETTINGS, THRESHOLD, settings_for

pytestmark = pytest.mark.first_line_only

ROOT = Path(__file__).parents[2]
CHART = ROOT / "tests" / "data" / "chart"
VALUES = ROOT / "tests" / "data" / "values"
EXAMPLE = ROOT / "infra" / "helm" / "airflow" / "values-prod.yaml"
WANTED = settings_for(Phase.OFFLOAD, "s3://xcom_s3@artifacts/xcom", 1_600_000)
WORKLOADS = {"scheduler", "worker", "triggerer", "dag-processor", "api-server", "task pod"}
#: Not for this chart: other charts' and compose files, `data:` as a mapping, which the official chart cannot render either,
#: and Celery's workers apart, where no task has a pod of its own.
OTHERS = ("community-", "compose-", "umbrella-", "configmap-mapping", "workers-celery")


def editable() -> list[Path]:
    found = [file for file in sorted(VALUES.glob("*.yaml")) if not file.stem.startswith(OTHERS)]
    return [EXAMPLE, *(file for file in found if not file.with_suffix(".diff").read_bytes().startswith(b"refused"))]


def rendered(binary: Path, *files: Path) -> list[dict[str, Any]]:
    options = [word for file in files for word in ("-f", str(file))]
    done = subprocess.run(
        [binary, "template", "cvntrade", CHART, *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [document for document in YAML(typ="safe", pure=True).load_all(done.stdout) if document]


def environments(documents: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, str]]]:
    """What each container gets, as Kubernetes resolves it: ``envFrom`` in order, ``env`` over it, over ``airflow.cfg``."""
    maps = {each["metadata"]["name"]: each["data"] for each in documents if each["kind"] == "ConfigMap"}
    config = configparser.ConfigParser()
    config.read_string(maps["cvntrade-config"]["airflow.cfg"])
    pods = [(each["metadata"]["labels"]["component"], each["spec"]["template"]["spec"]) for each in documents if each["kind"] == "Deployment"]  # fmt: skip
    template = YAML(typ="safe", pure=True).load(maps["cvntrade-config"]["pod_template_file.yaml"])
    for name, spec in (*pods, ("task pod", template["spec"])):
        for container in spec["containers"]:
            found = {each.env: config.get(each.section, each.key) for each in SETTINGS if config.has_option(each.section, each.key)}  # fmt: skip
            for source in container["envFrom"] or ():
                found.update(maps.get(source.get("configMapRef", {}).get("name"), {}))
            found.update({each["name"]: each["value"] for each in container["env"] if "value" in each})
            yield name, found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", editable(), ids=lambda file: file.stem)
def test_every_workload_gets_what_was_written(tmp_path: Path, version: str, file: Path) -> None:
    carrier = CarrierFiles((file,)).open()
    edited = tmp_path / "values.yaml"
    edited.write_bytes(carrier.edit(WANTED).after)
    found = dict(environments(rendered(helm(version), edited)))
    assert set(found) == WORKLOADS
    for name, variables in found.items():
        assert {each: variables.get(each) for each in WANTED} == WANTED, name
        assert int(variables[THRESHOLD.env]) == 1_600_000


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("file", editable(), ids=lambda file: file.stem)
def test_what_a_file_says_is_what_helm_makes_of_it(version: str, file: Path) -> None:
    carrier = CarrierFiles((file,)).open()
    for name, variables in environments(rendered(helm(version), file)):
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
        for name, variables in environments(rendered(helm(version), *paths)):
            said = {
                each.env: variables[each.env] for each in SETTINGS if variables.get(each.env) not in (None, "<nil>")
            }
            assert said == carrier.settings(), name
