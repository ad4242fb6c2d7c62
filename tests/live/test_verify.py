"""``xcomctl verify`` on the walk: validated after a good flip, KILL-SWITCH for what nobody sees, inconclusive without a store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.live.test_refs import missing_object
from tests.support import dags
from tests.support.commands import Done, api_options, together, unreachable, xcomctl
from tests.support.preflight import offload
from tests.support.rows import column_value, xcoms_of
from tests.support.visits import beside
from tests.support.walk import OFFLOADED, SIZES, THRESHOLD, Walk, sql
from xcomctl.model.settings import BACKEND, PATH
from xcomctl.rehearsal.scenarios.interface import DAG_ID, HOLD
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN, OFFLOAD_RUN

TRUSTING_RUN = "verify-trusting"
FLIPPED = ("-d", DAG_ID, "-r", OFFLOAD_RUN)


def a_trusting_dag(walk: Walk) -> None:
    """A DAG whose consumers trust what they pull."""
    dags.add(walk)


@beside
def after_the_flip(walk: Walk) -> dict[str, Done]:
    """The walk's own run, and two that verify triggers: through the API, and through a context."""
    conf = json.dumps({"crypto_group": "verify", "cell_sizes": [2_000, 30_000]})
    options, variables = api_options(walk)
    environment = {**walk.sandbox.airflow.environment(), **variables}
    run = ("-d", DAG_ID, "--conf", conf, "-o", "json")
    api = (*run, *options, "--logs", "--python", str(walk.python))
    folder = walk.sandbox.folder
    try:
        return together(
            {
                "mine": lambda: xcomctl(walk, "verify", *FLIPPED, "--logs", "-o", "json", fresh=True),
                "api": lambda: xcomctl(
                    walk, "verify", *api, variables=environment, journal=folder / "verify-api.jsonl"
                ),
                "context": lambda: xcomctl(walk, "verify", *run, journal=folder / "verify-context.jsonl"),
            }
        )
    finally:
        dags.forget_runs(walk, DAG_ID, "xcomctl-verify-%")


def when_something_is_wrong(walk: Walk) -> dict[str, Done]:
    """While the whole fleet offloads, so that nothing but what is named is wrong."""

    def verify(name: str, *arguments: str, **variables: str) -> Callable[[], Done]:
        journal = walk.sandbox.folder / f"verify-{name.replace(' ', '-')}.jsonl"
        return lambda: xcomctl(walk, "verify", *arguments, variables=offload(walk, **variables), journal=journal)

    runs = sql(walk, "SELECT count(*) FROM dag_run")
    with missing_object(walk) as uri:  # which none of the others looks for
        found = together(
            {
                "missing": verify("missing", *FLIPPED, "-o", "json"),
                "unreachable": verify("unreachable", *FLIPPED, "-o", "json", **unreachable(walk)),
                "no run": verify("no run", "-d", DAG_ID, "-r", "none"),
                "no dag": verify("no dag", "-d", "nothing_of_that_name"),
            }
        )
    assert uri in found["missing"].orderly().check("references_resolve")["detail"]
    large = {"by_trigger": column_value(walk, "x" * (2 * THRESHOLD))}
    with xcoms_of(walk, DAG_ID, OFFLOAD_RUN, HOLD, large):
        found["bypassed"] = verify("bypassed", *FLIPPED, "-o", "json")()
    assert sql(walk, "SELECT count(*) FROM dag_run") == runs
    return found


def a_trusting_run_in_flight(walk: Walk) -> None:
    """Its value is in the store, and its consumers wait for the hold point."""
    dags.hold_run(walk, dags.DAG_ID, TRUSTING_RUN, 3 * THRESHOLD)


@beside
def every_task_succeeded_on_a_path(walk: Walk) -> dict[str, Any]:
    """After the bare revert: as the contexts stand, and as one that was flipped back would see it afterwards."""
    api = walk.sandbox.airflow.api
    dags.wait_for_run(walk, dags.DAG_ID, TRUSTING_RUN)
    states = {each.task_id: each.state for each in api.task_instances(dags.DAG_ID, TRUSTING_RUN)}
    journal = walk.sandbox.folder / "verify.jsonl"
    arguments = ("-d", dags.DAG_ID, "-r", TRUSTING_RUN)
    options, variables = api_options(walk)

    def alone(name: str, *run: str) -> Callable[[], Done]:
        seen = (*run, *options, "--expect-path", walk.base_path, "--logs", "-o", "json")
        kept = walk.sandbox.folder / f"verify-{name}.jsonl"
        return lambda: xcomctl(walk, "verify", *seen, variables=variables, journal=kept)

    try:
        found = together(
            {
                "api": alone("api-trusting", *arguments),
                "failed": alone("api-failed", "-d", DAG_ID, "-r", IN_FLIGHT_RUN),
                "reverted": lambda: xcomctl(walk, "verify", *arguments, "--logs", "-o", "json", journal=journal),
                "text": lambda: xcomctl(walk, "verify", *arguments, "-q"),
            }
        )
        later = xcomctl(walk, "verify", *arguments, "-o", "json", variables=offload(walk), journal=journal)
    finally:
        dags.forget_dag(walk, dags.DAG_ID)
    return {"states": states, "later": later, **found}


VISITS = {
    "inline": (a_trusting_dag,),
    "offload": (after_the_flip, when_something_is_wrong),
    "in_flight": (a_trusting_run_in_flight,),
    "break": (every_task_succeeded_on_a_path,),
}


#: Contexts that do not resolve, by the variables that break them.
BROKEN = {
    "dotted": {PATH.env: "", "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH": "s3://store@bucket/xcom"},
    "unimportable": {BACKEND.env: "no.such.Backend"},
    "unreadable": {"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "a lot"},
}


@pytest.fixture(scope="module")
def verified(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """After the walk, under several circumstances; ``runs`` counts the runs before and after."""
    folder = tmp_path_factory.mktemp("verify")

    def verify(name: str, *arguments: str, fresh: bool = False, **variables: str) -> Callable[[], Done]:
        journal = folder / f"{name}.jsonl"
        return lambda: xcomctl(
            walk, "verify", *arguments, variables=offload(walk, **variables), journal=journal, fresh=fresh
        ).orderly()

    runs = sql(walk, "SELECT count(*) FROM dag_run")
    options, variables = api_options(walk)
    alone = (*FLIPPED, *options, "--expect-path", walk.base_path, "-o", "json")
    found = together(
        {
            "api": lambda: xcomctl(walk, "verify", *alone, variables=variables, journal=folder / "api.jsonl").orderly(),
            "none": verify("none", "-o", "json"),
            "healed": verify("healed", "-d", DAG_ID, "-r", IN_FLIGHT_RUN, "--logs", "-o", "json"),
            "dry": verify("dry", "-d", DAG_ID, "--dry-run"),
            **{name: verify(name, fresh=True, **broken) for name, broken in BROKEN.items()},
        }
    )
    assert sql(walk, "SELECT count(*) FROM dag_run") == runs
    found["journal"] = Done(0, (folder / "dotted.jsonl").read_text(), "")
    return found


def status_of(done: Done) -> dict[str, str]:
    return {each["id"]: each["status"] for each in done.record["checks"]}


def test_a_good_flip_is_validated(walk: Walk) -> None:
    seen: dict[str, Done] = walk.seen(after_the_flip)
    for done in seen.values():
        assert done.code == 0, (done.out, done.err)
        assert done.record["verdict"] == "validated"
        assert set(status_of(done).values()) == {"ok"}
    mine = seen["mine"]
    assert mine.check("offload_confirmed")["data"] == {
        "objects": len(OFFLOADED), "bytes": sum(OFFLOADED), "tasks": {"discriminate_cell": len(OFFLOADED)}, "requests": 1,
    }  # fmt: skip
    assert mine.check("values_equal_pushed")["data"]["compared"] == len(SIZES)
    assert {row["verdict"] for row in mine.record["table"]} <= {"ok", "-"}
    for way in ("api", "context"):
        assert seen[way].record["run"]["run_id"].startswith("xcomctl-verify-")
        assert seen[way].check("offload_confirmed")["data"]["objects"] == 1
    assert [name for name, done in seen.items() if "logs_clean" in status_of(done)] == ["mine", "api"]


def test_a_consumer_that_got_a_path_is_a_kill_switch_although_every_task_succeeded(walk: Walk) -> None:
    seen = walk.seen(every_task_succeeded_on_a_path)
    assert set(seen["states"].values()) == {"success"}
    reverted: Done = seen["reverted"].orderly()
    assert (reverted.code, reverted.record["verdict"]) == (3, "KILL-SWITCH")
    found = status_of(reverted)
    assert (found["run_succeeded"], found["tasks_failed_after_push"]) == ("ok", "ok")
    handed = reverted.check("no_path_handed_over")
    assert handed["status"] == "fail"
    assert "aliases, path strings pushed as values: pass_on return_value" in handed["detail"]
    assert "rendered templates of" in handed["detail"] and "render" in handed["detail"]
    started = reverted.check("started_under_inline")
    assert started["status"] == "fail"
    assert {"trust", "pass_on", "render"} <= set(started["data"]["suspects"])
    assert "produce" not in started["data"]["suspects"]
    logs = reverted.check("logs_clean")
    assert logs["status"] == "fail"
    assert any(line.startswith("render: ") and walk.base_path in line for line in logs["data"]["lines"]), logs
    steps = "\n".join(reverted.record["next_steps"])
    assert "AIRFLOW__CORE__XCOM_BACKEND=" in steps and "then clear" in steps and "trust" in steps
    assert "KILL-SWITCH (exit 3)" in seen["text"].out


def test_the_api_alone_tells_of_a_path_in_a_template_and_of_a_task_that_failed_on_one(walk: Walk) -> None:
    seen = walk.seen(every_task_succeeded_on_a_path)
    for name, run_succeeded, failed, check_id, words in (
        ("api", "ok", "ok", "no_path_handed_over", "rendered templates of render"),
        ("failed", "fail", "fail", "tasks_failed_after_push", "failed with an upstream that pushed: compare_cells"),
    ):
        done: Done = seen[name].orderly()
        assert (done.code, done.record["verdict"]) == (3, "KILL-SWITCH"), done.out
        found = status_of(done)
        assert (found["run_succeeded"], found["tasks_failed_after_push"]) == (run_succeeded, failed)
        assert found["logs_clean"] == "fail" and found["references_resolve"] == "skip"
        named = done.check(check_id)
        assert named["status"] == "fail" and words in named["detail"], named


def test_what_went_wrong_in_a_try_is_told_although_the_next_one_succeeded(verified: dict[str, Done]) -> None:
    """The run that the revert hit, cleared and green since."""
    healed = verified["healed"]
    assert status_of(healed)["tasks_failed_after_push"] == "ok"
    logs = healed.check("logs_clean")
    assert logs["status"] == "fail"
    assert any(line.startswith("compare_cells try 1: ") for line in logs["data"]["lines"]), logs
    assert not any(line.startswith("compare_cells: ") for line in logs["data"]["lines"]), logs


def test_what_started_under_inline_is_known_later_from_the_journal(walk: Walk) -> None:
    """A context that resolves the offload again: the run still is what it is."""
    later: Done = walk.seen(every_task_succeeded_on_a_path)["later"].orderly()
    assert later.code == 3
    assert status_of(later)["resolution_class"] == "ok"
    assert "(verify)" in later.check("started_under_inline")["detail"]


def test_a_missing_object_is_a_kill_switch(walk: Walk) -> None:
    done: Done = walk.seen(when_something_is_wrong)["missing"].orderly()
    assert (done.code, done.record["verdict"]) == (3, "KILL-SWITCH")
    resolve = done.check("references_resolve")
    assert (resolve["status"], resolve["data"]["problems"]) == ("fail", {"dangling": 1})
    assert any("xcomctl pull" in step for step in done.record["next_steps"])


def test_what_bypassed_the_backend_is_reported_and_no_fail(walk: Walk) -> None:
    done: Done = walk.seen(when_something_is_wrong)["bypassed"].orderly()
    assert (done.code, done.record["verdict"]) == (0, "validated")
    bypassed = done.check("bypassed_backend")
    assert (bypassed["status"], bypassed["data"]["xcoms"]) == ("warn", [f"{HOLD} by_trigger"])


def test_a_store_that_cannot_be_reached_is_inconclusive(walk: Walk) -> None:
    done: Done = walk.seen(when_something_is_wrong)["unreachable"].orderly()
    assert (done.code, done.record["verdict"]) == (5, "inconclusive")
    found = status_of(done)
    assert (found["references_resolve"], found["offload_confirmed"], found["run_succeeded"]) == ("skip", "skip", "ok")
    assert "fail" not in found.values()


@pytest.mark.parametrize("broken", BROKEN)
def test_a_context_that_does_not_resolve_is_a_kill_switch_in_those_words(
    verified: dict[str, Done], broken: str
) -> None:
    done = verified[broken]
    assert done.code == 3
    check_id = "resolution_class" if broken == "unimportable" else "resolution_settings"
    assert any(check_id in line and "KILL-SWITCH" in line for line in done.out.splitlines())
    assert "resolution alone" in done.out
    if broken == "dotted":
        assert "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH is not read" in done.out
        (entry,) = verified["journal"].lines
        assert entry["data"]["verdict"] == "KILL-SWITCH"


def test_the_api_alone_tells_how_the_run_ended_and_what_it_cannot_see(verified: dict[str, Done]) -> None:
    assert verified["api"].code == 5
    found = status_of(verified["api"])
    assert (found["run_succeeded"], found["tasks_failed_after_push"]) == ("ok", "ok")
    assert (found["references_resolve"], found["context_answers"]) == ("skip", "skip")


def test_a_run_that_is_not_there_and_a_dag_that_is_not_known_are_inconclusive(
    walk: Walk, verified: dict[str, Done]
) -> None:
    seen = walk.seen(when_something_is_wrong)
    assert seen["no run"].orderly().code == seen["no dag"].orderly().code == 5
    assert "Airflow knows no DAG nothing_of_that_name" in seen["no dag"].out
    assert "would trigger a run" in verified["dry"].out


def test_what_a_fresh_process_resolves_says_nothing_of_a_scheduler_that_runs(
    walk: Walk, verified: dict[str, Done]
) -> None:
    """After the walk all of Airflow runs in ``inline`` (F41). A process of 2.x writes its title over what tells that."""
    done = verified["none"]
    assert status_of(done)["resolution_settings"] == "ok"
    running = done.check("resolution_running")
    assert "scheduler" in running["detail"]
    if walk.line == "3":
        assert (done.code, running["status"], "inline" in running["detail"]) == (3, "fail", True)
    else:
        assert (done.code, running["status"], "cannot be read" in running["detail"]) == (0, "warn", True), running
