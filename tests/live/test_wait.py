"""``xcomctl wait`` on the walk: passed once nothing older is left, blocked by what is, inconclusive for what hides."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.commands import Done, together, xcomctl
from tests.support.deploys import rolled_out
from tests.support.rows import gone_dag
from tests.support.walk import Walk, literal, sql

DAG, RUN, TASK = "waits", "manual__1", "task"
#: A log row of a real start, before any deploy of the walk and after all of them.
LONG_AGO, SINCE = "now() - interval '1 day'", "now() + interval '1 day'"


def running_since(walk: Walk, moment: str, wait: Callable[[], Done]) -> Done:
    """The barrier while a task runs whose last real start was then; its ``start_date`` is older either way (F40)."""
    of_it = f"dag_id = {literal(DAG)}"
    with gone_dag(walk, DAG, RUN, TASK):
        sql(walk, f"UPDATE task_instance SET state = 'running', start_date = {LONG_AGO} WHERE {of_it}")
        sql(
            walk,
            "INSERT INTO log (dttm, dag_id, run_id, task_id, map_index, event) "
            f"VALUES ({moment}, {literal(DAG)}, {literal(RUN)}, {literal(TASK)}, -1, 'running')",
        )
        try:
            return wait()
        finally:
            sql(walk, f"DELETE FROM log WHERE {of_it}")


def while_the_fleet_offloads(walk: Walk) -> dict[str, Done]:
    """Several looks at barriers of a fleet that was restarted into ``offload`` and runs nothing."""
    journal = walk.sandbox.folder / "wait.jsonl"
    known = ("--deployed-at", rolled_out(walk)) if walk.line == "2" else ()

    def wait(*arguments: str) -> Callable[[], Done]:
        return lambda: xcomctl(walk, "wait", "--once", "-o", "json", *arguments, journal=journal)

    found = together(
        {
            "passed": wait("--to", "offload", *known),
            "other": wait("--to", "dual-read", *known),
            "hidden": wait("--to", "offload"),
        }
    )
    found["older"] = running_since(walk, LONG_AGO, wait("--to", "offload", *known))
    found["younger"] = running_since(walk, SINCE, wait("--to", "offload", *known))
    accepted = wait("--to", "offload", *known, "--accept", f"{DAG}.{TASK}")
    found["accepted"] = running_since(walk, LONG_AGO, accepted)
    found["journal"] = Done(0, journal.read_text(), "")
    return found


VISITS = {"offload": (while_the_fleet_offloads,)}


def test_passed_when_all_is_up_and_nothing_older_is_left(walk: Walk) -> None:
    seen = walk.seen(while_the_fleet_offloads)
    done: Done = seen["passed"].orderly()
    assert (done.code, done.record["barrier"]["passage"]) == (0, "passed"), done.out
    assert {each["phase"] for each in done.record["processes"]} == {"offload"}
    assert {"scheduler", "triggerer"} <= {each["component"] for each in done.record["processes"]}
    # Older processes of the sandbox, in `inline`, have ended: the moment is not before the last of them was gone.
    assert done.record["barrier"]["moment"] is not None
    entries = [each for each in seen["journal"].lines if each["action"] == "wait"]
    assert len(entries) == 6
    assert {each["verdict"] for each in entries} >= {"ok", "failed"}


def test_blocked_by_processes_that_run_in_another_phase(walk: Walk) -> None:
    done: Done = walk.seen(while_the_fleet_offloads)["other"].orderly()
    assert (done.code, done.record["barrier"]["passage"]) == (3, "blocked")
    reasons = {each["reason"] for each in done.record["barrier"]["blockers"]}
    assert "still runs as offload" in reasons
    assert done.record["next_steps"][0].startswith("xcomctl wait --to dual-read")


def test_a_task_blocks_by_its_last_real_start(walk: Walk) -> None:
    seen = walk.seen(while_the_fleet_offloads)
    older, younger = seen["older"].orderly(), seen["younger"].orderly()
    assert older.code == 3
    (blocker,) = older.record["barrier"]["blockers"]
    assert (blocker["kind"], blocker["task"]) == ("running", f"{DAG}.{TASK}")
    assert any("clear it" in way for way in blocker["ways_out"])
    assert (younger.code, younger.record["barrier"]["blockers"]) == (0, [])


def test_what_is_accepted_by_name_passes_and_is_recorded(walk: Walk) -> None:
    seen = walk.seen(while_the_fleet_offloads)
    assert seen["accepted"].orderly().code == 0
    last = seen["journal"].lines[-1]
    assert last["data"]["accepted"] == [f"{DAG}.{TASK}"]


def test_a_process_that_hides_what_it_started_with_is_inconclusive(walk: Walk) -> None:
    """On 2.x a title is written over the environment; 3.x keeps it."""
    hidden: Done = walk.seen(while_the_fleet_offloads)["hidden"].orderly()
    assert hidden.code == (5 if walk.line == "2" else 0)
    if walk.line == "2":
        assert any("SPT_NOENV=1" in each and "--deployed-at" in each for each in hidden.record["barrier"]["unknown"])
