"""A deploy as a command: it waits for the deploy, tells how that ended, and is gone with its block."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from xcomctl.errors import UserError
from xcomctl.rehearsal.sandbox.deploys import deploying


def test_the_command_ends_when_the_deploy_has(tmp_path: Path) -> None:
    deployed: list[str] = []
    with deploying(tmp_path, lambda: deployed.append("once")) as command:
        assert subprocess.run(shlex.split(command)).returncode == 0
        assert deployed == ["once"]
        assert subprocess.run(shlex.split(command)).returncode == 0
    assert deployed == ["once", "once"]
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(shlex.split(command), stderr=subprocess.DEVNULL).returncode != 0


def test_a_deploy_that_fails_fails_the_command(tmp_path: Path) -> None:
    def fail() -> None:
        raise UserError("nothing came up")

    with deploying(tmp_path, fail) as command:
        assert subprocess.run(shlex.split(command)).returncode != 0
