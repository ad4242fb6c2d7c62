"""``xcomctl killswitch --hard`` on the walk, with a backend that does not import: killed on the way and called again.

On one line its calls are killed right after a step was announced, on the other right before it is recorded that it was done;
steps that the way on to ``inline`` has as well are killed there (``test_way_out.py``). On the first line it rehydrates what
unfinished runs hold; on the other its store does not answer, and the producer runs again.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.support import dags
from tests.support.commands import Done, unreachable
from tests.support.rows import gone_dag
from tests.support.switching import MINE, NOT_PAUSED, PAUSED_BEFORE, SIZE, Switching, actions, switching
from tests.support.walk import KEPT, Walk, literal, sql
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND
from xcomctl.model.settings import BACKEND

RUN = "killswitch-held"
CHANGING = ("pause", "revert", "deploy", "clear", "unpause")
HARD = ("pause", "revert", "deploy", "confirm", "wait", "rehydrate", "clear", "unpause", "watch")
#: Where a call is killed with the step done and nothing of it recorded.
UNRECORDED = ("pause", "confirm", "rehydrate", "clear", "unpause")
#: More than the run's own value, and less than what finished runs hold by themselves, so that these keep theirs.
FEW = ("--max-bytes", str((SIZE + sum(KEPT)) // 2))
GONE, GONE_RUN, GONE_TASK = "killswitch_gone", "manual__1", "old"


def hard(switching: Switching) -> dict[str, Any]:
    """Killed at each step, then again. What still runs with old settings blocks, until it is named."""
    walk = switching.walk
    moment = "unrecorded" if walk.line == "3" else "announced"
    switching.broken = True
    if walk.line == "2":
        switching.away = unreachable(walk)
    seen: dict[str, Any] = {"before": switching.pauses(), "settings": switching.settings()}
    if moment == "unrecorded":
        seen["refused"] = switching.call("hard")
    kills = ["killswitch:announced"] if moment == "announced" else []
    kills += [f"killswitch.{step}:{moment}" for step in (UNRECORDED if moment == "unrecorded" else CHANGING)]
    calls: dict[str, Done] = {}
    for kill in kills:
        step = kill.partition(":")[0].rpartition(".")[2]
        if step == ("rehydrate" if moment == "unrecorded" else "clear"):
            switching.broken = False
            seen["blocked"], seen["restarting"] = blocked(switching)
        switching.broken = len(calls) < 2  # and imports again from then on
        through = switching.api if step == "unpause" else ()
        calls[kill] = switching.call("hard", "--hard", *FEW, *through, killed=kill)
        seen[f"pauses after {step}"] = switching.pauses()
        seen[f"settings after {step}"] = switching.settings()
    switching.stage.hold(False)
    seen["calls"] = calls
    seen["done"] = switching.call("hard", *FEW, "-o", "json")
    dags.wait_for_run(walk, MINE, RUN)
    seen["after"] = switching.pauses()
    seen["run"] = walk.sandbox.airflow.api.run(MINE, RUN).state
    seen["value"] = {each.task_id: each.state for each in walk.sandbox.airflow.api.task_instances(MINE, RUN)}
    seen["references"] = switching.references(RUN)
    if moment == "unrecorded":
        seen["once more"] = switching.call("hard", "-o", "json")
    return seen


def blocked(switching: Switching) -> tuple[Done, str]:
    """A task runs since long ago: it is not killed unless it is named. What it is then, as Airflow has it."""
    walk, of_it = switching.walk, f"dag_id = {literal(GONE)}"
    with gone_dag(walk, GONE, GONE_RUN, GONE_TASK):
        # 2.x tells a process to end by its job.
        more = ", job_id = 999999, try_number = 1" if walk.line == "2" else ""
        sql(walk, f"UPDATE task_instance SET state = 'running'{more} WHERE {of_it}")
        sql(
            walk,
            "INSERT INTO log (dttm, dag_id, run_id, task_id, map_index, event) VALUES (now() - interval '1 day', "
            f"{literal(GONE)}, {literal(GONE_RUN)}, {literal(GONE_TASK)}, -1, 'running')",
        )
        try:
            waits = switching.call("hard", *FEW, "--timeout", "1", "-o", "json")
            switching.call("hard", *FEW, "--timeout", "1", "--clear", f"{GONE}.{GONE_TASK}")
            return waits, sql(walk, f"SELECT state FROM task_instance WHERE {of_it}")[0][0]
        finally:
            sql(walk, f"DELETE FROM log WHERE {of_it}")


@pytest.fixture(scope="module")
def seen(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Everything, once."""
    with switching(walk, tmp_path_factory.mktemp("killswitch")) as mine:
        mine.offload(walk.base_path, RUN)
        return {"hard": {**hard(mine), "journal": mine.entries("hard")}}


@pytest.mark.first_line_only
def test_a_backend_that_does_not_import_is_what_hard_is_for(seen: dict[str, Any]) -> None:
    refused = seen["hard"]["refused"].orderly()
    assert refused.code == 6
    assert "does not import" in refused.out and "cannot import name 'gone'" in refused.err
    assert "xcomctl killswitch --hard" in refused.err
    assert seen["hard"]["settings"][BACKEND.env] == OBJECT_STORAGE_BACKEND


def test_each_call_was_killed_where_it_should_be(seen: dict[str, Any]) -> None:
    for kill, done in seen["hard"]["calls"].items():
        assert done.code == -signal.SIGKILL, (kill, done.code, done.out, done.err)


def test_the_dags_are_paused_before_anything_else_and_put_back_at_the_end(seen: dict[str, Any], walk: Walk) -> None:
    hard_one = seen["hard"]
    before, after = hard_one["before"], hard_one["after"]
    assert before[PAUSED_BEFORE] is True and before[NOT_PAUSED] is False and before[MINE] is False
    assert all(hard_one["pauses after clear"].values())
    if walk.line == "3":  # all of it was done, and the tool was killed before it could say so
        assert all(hard_one["pauses after pause"].values())
        assert hard_one["settings after pause"] == hard_one["settings"]
    else:  # it was announced, and nothing done
        assert hard_one["pauses after pause"] == before
        # When the revert was announced they were, and nothing was written yet.
        assert all(hard_one["pauses after revert"].values())
        assert hard_one["settings after revert"] == hard_one["settings"]
    assert after == before


def test_the_end_is_the_same_whatever_was_killed(seen: dict[str, Any], walk: Walk) -> None:
    hard_one = seen["hard"]
    done = hard_one["done"].orderly()
    assert (done.code, done.record["verdict"], done.record["way"]) == (0, "ok", "hard"), done.out
    assert hard_one["run"] == "success"
    assert set(hard_one["value"].values()) == {"success"}
    assert hard_one["references"] == 0
    assert hard_one["settings after clear"][BACKEND.env] == BASE_XCOM
    finished = [
        each for each in hard_one["journal"] if each["action"] == "killswitch.clear" and each["verdict"] == "ok"
    ]
    # What they hold is more than may be written back.
    assert finished[-1]["data"]["finished_with_references"]


def test_what_the_store_holds_goes_back_and_its_producer_runs_again_only_where_it_does_not_answer(
    seen: dict[str, Any], walk: Walk
) -> None:
    of_step = [each for each in seen["hard"]["journal"] if each["action"] == "killswitch.rehydrate" and each["verdict"]]
    cleared = [each for each in seen["hard"]["journal"] if each["action"] == "retrigger.run" and each["verdict"]]
    if walk.line == "3":
        assert sum(each["data"]["answer"]["rows"] for each in of_step if "answer" in each["data"]) <= 1
        assert any(
            each["verdict"] is None for each in seen["hard"]["journal"] if each["action"] == "killswitch.rehydrate"
        )
        assert cleared == []
    else:
        assert "does not give them" in of_step[-1]["data"]["detail"]
        assert [each["data"]["run_id"] for each in cleared] == [RUN]


def test_every_step_is_on_record(seen: dict[str, Any]) -> None:
    journal = seen["hard"]["journal"]
    assert {f"killswitch.{step}" for step in HARD} <= set(actions(journal))
    assert {f"killswitch.{step}" for step in CHANGING} <= set(actions(journal, None))
    assert actions(journal)[-1] == "killswitch"
    assert len({each["plan"] for each in journal if each["action"].startswith("killswitch")}) == 1
    first = next(each for each in journal if each["action"] == "killswitch.pause")
    assert (
        first["verdict"] is None and PAUSED_BEFORE in first["before"]["paused"] and MINE in first["before"]["unpaused"]
    )


def test_what_still_runs_is_waited_for_and_killed_only_when_it_is_named(seen: dict[str, Any]) -> None:
    waits = seen["hard"]["blocked"].orderly()
    assert waits.code == 3
    (failed,) = [step for step in waits.record["steps"] if step["status"] == "failed"]
    assert failed["id"] == "wait" and any(f"{GONE}.{GONE_TASK}" in note for note in failed["notes"])
    assert "--clear DAG.TASK" in failed["hint"]
    assert seen["hard"]["restarting"] != "running"
    cleared = [each for each in seen["hard"]["journal"] if each["data"].get("cleared")]
    assert [each["action"] for each in cleared] == ["killswitch.wait"]


@pytest.mark.first_line_only
def test_one_that_ended_is_not_gone_on_with(seen: dict[str, Any]) -> None:
    again = seen["hard"]["once more"].orderly()
    assert again.code == 0 and again.record["way"] is None and again.record["steps"] == []
    assert "nothing to switch off" in again.record["recommended"]["because"]
