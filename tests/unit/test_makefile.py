"""The Makefile where the machine differs: which npm it takes, and where that keeps what it fetches."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def script(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("node", "npm", "taken"),
    [("v20.20.2", "11.19.1", "system"), ("v16.0.0", "7.0.0", "system"), ("v12.22.9", "11.0.0", "wheel"), ("v20.1.0", "6.14.4", "wheel"), ("", "", "wheel")],
)  # fmt: skip
def test_an_npm_that_is_too_old_is_none(tmp_path: Path, node: str, npm: str, taken: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    ours, theirs = tmp_path / ".venv" / "bin", tmp_path / "system"
    say = 'echo "{} $npm_config_cache" > said'
    script(ours / "uv", f"printf '#!/bin/sh\\n{say.format('wheel')}\\n' > .venv/bin/npm; chmod +x .venv/bin/npm")
    for name, version in (("node", node), ("npm", npm)):
        script(theirs / name, f"[ $1 = --version ] && {{ echo {version}; exit; }}; {say.format('system')}" if version else "exit 127")  # fmt: skip
    (tmp_path / ".venv" / ".stamp-lock").touch()
    environment = {**os.environ, "PATH": f"{theirs}:{os.environ['PATH']}", "HOME": ""}
    environment.pop("npm_config_cache", None)
    done = subprocess.run(["make", ".venv/.stamp-logql"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text().split() == [taken, str(tmp_path / ".cache" / "npm")]
