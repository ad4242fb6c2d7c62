"""The soft way: ``inline → dual-read → offload``, each step behind its barrier, the kill-switch back to ``dual-read``, and
by daylight on to ``inline``.

Two runs are in flight at the kill-switch. One goes on under ``dual-read``, the other only under ``inline``, when what it
reads is back in the database. Both have to end as if nothing had happened: no task broken, none run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xcomctl.clients.airflow_api import TaskInstance
from xcomctl.model.phases import Phase
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.rehearsal.scenarios.interface import SECOND_DAG_ID, Stage
from xcomctl.rehearsal.scenarios.observations import (
    broken_tasks,
    new_orphans,
    objects_of,
    offloaded_cells,
    references_of,
    rehydrated,
    require_barrier,
    require_green,
    require_in_flight,
    require_phase,
)
from xcomctl.rehearsal.scenarios.runs import RunView
from xcomctl.rehearsal.timeline import CurrentStep

SOFT_RUN = "rehearsal-soft"
#: Of the second DAG: held until everything is inline.
EXIT_RUN = "rehearsal-exit"


class Soft:
    """The soft way, act by act."""

    _held: RunView
    _held_longer: RunView
    _soft: StrategyResult

    def up(self, stage: Stage) -> None:
        """Half-way up: ``dual-read`` everywhere before anything writes a reference."""
        with stage.timeline.step("dual_read", "dual-read everywhere, before anything is offloaded") as step:
            require_phase(stage, step)
            require_barrier(stage, step, following=Phase.OFFLOAD)

    def in_flight(self, stage: Stage) -> None:
        """Two runs that the kill-switch will hit."""
        with stage.timeline.step("soft_in_flight", "Leave two runs in flight, each at its hold point") as step:
            self._in_flight_s = stage.timeline.now()
            self._held_longer = require_in_flight(stage, step, "soft_in_flight_longer", EXIT_RUN, SECOND_DAG_ID)
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
            _require_untouched(step, "soft", after, broken, again)
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
        self._soft = StrategyResult(
            name="soft",
            tasks_broken=broken,
            tasks_rerun=len(again),
            time_broken_s=round(ended - stage.moved_s, 1) if broken else 0.0,
            objects_orphaned=len(orphans),
            bytes_orphaned=sum(orphan["size"] for orphan in orphans),
            bytes_moved=None,
        )

    def out(self, stage: Stage) -> None:
        """Under ``inline``: the run that was held longer reads from the database what it would have read from the store."""
        timeline = stage.timeline
        with timeline.step("exit", "Release the other run: its consumers receive what was rehydrated") as step:
            stage.hold(False, SECOND_DAG_ID)
            stage.wait_for_run(EXIT_RUN, step.waiting, SECOND_DAG_ID)
            timeline.add_span("run", EXIT_RUN, self._in_flight_s)
            ended = timeline.now()
            require_phase(stage, step)
            after = RunView.of(stage, EXIT_RUN, SECOND_DAG_ID)
            broken, again = broken_tasks(after), after.ran_again(self._held_longer)
            _require_untouched(step, "exit", after, broken, again)
            require_green(stage, step, after, "exit")
            left = references_of(stage)
            step.require(
                "exit_no_reference",
                "No row holds a reference any more",
                not left,
                f"{len(left)} references",
            )
            moved = rehydrated(stage)
            step.require(
                "exit_moved",
                "What the store held for both runs went back into the database",
                moved.rows >= 2 * offloaded_cells(stage),
                f"{moved.rows} references, {moved.bytes:,} bytes, in {moved.seconds:.1f} s",
            )
            orphans = new_orphans(stage)
        soft = self._soft
        stage.findings.strategies.append(
            replace(
                soft,
                tasks_broken=(soft.tasks_broken or 0) + broken,
                tasks_rerun=(soft.tasks_rerun or 0) + len(again),
                time_broken_s=(soft.time_broken_s or 0.0) + (round(ended - stage.moved_s, 1) if broken else 0.0),
                objects_orphaned=(soft.objects_orphaned or 0) + len(orphans),
                bytes_orphaned=(soft.bytes_orphaned or 0) + sum(orphan["size"] for orphan in orphans),
                bytes_moved=moved.bytes,
                time_moved_s=moved.seconds,
            )
        )


def _require_untouched(
    step: CurrentStep, name: str, after: RunView, broken: int, again: Sequence[TaskInstance]
) -> None:
    failed = after.failed()
    step.require(
        f"{name}_none_broken",
        "No task is broken: none received a path string, none failed",
        broken == 0 and not failed,
        f"{broken} tasks received a path string" + (f"; failed: {', '.join(failed)}" if failed else ""),
    )
    tried = [each for each in after.instances if each.try_number > 1]
    step.require(
        f"{name}_none_rerun",
        "No task was run again",
        not again and not tried,
        f"{len(again)} of {len(after.instances)} tasks ran again, {len(tried)} were tried more than once",
    )
