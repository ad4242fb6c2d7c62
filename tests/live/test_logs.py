"""The Loki of a deployment beside its pods: status, verify and the kill-switch show what it says, through kubectl's own
port-forward, and take nothing for clean that they could not see."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import Done, Typed, run
from tests.support.kube import samples
from tests.support.kube.production import IMAGE, NAMESPACE, Production, production
from tests.support.loki.server import fake_loki
from tests.support.walk import THRESHOLD, Walk
from xcomctl.model.phases import Phase
from xcomctl.model.settings import settings_for

PRESET = ("--preset", "path-handed-over", "--since", "15m", "-o", "jsonl")


def typed(prod: Production, command: str, *arguments: str) -> Done:
    """A command about the deployment, as the desk types it."""
    argv = [
        sys.executable,
        "-m",
        "xcomctl",
        command,
        *arguments,
        "--config",
        str(prod.values.with_name("xcomctl.toml")),
        "-D",
        "prod",
    ]
    return run(Typed(argv, {**prod.desk.environment, "XDG_STATE_HOME": str(prod.desk.folder / "state")})).orderly()


def command_lines() -> Iterator[str]:
    """Of every process on this machine."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield file.read_text(errors="replace").replace("\0", " ")


@pytest.fixture(scope="module")
def seen(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Each command while Loki has nothing of this Airflow, while all is well, with a line that is not, and without Loki."""
    found: dict[str, Any] = {}
    with production(walk, tmp_path_factory.mktemp("logs")) as prod, fake_loki() as loki:
        prod.values.with_name("xcomctl.toml").write_text(
            f'[deployments.prod]\nnamespace = "{NAMESPACE}"\ncontext = "fake"\ncomponents = ["scheduler"]\n'
            f'[deployments.prod.settings]\npath = "{walk.base_path}"\nthreshold = {THRESHOLD}\n'
            '[deployments.prod.loki]\nnamespace = "monitoring"\n'
        )
        prod.write(settings_for(Phase.OFFLOAD, walk.base_path, THRESHOLD))
        prod.deploy()
        pod, service = samples.loki(loki.port)
        pod["spec"]["containers"][0]["image"] = IMAGE
        prod.kube.put(pod, service)
        labels = {"namespace": NAMESPACE, "container": "base", "stream": "stdout"}
        found["nothing of it"] = typed(prod, "verify", "-o", "json")
        loki.push(labels, [(time.time_ns() - 10**10, "all is well")])
        found["clean"] = typed(prod, "verify", "-o", "json")
        line = f"got {walk.base_path}/dag/run/task/0c9f5f2e-2d5e-4a88-9d7c-0123456789ab"
        loki.push(labels, [(time.time_ns() - 10**9, line)])
        found["handed over"] = typed(prod, "verify", "-o", "json")
        found["status"] = typed(prod, "status", "-o", "json")
        found["killswitch"] = typed(prod, "killswitch", "--dry-run", "-o", "json")
        found["lines"] = typed(prod, "logs", *PRESET)
        found["forwards"] = prod.kube.forwards
        found["left"] = [each for each in command_lines() if "port-forward" in each and str(prod.desk.folder) in each]
        prod.kube.access.denied.update({("get", "pods/portforward"), ("create", "pods/portforward")})
        found["forbidden"] = typed(prod, "verify", "-o", "json")
        yield found


def row(done: Done) -> tuple[str, str]:
    """The status and the words of Loki's row."""
    (found,) = [each for each in done.record["checks"] if each["id"] == "logs_loki"]
    return found["status"], found["detail"]


def test_verify_is_validated_only_where_there_could_have_been_a_line(seen: dict[str, Any]) -> None:
    assert (seen["nothing of it"].code, row(seen["nothing of it"])[0]) == (5, "skip")
    assert "a wrong label also finds nothing (F46)" in row(seen["nothing of it"])[1]
    assert (seen["clean"].code, row(seen["clean"])[0]) == (0, "ok"), seen["clean"].err


def test_a_line_is_a_kill_switch_for_verify_and_a_warning_for_status(seen: dict[str, Any]) -> None:
    said = "Loki: 1 line of path-handed-over "
    assert seen["handed over"].code == 3 and row(seen["handed over"])[1].startswith(said)
    status, detail = row(seen["status"])
    assert status == "warn" and detail.startswith(said)
    assert seen["killswitch"].record["sees"]["logs"].startswith(f"WARN {said}")
    assert seen["lines"].code == 0 and seen["lines"].out.count("got s3://") == 1


def test_a_loki_that_cannot_be_reached_is_inconclusive(seen: dict[str, Any]) -> None:
    assert seen["forbidden"].code == 5 and row(seen["forbidden"])[0] == "skip"
    assert "pods/portforward" in row(seen["forbidden"])[1]


def test_each_has_its_own_way_to_it_and_none_is_left(seen: dict[str, Any]) -> None:
    assert seen["forwards"] == ["loki-0"] * 6 and not seen["left"]
