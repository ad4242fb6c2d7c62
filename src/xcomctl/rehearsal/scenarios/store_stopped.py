"""The store stops: what is large fails loud and at once, what is small goes on, and after its return all is as before.

While it is away nobody gets anything else than an error: no path string instead of data, in neither phase.
"""

from __future__ import annotations

from xcomctl.rehearsal.scenarios.interface import CONSUMERS, PRODUCER, Stage
from xcomctl.rehearsal.scenarios.observations import offloaded_cells, require_green, rerun
from xcomctl.rehearsal.scenarios.runbook import finished_run
from xcomctl.rehearsal.scenarios.runs import RunView

_FAILED = ("failed", "upstream_failed")
STOPPED_RUN = "rehearsal-store-stopped"


def writes(stage: Stage) -> None:
    """Under ``offload``: pushes."""
    with stage.timeline.step("stopped_writes", "Stop the store and push: large values fail, small ones go on") as step:
        stage.hold(False)
        with stage.store_stopped(step.waiting):
            stage.run_and_wait(STOPPED_RUN, step.waiting)
            view = RunView.of(stage, STOPPED_RUN)
        producers = {each.map_index: each.state for each in view.instances if each.task_id == PRODUCER}
        large = [index for index, size in enumerate(stage.sizes) if size >= stage.threshold]
        step.require(
            "stopped_large_fail",
            "Every push of a large value fails, and leaves no value",
            all(producers.get(index) == "failed" for index in large) and not view.references,
            f"{sum(producers.get(index) == 'failed' for index in large)} of {len(large)} failed; "
            f"{len(view.references)} references",
            data={"states": {str(index): state for index, state in sorted(producers.items())}},
        )
        pushed = {each.map_index for each in view.xcoms if (each.task_id, each.key) == (PRODUCER, "return_value")}
        small = set(range(len(stage.sizes))) - set(large)
        step.require(
            "stopped_small_go_on",
            "Every small value is pushed all the same",
            all(producers.get(index) == "success" for index in small) and pushed == small,
            f"{len(pushed)} of {len(small)} values are there",
        )
    with stage.timeline.step("stopped_writes_recovery", "The store is back: what failed runs again") as step:
        failed = [(each.task_id, each.map_index) for each in view.instances if each.state in _FAILED]
        require_green(stage, step, rerun(stage, step, STOPPED_RUN, failed), "stopped_writes_recovered")


def reads(stage: Stage) -> None:
    """Under ``dual-read``: pulls of what is in the store."""
    with stage.timeline.step("stopped_reads", "Stop the store and pull: reads fail, and none gets a path") as step:
        with stage.store_stopped(step.waiting):
            view = rerun(stage, step, finished_run(stage), [(task, None) for task in CONSUMERS])
        step.require(
            "stopped_reads_fail",
            "Every task that reads a reference fails",
            all(view.state(task) == "failed" for task in CONSUMERS),
            ", ".join(f"{task} {view.state(task)}" for task in CONSUMERS),
        )
        step.require(
            "stopped_reads_no_path",
            "None of them received a path string",
            not any(view.received(task) for task in CONSUMERS) and len(view.references) == offloaded_cells(stage),
            f"{sum(bool(view.received(task)) for task in CONSUMERS)} tasks received one",
        )
    with stage.timeline.step("stopped_reads_recovery", "The store is back: the readers run again") as step:
        again = rerun(stage, step, finished_run(stage), [(task, None) for task in CONSUMERS])
        require_green(stage, step, again, "stopped_reads_recovered")
