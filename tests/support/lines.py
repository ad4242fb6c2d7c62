"""Programs on the Python of an Airflow line, for what one SQLAlchemy or the other decides."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def output_on(line: str, program: str) -> str:
    """What a program prints in the environment of a line (``3.3``, ``2.11``), where it has to end well."""
    python = ROOT / ".venvs" / f"airflow-{line}" / "bin" / "python"
    assert python.exists(), "run: make envs"
    done = subprocess.run([str(python), "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
