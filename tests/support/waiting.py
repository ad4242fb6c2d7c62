"""Waiting for what another process or thread brings about."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], what: str, *, timeout_s: float = 60, every_s: float = 0.02) -> None:
    """Look again and again until it holds; fail with ``what`` after so many seconds."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(every_s)
