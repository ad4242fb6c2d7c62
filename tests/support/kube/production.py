"""A deployment as people have it: the walk's Airflow in pods, released with the real helm out of a values file, the desk beside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import Done, Typed, run
from tests.support.kube import binaries, cluster
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.tools import Tools, tools
from tests.support.walk import Walk

CHART = Path(__file__).parents[2] / "data" / "chart"
#: As the runbook has them.
RELEASE = NAMESPACE = "cvntrade"
COMPONENTS = ("scheduler", "worker", "triggerer", "dag-processor", "api-server")
#: Says which age of kubectl and helm is wanted, where it is not the line's own.
TOOLS = "XCOMCTL_TEST_TOOLS"
#: The image's name in the chart.
IMAGE = "airflow"


@dataclass(frozen=True)
class Production:
    """What a test holds. ``values`` is the file that the release is made of."""

    walk: Walk
    kube: Cluster
    desk: Tools
    values: Path

    def write(self, settings: Mapping[str, str], more: str = "") -> None:
        """The values, with the settings where the runbook's deployment has them and ``more`` lines of YAML."""
        said = "".join(f'      {name}: "{value}"\n' for name, value in settings.items())
        self.values.write_text(
            "# production\nexecutor: LocalExecutor\n"
            "extraEnvFrom: |\n  - configMapRef:\n      name: '{{ .Release.Name }}-xcom'\n"
            f"extraConfigMaps:\n  '{{{{ .Release.Name }}}}-xcom':\n    useHelmHooks: false\n    data: |\n{said}"
            f"env:\n  - name: AIRFLOW_HOME\n    value: {self.walk.env['AIRFLOW_HOME']}\n{more}"
        )

    def deploy(self) -> None:
        """``helm upgrade --install``, and wait until every pod is new."""
        done = self.desk.helm("upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace", "--disable-openapi-validation", "-f", str(self.values))  # fmt: skip
        assert done.returncode == 0, done.stderr
        for component in COMPONENTS:
            done = self.desk.kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{RELEASE}-{component}", "--timeout=60s")  # fmt: skip
            assert done.returncode == 0, done.stderr

    def xcomctl(self, command: str, *arguments: str, components: tuple[str, ...] = ("scheduler",)) -> Done:
        """A command as it is typed at the desk, about these components."""
        words = [word for component in components for word in ("--component", component)]
        argv = [sys.executable, "-m", "xcomctl", command, *arguments, "-n", NAMESPACE, *words]
        environment = {**self.desk.environment, "XDG_STATE_HOME": str(self.desk.folder / "state")}
        return run(Typed(argv, environment)).orderly()

    def shell(self, line: str) -> Done:
        """A line of a shell at the desk, with its own kubectl and helm."""
        return run(Typed(["bash", "-c", line], self.desk.environment))

    def inside(self, line: str, component: str = "scheduler", folder: Path | None = None) -> Done:
        """A line of a shell in a pod."""
        said = line if folder is None else f"cd {folder} && {line}"
        done = self.desk.kubectl("-n", NAMESPACE, "exec", "-i", f"deploy/{RELEASE}-{component}", "-c", component, "--", "bash", "-c", said, timeout=300)  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)


@contextmanager
def production(walk: Walk, folder: Path) -> Iterator[Production]:
    """The cluster, with nothing released yet; 2.11 has the older tools, 3.3 the newer ones, unless :data:`TOOLS` says otherwise."""
    image = Image({**walk.env, "PATH": f"{walk.python.parent}{os.pathsep}/usr/local/bin:/usr/bin:/bin"}, isolated=True)
    version = os.environ.get(TOOLS) or (binaries.OLDER if walk.line == "2" else binaries.NEWER)
    with cluster.running(folder / "cluster", {IMAGE: image}) as kube:
        yield Production(walk, kube, tools(kube, version, folder / "desk"), folder / "values-prod.yaml")
