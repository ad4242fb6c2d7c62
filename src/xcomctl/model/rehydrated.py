"""A rehydrate at the desk: what it stands before, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from xcomctl.model.refs import RefTotals
from xcomctl.model.rehydrate import UNREAD, RehydrateAnswer
from xcomctl.model.retrigger import HeldBefore
from xcomctl.model.verdicts import Verdict


@dataclass(frozen=True)
class Before:
    """What stands to be rehydrated: the phases of the contexts, what is stored in the scope, and what is worth knowing.

    ``readers`` counts the runs that may have got path strings until now, ``held`` is what tells them afterwards.
    """

    phases: Mapping[str, str]
    totals: RefTotals
    notes: tuple[str, ...]
    readers: int = 0
    held: tuple[HeldBefore, ...] = ()

    @property
    def rows(self) -> int:
        """The references, aliases among them."""
        return self.totals.references + self.totals.aliases


@dataclass(frozen=True)
class After:
    """How it ended, in seconds; ``left`` is a scan of everything afterwards, ``None`` where only a part was asked for.

    ``disturbed``: what was up although nothing was to be, as far as that was checked.
    """

    answer: RehydrateAnswer
    seconds: float
    left: Optional[RefTotals] = None
    disturbed: str = ""

    @property
    def verdict(self) -> Verdict:
        """Failed where something is left that blocks ``inline``; inconclusive for a store that did not answer, or a reader
        that nobody reckoned with."""
        answer, left = self.answer, self.left
        if answer.store_error or answer.left.get(UNREAD) or self.disturbed:
            return Verdict.INCONCLUSIVE
        if left is not None:
            blocking = left.references or left.aliases or left.outside or left.pickled
            return Verdict.FAILED if blocking else Verdict.OK
        return Verdict.FAILED if answer.left_rows else Verdict.OK
