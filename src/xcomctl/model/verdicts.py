"""Checks, their status, and the verdict and exit code that a set of them amounts to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional


class Status(str, Enum):
    """What one check found."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Verdict(str, Enum):
    """What a command as a whole found; each has one exit code."""

    OK = "ok"
    FAILED = "failed"
    WARNINGS = "warnings"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"
    INTERRUPTED = "interrupted"

    @property
    def exit_code(self) -> int:
        """The process exit code that announces this verdict."""
        return EXIT_CODES[self]


#: Exit codes besides these: 1 unexpected, 2 usage. Warnings count only with ``--fail-on-warn``.
EXIT_CODES: Mapping[Verdict, int] = {
    Verdict.OK: 0,
    Verdict.FAILED: 3,
    Verdict.WARNINGS: 4,
    Verdict.INCONCLUSIVE: 5,
    Verdict.REFUSED: 6,
    Verdict.INTERRUPTED: 130,
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what was seen.

    ``hint`` is the command or the line that mends a fail. ``data`` holds plain JSON values only.
    """

    id: str
    category: str
    title: str
    status: Status
    detail: str = ""
    hint: str = ""
    duration_ms: Optional[float] = None
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The check as plain JSON values, as every report carries it."""
        return {
            "id": self.id,
            "category": self.category,
            "title": self.title,
            "status": self.status.value,
            "detail": self.detail,
            "hint": self.hint,
            "duration_ms": self.duration_ms,
            "data": dict(self.data),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Check:
        """The inverse of :meth:`to_json`. Raises ``KeyError`` or ``ValueError`` for a record that is not one."""
        return cls(
            id=record["id"],
            category=record["category"],
            title=record["title"],
            status=Status(record["status"]),
            detail=record.get("detail", ""),
            hint=record.get("hint", ""),
            duration_ms=record.get("duration_ms"),
            data=dict(record.get("data", {})),
        )


def verdict_of(checks: Iterable[Check], *, fail_on_warn: bool = False) -> Verdict:
    """The verdict that the checks amount to.

    A fail outweighs a skip, a skip outweighs a warning: what could not be measured is never reported as ok. No check
    at all measured nothing, which is inconclusive too.
    """
    seen = {check.status for check in checks}
    if Status.FAIL in seen:
        return Verdict.FAILED
    if Status.SKIP in seen or not seen:
        return Verdict.INCONCLUSIVE
    if Status.WARN in seen and fail_on_warn:
        return Verdict.WARNINGS
    return Verdict.OK
