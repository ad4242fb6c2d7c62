"""Three thresholds to choose from, each with its reason, none below the floor (F36)."""

from __future__ import annotations

from typing import Callable

from xcomctl.model.settings import THRESHOLD_FLOOR, floor_for
from xcomctl.model.size import AGGRESSIVE, MODERATE, NEAR_INERT, Effect, Floor, Suggestion
from xcomctl.sizing import ladder
from xcomctl.sizing.sizes import Sizes

#: What share of the bytes the moderate one moves: the first of these that is below the near-inert one.
_MODERATE = (0.5, 0.8, 0.9, 0.95, 0.99)


def floor_of(skipmixin_bytes: int, skipmixin_of: str = "") -> Floor:
    """The lowest threshold that is safe where the largest ``skipmixin_key`` has that many bytes (0: there is none)."""
    return Floor(floor_for(skipmixin_bytes), skipmixin_bytes, skipmixin_of)


def suggestions(sizes: Sizes, quantile: float, floor: Floor, effect: Callable[[int], Effect]) -> tuple[Suggestion, ...]:
    """Near-inert, moderate, aggressive; empty without values. ``effect`` says what a threshold does."""
    if not sizes.values:
        return ()
    lowest = ladder.round_up(floor.bytes)
    size = sizes.quantile(quantile)
    inert = max(ladder.round_up(size + 1), lowest)  # a value of just the threshold leaves
    moderate, share = _moderate(sizes, lowest, inert)
    return (
        Suggestion(NEAR_INERT, inert, _near_inert(quantile, size, inert, floor), effect(inert)),
        Suggestion(MODERATE, moderate, _moderate_reason(share, moderate, inert), effect(moderate)),
        Suggestion(AGGRESSIVE, lowest, _aggressive(floor, lowest), effect(lowest)),
    )


def _near_inert(quantile: float, size: int, inert: int, floor: Floor) -> str:
    share = f"{quantile * 100:.6g} %"
    if ladder.round_up(size + 1) < inert:
        return f"{share} of the values have at most {size:,} bytes; no threshold is lower than the floor of {floor.bytes:,}"
    return f"{share} of the values have at most {size:,} bytes: they stay in the database as they are"


def _moderate(sizes: Sizes, lowest: int, inert: int) -> tuple[int, float]:
    """The highest number of the ladder at which one of these shares of the bytes leaves, and the share: the first of them
    that the near-inert one does not move. 0 where none is moved, 1 where the near-inert one moves all that can be."""
    total = sizes.bytes or 1
    moved = {number: sizes.above(number).bytes / total for number in ladder.LADDER if number >= lowest}
    for share in _MODERATE:
        reaching = [number for number, part in moved.items() if part >= share]
        if not reaching:
            return lowest, 0.0 if share == _MODERATE[0] else 1.0
        if max(reaching) < inert:
            return max(reaching), share
    return lowest, 1.0


def _moderate_reason(share: float, moderate: int, inert: int) -> str:
    if moderate == inert:
        return "no number between the two others moves more"
    if not share:
        return "even the lowest that is safe moves less than half of the bytes"
    if share == 1:
        return "the lowest that is safe: near-inert moves nearly as many of the bytes already"
    return f"the highest that takes {share * 100:.0f} % of the bytes out of the database"


def _aggressive(floor: Floor, lowest: int) -> str:
    if floor.bytes > THRESHOLD_FLOOR:
        return f"the lowest that is safe: twice the largest skipmixin_key ({floor.skipmixin_bytes:,} bytes, {floor.skipmixin_of})"
    return f"the lowest that is safe: the scheduler reads skipmixin_key past the backend, so never below {lowest:,}"
