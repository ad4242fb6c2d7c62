"""The zip that is streamed into contexts, and the one line that takes it in."""

from __future__ import annotations

import io
import shlex
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.pythons import installed, version_of
from xcomctl.deployment import bundle

#: The oldest Python that Airflow's contexts may have, where this machine has it.
OLDEST = [python for python in installed() if version_of(python)[:2] == (3, 9)]


def names() -> list[str]:
    return zipfile.ZipFile(io.BytesIO(bundle.pack())).namelist()


def test_it_is_deterministic() -> None:
    first = bundle.pack()
    bundle.pack.cache_clear()
    assert bundle.pack() == first
    assert bundle.framed() == len(first).to_bytes(8, "big") + first


def test_it_holds_what_lies_below_the_line_and_nothing_else() -> None:
    packed = names()
    assert packed == sorted(packed)
    assert {"xcomctl/__init__.py", "xcomctl/agent/boot.py", "xcomctl/model/frames.py"} <= set(packed)
    assert {name.split("/")[1] for name in packed} - {"__init__.py"} <= set(bundle.PACKAGES)
    assert all(name.endswith(".py") for name in packed)


def test_the_bootstrap_passes_through_shells() -> None:
    assert not set("'\\$`\n!") & set(bundle.BOOTSTRAP)
    assert shlex.quote(bundle.BOOTSTRAP) == f"'{bundle.BOOTSTRAP}'"
    assert len(bundle.BOOTSTRAP) < 1000


@pytest.mark.parametrize("python", OLDEST, ids=str)
def test_every_module_imports_on_a_bare_python_3_9_from_the_zip(python: Path, tmp_path: Path) -> None:
    archive = tmp_path / "xcomctl.zip"
    archive.write_bytes(bundle.pack())
    modules = [name[:-3].removesuffix("/__init__").replace("/", ".") for name in names()]
    program = f"import sys; sys.path.insert(0, {str(archive)!r})\nfor name in {modules!r}: __import__(name)"
    ended = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
