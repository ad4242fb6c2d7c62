"""The soft way: ``inline → dual-read → offload``, each step behind its barrier, and the kill-switch back to ``dual-read``.

A run is in flight at the kill-switch. It has to end as if nothing had happened: no task broken, none run again.
"""

from __future__ import annotations

from xcomctl.model.phases import Phase
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.rehearsal.scenarios.interface import Stage
from xcomctl.rehearsal.scenarios.observations import (
    broken_tasks,
    new_orphans,
    objects_of,
    require_barrier,
    require_green,
    require_in_flight,
    require_phase,
)
from xcomctl.rehearsal.scenarios.runs import RunView

SOFT_RUN = "rehearsal-soft"


class Soft:
    """The soft way, act by act."""

    _held: RunView

    def up(self, stage: Stage) -> None:
        """Half-way up: ``dual-read`` everywhere before anything writes a reference."""
        with stage.timeline.step("dual_read", "dual-read everywhere, before anything is offloaded") as step:
            require_phase(stage, step)
            require_barrier(stage, step, following=Phase.OFFLOAD)

    def in_flight(self, stage: Stage) -> None:
        """A run that the kill-switch will hit."""
        with stage.timeline.step("soft_in_flight", "Leave a run in flight at the hold point") as step:
            self._in_flight_s = stage.timeline.now()
            self._held = require_in_flight(stage, step, "soft_in_flight", SOFT_RUN)
            require_barrier(stage, step, following=Phase.DUAL_READ)

    def down(self, stage: Stage) -> None:
        """After the kill-switch: the run goes on, reads what is in the store, and writes into the database."""
        timeline = stage.timeline
        with timeline.step("soft", "Release the run in flight: its consumers receive what was pushed") as step:
            stage.hold(False)
            stage.wait_for_run(SOFT_RUN, step.waiting)
            timeline.add_span("run", SOFT_RUN, self._in_flight_s)
            ended = timeline.now()
            require_phase(stage, step)
            after = RunView.of(stage, SOFT_RUN)
            broken, again = broken_tasks(after), after.ran_again(self._held)
            failed = after.failed()
            step.require(
                "soft_none_broken",
                "No task is broken: none received a path string, none failed",
                broken == 0 and not failed,
                f"{broken} tasks received a path string" + (f"; failed: {', '.join(failed)}" if failed else ""),
            )
            tried = [each for each in after.instances if each.try_number > 1]
            step.require(
                "soft_none_rerun",
                "No task was run again",
                not again and not tried,
                f"{len(again)} of {len(after.instances)} tasks ran again, {len(tried)} were tried more than once",
            )
            require_green(stage, step, after, "soft")
            kept = {xcom.reference for xcom in after.references}
            step.require(
                "soft_references_kept",
                "The run keeps its references, and each names its object",
                kept == {xcom.reference for xcom in self._held.references} <= {item.uri for item in objects_of(stage)},
                f"{len(kept)} references",
            )
            require_barrier(stage, step, following=Phase.OFFLOAD)
            orphans = new_orphans(stage)
        stage.findings.strategies.append(
            StrategyResult(
                name="soft",
                tasks_broken=broken,
                tasks_rerun=len(again),
                time_broken_s=round(ended - stage.moved_s, 1) if broken else 0.0,
                objects_orphaned=len(orphans),
                bytes_orphaned=sum(orphan["size"] for orphan in orphans),
                bytes_moved=None,
            )
        )
