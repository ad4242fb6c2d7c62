"""``xcomctl retrigger`` on the walk: who got path strings after the bare revert, and that it heals in spite of kills."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

from tests.support import dags
from tests.support.commands import ROOT, Done, api_options, together, xcomctl
from tests.support.rows import column_value, gone_dag, xcoms_of
from tests.support.visits import beside
from tests.support.walk import THRESHOLD, Walk, literal, sql
from xcomctl.rehearsal.scenarios.interface import CONSUMERS, DAG_ID
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN

MINE, RUN = "retriggered_consumers", "retrigger-trusting"
OF_RUN = ("-d", MINE, "-r", RUN)
GONE, GONE_RUN, GONE_TASK = "gone", "manual__1", "reads"


def a_dag_of_trusting_consumers(walk: Walk) -> None:
    """A DAG whose consumers trust what they pull."""
    dags.add(walk, MINE)


def a_held_run_of_it(walk: Walk) -> None:
    """Its value is in the store, and its consumers wait for the hold point."""
    dags.hold_run(walk, MINE, RUN, 3 * THRESHOLD)


def tries(walk: Walk) -> dict[str, int]:
    return {each.task_id: each.try_number for each in walk.sandbox.airflow.api.task_instances(MINE, RUN)}


@beside
def healed_in_spite_of_kills(walk: Walk) -> dict[str, Any]:
    """After the bare revert, still in ``inline``: looks, then a call that is killed after each of its journal's entries."""
    dags.wait_for_run(walk, MINE, RUN)
    journal = walk.sandbox.folder / "retrigger.jsonl"
    options, login = api_options(walk)

    def retrigger(*arguments: str, killed_after: int | None = None) -> Done:
        variables = {**walk.sandbox.airflow.environment(), **login}
        more = ("--python", str(walk.python), "--base-path", walk.base_path)
        return xcomctl(
            walk, "retrigger", *arguments, *more, variables=variables, journal=journal, killed_after=killed_after
        )

    looks: dict[str, Callable[[], Done]] = {
        "dry": lambda: retrigger("--dry-run", "-o", "json"),
        "text": lambda: retrigger("--dry-run", *OF_RUN),
        "producers": lambda: retrigger("--dry-run", "--producers", *OF_RUN, "-o", "json"),
    }
    try:
        seen: dict[str, Any] = {"before": tries(walk), **together(looks)}
        seen["refused"] = retrigger(*OF_RUN, "-y")
        seen["untouched"] = tries(walk)
        through_api = (*OF_RUN, "--producers", "-y", *options)
        seen["killed"] = [retrigger(*through_api, killed_after=entries) for entries in (1, 2, 3)]
        seen["again"] = retrigger(*through_api, "-o", "json")
        seen["after"] = tries(walk)
        seen["once more"] = retrigger(*through_api)
        seen["still"] = tries(walk)
        seen["journal"] = Done(0, journal.read_text(), "")
    finally:
        dags.forget_dag(walk, MINE)
    return seen


VISITS = {
    "inline": (a_dag_of_trusting_consumers,),
    "in_flight": (a_held_run_of_it,),
    "break": (healed_in_spite_of_kills,),
}


def instances(done: Done, dag_id: str) -> dict[str, dict[str, Any]]:
    """The instances of the one run of a DAG that a look found, by their task."""
    (run,) = [run for run in done.record["runs"] if run["dag_id"] == dag_id]
    return {each["task_id"]: each for each in run["instances"]}


def test_a_dry_run_names_every_reader_of_the_runs_that_held_references_and_no_producer(walk: Walk) -> None:
    seen = walk.seen(healed_in_spite_of_kills)
    done: Done = seen["dry"].orderly()
    assert (done.code, done.record["dry_run"]) == (0, True), done.err
    mine, theirs = instances(done, MINE), instances(done, DAG_ID)
    assert {task for task, each in mine.items() if each["clear"]} == {"hold", "trust", "pass_on", "render"}
    assert set(CONSUMERS) <= {task for task, each in theirs.items() if each["clear"]}
    assert not {"produce", "discriminate_cell", "plan_cells"} & {*mine, *theirs}
    assert {mine[task]["role"] for task in ("trust", "pass_on", "render")} == {"suspect"}
    assert "inline" in mine["trust"]["why"] and mine["trust"]["started"]
    assert IN_FLIGHT_RUN in {run["run_id"] for run in done.record["runs"]}


def test_proofs_are_shown_by_themselves(walk: Walk) -> None:
    seen = walk.seen(healed_in_spite_of_kills)
    mine = instances(seen["dry"], MINE)
    assert mine["pass_on"]["proofs"] == ["its value return_value is a path string"]
    assert mine["render"]["proofs"] == [
        "its value return_value is a path string", "a path string in its rendered templates",
    ]  # fmt: skip
    assert mine["trust"]["proofs"] == []
    text = seen["text"].orderly().out
    assert f"{MINE} {RUN} pass_on: its value return_value is a path string" in text
    assert "nothing was changed" in text and "4 instances of 1 run" in text


def test_producers_run_again_where_that_is_asked_for(walk: Walk) -> None:
    mine = instances(walk.seen(healed_in_spite_of_kills)["producers"].orderly(), MINE)
    assert (mine["produce"]["role"], mine["produce"]["clear"]) == ("producer", True)


def test_under_inline_it_is_refused_to_clear_the_readers_alone(walk: Walk) -> None:
    seen = walk.seen(healed_in_spite_of_kills)
    refused: Done = seen["refused"].orderly()
    assert refused.code == 6 and "gets path strings again" in refused.err and "--producers" in refused.err
    assert seen["untouched"] == seen["before"]


def test_killed_after_every_entry_and_called_again_it_is_green_and_ran_once_more(walk: Walk) -> None:
    seen = walk.seen(healed_in_spite_of_kills)
    assert [done.code for done in seen["killed"]] == [-signal.SIGKILL] * 3, [done.err for done in seen["killed"]]
    again: Done = seen["again"].orderly()
    assert again.code == 0, (again.out, again.err)
    assert again.record["watched"] == [{"dag_id": MINE, "run_id": RUN, "state": "success", "verdict": "ok"}]
    assert {task: count - seen["before"][task] for task, count in seen["after"].items()} == dict.fromkeys(
        ("produce", "hold", "trust", "pass_on", "render"), 1
    )
    assert (seen["once more"].orderly().code, seen["still"]) == (0, seen["after"])
    assert "nothing to clear" in seen["once more"].out


def test_each_step_is_in_the_journal_under_the_hash_of_its_plan(walk: Walk) -> None:
    entries = walk.seen(healed_in_spite_of_kills)["journal"].lines
    ours = [each for each in entries if each["action"].startswith("retrigger")]
    plan, run = "retrigger.plan", "retrigger.run"
    assert [(each["action"], each["verdict"]) for each in ours] == [
        (plan, None), (plan, None), (run, None), (plan, None), (run, None), (run, "ok"), ("retrigger", "ok"),
    ]  # fmt: skip
    assert len({each["plan"] for each in ours[:-1]}) == 1
    assert ours[0]["data"].get("took_over") is None and ours[1]["data"]["took_over"]["action"] == "retrigger"
    done = ours[5]
    assert done["before"]["instances"]["trust"] == "success" and done["after"]["instances"]["trust"] is None
    assert done["data"]["way"] == "the REST API"


def test_what_runs_is_not_cleared_until_it_is_named(walk: Walk) -> None:
    """A suspect that runs; of a DAG that Airflow does not know, so that nothing becomes of it."""
    reference = f"{walk.base_path}/{GONE}/{GONE_RUN}/{GONE_TASK}/01234567-89ab-cdef-0123-456789abcdef"
    of_it = f"dag_id = {literal(GONE)}"
    look = ("-d", GONE, "-r", GONE_RUN, "--dry-run", "--base-path", walk.base_path)
    with (
        gone_dag(walk, GONE, GONE_RUN, GONE_TASK),
        xcoms_of(walk, GONE, GONE_RUN, GONE_TASK, {"k": column_value(walk, reference)}),
    ):
        sql(walk, f"UPDATE task_instance SET state = 'running', start_date = now() WHERE {of_it}")
        sql(
            walk,
            "INSERT INTO log (dttm, dag_id, run_id, task_id, map_index, event) "
            f"VALUES (now() + interval '5 s', {literal(GONE)}, {literal(GONE_RUN)}, {literal(GONE_TASK)}, -1, 'running')",
        )
        try:
            found = together(
                {
                    "json": lambda: xcomctl(walk, "retrigger", *look, "-o", "json"),
                    "text": lambda: xcomctl(walk, "retrigger", *look),
                    "kill": lambda: xcomctl(walk, "retrigger", *look, "--kill", f"{GONE}.{GONE_TASK}"),
                }
            )
        finally:
            sql(walk, f"DELETE FROM log WHERE {of_it}")
    (run,) = found["json"].orderly().record["runs"]
    assert (run["held_by"], run["references"]) == ([GONE_TASK], 1)
    assert "no such DAG any more" in run["warnings"][0]
    assert f"--kill {GONE}.{GONE_TASK}" in found["text"].orderly().out and "nothing to clear" in found["text"].out
    assert "to clear: 1 instance of 1 run" in found["kill"].orderly().out


DECRYPT = """
from xcomctl.airflow_compat import loading, trigger_kwargs
trigger = loading.module("airflow.models.trigger").Trigger
stored = getattr(trigger, "encrypt_kwargs", None) or trigger._encrypt_kwargs
found = stored({"path": "s3://bucket/xcom"})
assert "s3://" not in found
assert "s3://bucket/xcom" in repr(trigger_kwargs.decrypted(found))
try:
    trigger_kwargs.decrypted("gAAAA")
except ValueError as error:
    print(error)
"""


def test_the_kwargs_of_a_trigger_are_read_as_airflow_stores_them(walk: Walk) -> None:
    environment = {**walk.env, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [str(walk.python), "-c", DECRYPT], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and "cannot be decrypted" in done.stdout, done.stderr
