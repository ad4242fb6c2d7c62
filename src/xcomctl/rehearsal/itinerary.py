"""What a rehearsal plays, in which order: scenarios share the phases that Airflow is in, since each restart costs."""

from __future__ import annotations

from collections.abc import Collection

from xcomctl.model.phases import Phase
from xcomctl.rehearsal.scenarios import misconfigured, object_deleted, runbook, store_stopped, ways_down
from xcomctl.rehearsal.scenarios.hard import Hard
from xcomctl.rehearsal.scenarios.interface import Act, Leg
from xcomctl.rehearsal.scenarios.runbook import Runbook
from xcomctl.rehearsal.scenarios.soft import Soft

START = Leg("start", "", Phase.INLINE)
HALF_WAY_UP = Leg("up", "Step up to dual-read", Phase.DUAL_READ)
OFFLOAD = Leg("flip", "Flip to offload, threshold {threshold:,} bytes", Phase.OFFLOAD)
SOFT_DOWN = Leg("soft_killswitch", "Soft kill-switch: down to dual-read", Phase.DUAL_READ, ways_down.soft)
SOFT_OUT = Leg("soft_exit", "On to inline: every reference back into the database first", Phase.INLINE, ways_down.out)
UP_AGAIN = Leg("up_again", "Up to offload again", Phase.OFFLOAD)
REVERTED = Leg("revert", "Bare revert to inline, as the runbook's step 1 does", Phase.INLINE)

UP_ONCE_MORE = Leg("up_once_more", "Up to offload once more", Phase.OFFLOAD)
HARD_DOWN = Leg("hard_killswitch", "Hard kill-switch: pause, revert, clear, unpause", Phase.INLINE, ways_down.hard)


#: Scenarios that try something on the values of a run under ``offload``, and under ``dual-read`` on the way down.
_TRIED = frozenset({"store-stopped", "misconfigured", "object-deleted"})


def acts(scenarios: Collection[str]) -> tuple[Act, ...]:
    """The acts of these scenarios, in the order in which they are played."""
    book, soft, hard = Runbook(), Soft(), Hard()
    tried = bool(_TRIED & set(scenarios))
    # What the runbook leaves behind is measured by a run whose references nothing has written back before.
    with_book = UP_AGAIN if tried or "soft" in scenarios else OFFLOAD
    first = () if with_book is OFFLOAD else (Act(OFFLOAD, "", runbook.early),) if tried else ()
    if "runbook" not in scenarios:
        with_book, first = OFFLOAD, ()
    everything = (
        Act(START, "runbook", book.inline),
        Act(HALF_WAY_UP, "soft", soft.up),
        *first,
        *((Act(OFFLOAD, "", runbook.offload),) if with_book is OFFLOAD else ()),
        Act(OFFLOAD, "store-stopped", store_stopped.writes),
        Act(OFFLOAD, "misconfigured", misconfigured.play),
        Act(OFFLOAD, "soft", soft.in_flight),
        Act(SOFT_DOWN, "soft", soft.down),
        Act(SOFT_DOWN, "store-stopped", store_stopped.reads),
        Act(SOFT_DOWN, "object-deleted", object_deleted.play),
        Act(SOFT_OUT, "soft", soft.out),
        *((Act(UP_AGAIN, "", runbook.offload),) if with_book is UP_AGAIN else ()),
        Act(with_book, "runbook", book.in_flight),
        Act(REVERTED, "runbook", book.reverted),
        Act(UP_ONCE_MORE, "hard", hard.in_flight),
        Act(HARD_DOWN, "hard", hard.down),
    )
    return tuple(act for act in everything if not act.scenario or act.scenario in scenarios)


def legs(scenarios: Collection[str]) -> tuple[Leg, ...]:
    """The legs of these scenarios, in their order, the first one where the sandbox starts: a restart lies between two."""
    found = [START]
    for act in acts(scenarios):
        if act.leg.phase is not found[-1].phase:
            found.append(act.leg)
    return tuple(found)
