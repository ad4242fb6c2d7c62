"""The real programs, led to a cluster: what a person has at the desk."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.kube import binaries
from tests.support.kube.cluster import Cluster


@dataclass(frozen=True)
class Tools:
    """``kubectl`` and ``helm`` of one age in a folder of their own; ``environment`` has them on its ``PATH``."""

    cluster: Cluster
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a desk whose only cluster is this one. Nothing is kept in the person's own home."""
        return {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.cluster.kubeconfig),
        }

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process, and what it starts, sit at this desk for a test."""
        for name in ("PATH", "HOME", "KUBECONFIG"):
            monkeypatch.setenv(name, self.environment[name])

    def kubectl(self, *words: str, stdin: bytes = b"", timeout: float = 90) -> subprocess.CompletedProcess[str]:
        """One command, to its end. Output that is no UTF-8 is no output of kubectl."""
        return self._run("kubectl", words, stdin, timeout)

    def helm(self, *words: str, stdin: bytes = b"", timeout: float = 90) -> subprocess.CompletedProcess[str]:
        """One command, to its end."""
        return self._run("helm", words, stdin, timeout)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A ``kubectl`` that goes on, with pipes to and from it."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [str(self.folder / "bin" / "kubectl"), *words], env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def _run(
        self, program: str, words: tuple[str, ...], stdin: bytes, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.folder / "bin" / program), *words],
            env=self.environment,
            input=stdin,
            capture_output=True,
            timeout=timeout,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def tools(cluster: Cluster, version: str, folder: Path) -> Tools:
    """The tools of one age; ``folder`` becomes their home."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "kubectl").symlink_to(binaries.kubectl(version))
    (folder / "bin" / "helm").symlink_to(binaries.helm(version))
    return Tools(cluster, folder)
