"""The lines of DESIGN §1 and §2 that keep path strings from tasks. Each can be left out, to see what it is there for."""

from __future__ import annotations

from enum import Enum


class BarrierLine(Enum):
    """A line of the barrier (DESIGN §2), in its own words; what begins with dots is part of the line before it."""

    UP = "the last context that starts or hosts tasks is up in the new phase"
    GONE = "the last old one is gone"
    GONE_WHEN = "… and T is not before that"
    RUNNING = "no task instance runs whose last start is before T"
    RESTARTING = "… or restarts"
    LOG_ROW = "the start is the last log row event='running': start_date survives deferral and reschedule"
    MARGIN = "… before T plus a clock margin"
    NO_ROW = "no such row, since db clean removes them, blocks"
    QUEUED = "none is queued with queued_dttm before T"
    QUEUED_BEFORE = "… and none that was started soon after T"
    POD = "no unfinished task or step pod created before T is left"
    POD_OF_ANY_STATE = "… whatever its instance's state"
    POD_OF_OLD = "… nor one that a process made which started before T"
    PODS_SEEN = "pods not visible to us: inconclusive"
    LEFT = (
        "no instance left running without a known end of its process within the heartbeat time-out plus the kill grace"
    )
    LEFT_AND_BACK = "… whether or not the instance runs again"
    COVERED = "a host that no context covers: inconclusive"
    RUNNING_PROCESS = "evidence is what the running process resolves, not what a fresh exec sees"
    NEXT_START = "what a context would start next has the new settings too"
    ACCEPTED = "what was accepted before dual-read blocks inline until it has ended"
    LAST_PASS = "offload → dual-read passes its barrier before the last rehydrate pass"


class Rule(Enum):
    """What else of DESIGN §1 and §3 the argument rests on."""

    BARRIER = "between two steps stands a barrier"
    ADJACENT = "adjacent steps: inline beside offload is not safe"
    GATE = "dual-read → inline is refused while any row of xcom holds a reference"
    FINISHED_RUNS = "references of finished runs are read too (what --keep-finished gives up)"
    ALIASES = "an alias blocks inline"
    SECOND_SCAN = "after inline's own barrier a second scan confirms it, and its readers are suspects"
    STOPPED = "with the whole fleet stopped and no task or step pod alive any step is one deploy"
    BACKFILL = "a 2.x backfill ignores that its DAG is paused"
    DEPLOYED_FIRST = "a stopped fleet starts when every site has the new settings"
    WAIT_FIRST = "hard: wait for what still runs with old settings, then rehydrate"
    SUSPECTS = "hard: clear the suspects, then unpause"


#: The lines that a desk does without.
LeftOut = frozenset[BarrierLine | Rule]
NOTHING_LEFT_OUT: LeftOut = frozenset()

#: Lines without which the desk may think that T has come when it has not.
BLINDING: LeftOut = frozenset(
    {
        BarrierLine.UP,
        BarrierLine.GONE,
        BarrierLine.GONE_WHEN,
        BarrierLine.COVERED,
        BarrierLine.RUNNING_PROCESS,
        Rule.BACKFILL,
        Rule.STOPPED,
    }
)
