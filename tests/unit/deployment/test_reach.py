"""Variables for a program behind a reach: on top of what it has there, and of this machine's only where it is this one."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from xcomctl.deployment.reach.command import CommandReach
from xcomctl.deployment.reach.interface import Reach
from xcomctl.deployment.reach.local import LocalReach

PRINT = ["-c", "import os; print(os.environ.get('A'), os.environ.get('B'), os.environ.get('C'))"]
ODD = "two words, 'quotes' and $HOME"


def printed(reach: Reach) -> str:
    done = subprocess.run(
        reach.argv(PRINT), env=None if reach.environment is None else dict(reach.environment), capture_output=True, text=True, check=True
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize(
    "reach",
    [
        LocalReach(Path(sys.executable)),
        LocalReach(Path(sys.executable), {"A": "there", "B": "there", "C": "there"}),
        CommandReach.parse("env A=there B=there C=there", python=sys.executable),
        CommandReach(("sh", "-c"), python=sys.executable, through_shell=True),
    ],
)
def test_they_come_on_top_of_what_is_there(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ABC":
        monkeypatch.setenv(name, "there")
    assert printed(reach) == "there there there"
    assert printed(reach.with_variables({"A": ODD}).with_variables({"B": "new"})) == f"{ODD} new there"
    assert printed(reach) == "there there there" and reach.with_variables({"A": "x"}).name == reach.name


def test_a_prefix_that_needs_none_is_left_as_it_is() -> None:
    assert CommandReach.parse("ssh host").argv(["-c", "x"]) == ["ssh", "host", shlex.join(["python", "-c", "x"])]
