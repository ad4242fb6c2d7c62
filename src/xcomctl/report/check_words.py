"""Checks in words: what every renderer calls them, said once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from xcomctl.model.verdicts import Check, Status


def by_category(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """The checks grouped, categories in order of appearance."""
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.category, []).append(check)
    return groups


def tally(checks: Iterable[Check]) -> str:
    """The count per status: ``12 OK, 1 WARN, 1 FAIL``; ``nothing was checked`` for none."""
    seen = Counter(check.status for check in checks)
    return ", ".join(f"{seen[status]} {label(status)}" for status in Status if seen[status]) or "nothing was checked"


def label(status: Status) -> str:
    """``OK``, ``WARN``, ``FAIL`` or ``SKIP``."""
    return status.value.upper()


def told(check: Check) -> str:
    """What a check's line says: its detail, or its title where there is none."""
    return check.detail or check.title
