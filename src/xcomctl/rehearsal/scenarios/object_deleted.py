"""An object is deleted behind a reference: what upstream hands to a task then, and that we tell before one reads it."""

from __future__ import annotations

from xcomctl.assess import refs
from xcomctl.model.refs import DANGLING, RefItem, RefsQuery
from xcomctl.model.versions import COMMON_IO, missing_object_gives_path
from xcomctl.rehearsal.scenarios.interface import CONSUMERS, HOLD, PRODUCER, Stage
from xcomctl.rehearsal.scenarios.observations import require_green, rerun
from xcomctl.rehearsal.scenarios.runbook import finished_run
from xcomctl.rehearsal.scenarios.runs import RunView
from xcomctl.rehearsal.timeline import CurrentStep


def play(stage: Stage) -> None:
    """Delete, look, let the consumers read, and mend it: the producer pushes again."""
    store = stage.sandbox.store
    assert store is not None
    with stage.timeline.step("object_deleted", "Delete an object behind a reference, and let its readers run") as step:
        lost = RunView.of(stage, finished_run(stage)).references[-1]
        store.delete(str(lost.reference))
        dangling = _dangling(stage, step)
        step.require(
            "object_deleted_detected",
            "The scan for dangling references finds it, and no other",
            [each.uri for each in dangling] == [lost.reference],
            f"{len(dangling)} dangling: " + ", ".join(each.uri for each in dangling),
        )
        view = rerun(stage, step, finished_run(stage), [(task, None) for task in CONSUMERS])
        _require_what_upstream_does(stage, step, view, str(lost.reference))
    with stage.timeline.step("object_deleted_recovery", "Clear its producer, which pushes the value again") as step:
        again = [(PRODUCER, lost.map_index), *((task, None) for task in (HOLD, *CONSUMERS))]
        require_green(stage, step, rerun(stage, step, finished_run(stage), again), "object_deleted_recovered")
        left = _dangling(stage, step)
        step.require("object_deleted_mended", "No reference dangles any more", not left, f"{len(left)} dangling")


def _dangling(stage: Stage, step: CurrentStep) -> list[RefItem]:
    found: list[RefItem] = []
    refs.scan(stage.fleet, RefsQuery(only=(DANGLING,)), {}, found.append, step.waiting)
    return found


def _require_what_upstream_does(stage: Stage, step: CurrentStep, view: RunView, uri: str) -> None:
    version = stage.sandbox.environment.packages[COMMON_IO]
    silent = missing_object_gives_path(version)
    got = {task: [record["received"] for record in view.received(task)] for task in CONSUMERS}
    states = ", ".join(f"{task} {view.state(task)}" for task in CONSUMERS)
    if silent:
        title = "This common-io hands over the path string, and no error (F2)"
        seen = all(received == [uri] for received in got.values()) and view.state("summarise") == "success"
    else:
        title = "This common-io raises where the object is missing"
        seen = not any(got.values()) and all(view.state(task) == "failed" for task in CONSUMERS)
    handed = sum(bool(received) for received in got.values())
    step.require(
        "object_deleted_upstream",
        title,
        seen,
        f"common-io {version}: {handed} of {len(CONSUMERS)} readers received the path string; {states}",
        data={"common_io": version, "received": got},
    )
