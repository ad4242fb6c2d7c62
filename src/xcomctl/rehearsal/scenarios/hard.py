"""The hard kill-switch: pause first, then revert to ``inline`` at once, clear what pushed references, unpause.

It is for a backend that cannot be imported or configured. Here the backend works, so that its cost compares with that of
the other ways down: the store answers, so that its values go back into the database, and nothing that reads them starts before.
"""

from __future__ import annotations

from xcomctl.change.pauses import AgentPauses
from xcomctl.model.rehearsal import StrategyResult
from xcomctl.rehearsal.scenarios.interface import CONSUMERS, DAG_ID, Stage
from xcomctl.rehearsal.scenarios.observations import (
    broken_tasks,
    new_orphans,
    rehydrated,
    require_green,
    require_in_flight,
    require_phase,
)
from xcomctl.rehearsal.scenarios.runs import RunView

HARD_RUN = "rehearsal-hard"


class Hard:
    """The hard way down, act by act."""

    _held: RunView

    def in_flight(self, stage: Stage) -> None:
        """A run that the kill-switch will hit."""
        with stage.timeline.step("hard_in_flight", "Leave a run in flight at the hold point") as step:
            self._in_flight_s = stage.timeline.now()
            self._held = require_in_flight(stage, step, "hard_in_flight", HARD_RUN)

    def down(self, stage: Stage) -> None:
        """After the kill-switch, which clears nothing where the store answers: the run goes on by itself."""
        timeline = stage.timeline
        with timeline.step("hard", "The run that was in flight goes on: what it reads is in the database") as step:
            stage.wait_for_run(HARD_RUN, step.waiting)
            green_s = timeline.now()
            timeline.add_span("run", HARD_RUN, self._in_flight_s, green_s)
            require_phase(stage, step)
            after = RunView.of(stage, HARD_RUN)
            broken, again = broken_tasks(after), after.ran_again(self._held)
            failed = after.failed()
            step.require(
                "hard_none_broken",
                "No task is broken: none received a path string, none failed",
                broken == 0 and not failed,
                f"{broken} tasks received a path string" + (f"; failed: {', '.join(failed)}" if failed else ""),
            )
            moved = rehydrated(stage)
            step.require(
                "hard_none_rerun",
                "No task was run again: the store answered, so what it held is in the database",
                not again and moved.rows >= len(self._held.references),
                f"{len(again)} of {len(after.instances)} tasks ran again; {moved.rows} references, {moved.bytes:,} bytes "
                f"rehydrated in {moved.seconds:.1f} s",
            )
            readers = [each.start_date for each in after.instances if each.task_id in CONSUMERS]
            step.require(
                "hard_readers_waited",
                "No reader started before the values were there",
                moved.at is not None and all(start is not None and start >= moved.at for start in readers),
                f"the values were there at {moved.at}, the readers started at {', '.join(str(each) for each in readers)}",
            )
            require_green(stage, step, after, "hard")
            step.require(
                "hard_no_reference",
                "The run holds no reference any more",
                not after.references,
                f"{len(after.references)} references",
            )
            step.require(
                "hard_unpaused",
                "The DAG is unpaused, as it was before",
                AgentPauses(stage.fleet).states().get(DAG_ID) is False,
                f"{DAG_ID} is {'unpaused' if AgentPauses(stage.fleet).states().get(DAG_ID) is False else 'paused'}",
            )
            orphans = new_orphans(stage)
        stage.findings.strategies.append(
            StrategyResult(
                name="hard",
                tasks_broken=broken,
                tasks_rerun=len(again),
                time_broken_s=round(green_s - stage.moved_s, 1) if broken or again else 0.0,
                objects_orphaned=len(orphans),
                bytes_orphaned=sum(orphan["size"] for orphan in orphans),
                bytes_moved=moved.bytes,
                time_moved_s=moved.seconds,
            )
        )
