"""Runs a command of xcomctl from a bare checkout, with nothing installed but an Airflow.

Written for Pythons that are too old for the rest as well, so that they say so in one sentence.
"""

import sys
from pathlib import Path


def run(command):
    """Run ``xcomctl COMMAND`` with the arguments of this process; its exit code."""
    if sys.version_info < (3, 11):
        sys.stderr.write(
            f"xcomctl: error: this needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}; run it "
            f"with a newer one, and reach this context with: xcomctl {command} --via 'PREFIX'\n"
        )
        return 2
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
    from xcomctl.cli.main import main

    return main([command, *sys.argv[1:]])
