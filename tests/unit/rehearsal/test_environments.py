"""Which environments a rehearsal accepts, and what it says of the others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from xcomctl.model.verdicts import Verdict
from xcomctl.rehearsal.environments import UnusableEnvironment, build, existing


def fake_environment(folder: Path, packages: dict[str, str]) -> Path:
    """A Python that has these distributions installed, and nothing of ours."""
    site = folder / "site"
    for name, version in packages.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    return folder


GOOD = {
    "apache-airflow": "2.11.2",
    "apache-airflow-providers-common-io": "1.11.0",
    "apache-airflow-providers-amazon": "9.39.0",
    "s3fs": "2026.9.0",
    "psycopg2-binary": "2.9.13",
}


def test_an_environment_with_all_it_needs(tmp_path: Path) -> None:
    environment = existing(fake_environment(tmp_path, GOOD), store="s3")
    assert environment.airflow == "2.11.2"
    assert environment.packages["apache-airflow-providers-common-io"] == "1.11.0"


@pytest.mark.parametrize(
    ("change", "store", "sentence"),
    [
        ({"s3fs": None}, "s3", "lacks s3fs"),
        ({"psycopg2-binary": None}, "file", "lacks psycopg2-binary"),
        ({"apache-airflow": "3.0.2"}, "s3", "lacks asyncpg"),
        ({"apache-airflow": "2.8.4"}, "s3", "Airflow 2.8.4 is too old"),
        ({"apache-airflow": None}, "s3", "No Airflow is installed"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, change: dict[str, str | None], store: str, sentence: str
) -> None:
    packages = {name: version for name, version in {**GOOD, **change}.items() if version is not None}
    with pytest.raises(UnusableEnvironment, match=sentence) as caught:
        existing(fake_environment(tmp_path, packages), store=store)
    if "lacks" in sentence:
        assert caught.value.hint.startswith("uv pip install --python ")


def test_a_folder_store_needs_no_s3fs(tmp_path: Path) -> None:
    packages = {
        name: version for name, version in GOOD.items() if name not in ("s3fs", "apache-airflow-providers-amazon")
    }
    assert existing(fake_environment(tmp_path, packages), store="file").airflow == "2.11.2"


def test_a_path_that_is_no_environment(tmp_path: Path) -> None:
    with pytest.raises(UnusableEnvironment, match="There is no Python at"):
        existing(tmp_path, store="s3")


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(UnusableEnvironment, match="does not run as a Python"):
        existing(script, store="s3")


@pytest.mark.parametrize("version", ["2.8.4", "1.10.15"])
def test_an_airflow_that_is_too_old_is_refused_before_anything_is_built(version: str) -> None:
    with pytest.raises(UnusableEnvironment, match="too old") as caught:
        build(version, python=None, requirements=None, store="s3", waiting=lambda what: None)
    assert caught.value.verdict is Verdict.REFUSED


def test_something_that_is_no_version() -> None:
    with pytest.raises(UnusableEnvironment, match="'latest' is not a version of Airflow"):
        build("latest", python=None, requirements=None, store="s3", waiting=lambda what: None)


def test_requirements_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnusableEnvironment, match=r"gone\.txt cannot be read: No such file"):
        build("3.1.8", python=None, requirements=tmp_path / "gone.txt", store="s3", waiting=lambda what: None)
