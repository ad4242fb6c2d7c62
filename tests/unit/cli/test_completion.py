"""``xcomctl completion``, and what its shell code asks the command line for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xcomctl.cli.completion import SHELLS
from xcomctl.cli.main import COMMANDS, main


@pytest.mark.parametrize("shell", SHELLS)
def test_shell_code_names_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "xcomctl" in capsys.readouterr().out


def test_the_tab_key_offers_every_command(tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    environment = {
        **os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "COMP_LINE": "xcomctl ",
        "COMP_POINT": "8", "COMP_TYPE": "9", "_ARGCOMPLETE_IFS": "\n",
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "xcomctl"], env=environment, check=True)
    assert set(COMMANDS) <= {word.strip() for word in answer.read_text().split("\n")}
