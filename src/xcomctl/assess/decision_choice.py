"""Which threshold, why that one, and whether somebody decided on it: the command line, the file, the measurement."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from xcomctl.errors import UserError
from xcomctl.model.decision import Choice, Decided, Evidence, State
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Verdict
from xcomctl.report import units
from xcomctl.report.text import printable


@dataclass(frozen=True)
class Said:
    """What the command line says: the threshold in bytes, who decided, and when."""

    threshold: int | None = None
    by: str | None = None
    at: str | None = None


def choose(said: Said, state: State, evidence: Evidence, today: datetime.date) -> Choice:
    """The choice. ``state`` is what the file remembers.

    A decision is about one threshold: named anew, another one is not decided yet. Raises :class:`UserError` (refused)
    where somebody decided and there is no threshold.
    """
    suggested = evidence.size.answer.suggested if evidence.size is not None else None
    threshold = next((each for each in (said.threshold, state.threshold, suggested) if each is not None), None)
    before = state.decided
    decided = before if before is not None and before.threshold == threshold else None
    if said.by is not None:
        if threshold is None:
            raise UserError("there is no threshold to decide on", "--threshold BYTES, or a measurement: xcomctl size", Verdict.REFUSED)  # fmt: skip
        by = redact(printable(said.by)).strip()
        known = decided.at if decided is not None and decided.by == by else today.isoformat()
        decided = Decided(threshold, by, said.at or known)
    pinned = threshold if decided is not None or said.threshold is not None else state.threshold
    return Choice(
        threshold, _why(evidence, threshold, suggested), suggested, decided, None if decided is not None else before,
        State(pinned, decided or before),
    )  # fmt: skip


def _why(evidence: Evidence, threshold: int | None, suggested: int | None) -> str:
    if threshold is None:
        return ""
    for each in evidence.size.answer.suggestions if evidence.size is not None else ():
        if each.threshold == threshold:
            return f"{each.name}: {each.reason}"
    if suggested is None:
        return "named by hand; nothing was measured that suggests one"
    if threshold == suggested:
        return "what the measurement suggests"
    return f"named by hand; the measurement suggests {units.number(suggested)} bytes ({units.size(suggested)})"
