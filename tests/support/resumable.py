"""Long parts that can be called again: a case that ended well at this commit is not run twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def once(part: str, case: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures of a case: from the earlier call that was interrupted after it, else by running it now.

    Kept below ``.cache`` by commit; a work tree that differs from its commit keeps nothing.
    """
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    status = [*git, "status", "--porcelain", "--", "src", "tests", "requirements"]
    clean = commit and not subprocess.run(status, capture_output=True, text=True).stdout.strip()
    kept = ROOT / ".cache" / "full" / commit / part / f"{case}.json"
    if clean and kept.exists():
        figures: dict[str, Any] = json.loads(kept.read_text())
        return figures
    figures = run()
    if clean:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(figures))
    return figures
