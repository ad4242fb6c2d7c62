"""What the rehearsal has to observe, asserted on the walk: flip, break, re-trigger, heal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.walk import KEPT, OFFLOADED, SIZES, THRESHOLD, WALKED, Walk, literal, sql
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.journal.open import opened
from xcomctl.model import requests
from xcomctl.model.rehearsal import RehearsalReport
from xcomctl.model.verdicts import Status, Verdict
from xcomctl.rehearsal.rehearse import record
from xcomctl.rehearsal.scenarios.interface import DAG_ID, SECOND_DAG_ID
from xcomctl.rehearsal.scenarios.runbook import IN_FLIGHT_RUN, OFFLOAD_RUN
from xcomctl.rehearsal.scenarios.soft import EXIT_RUN, SOFT_RUN


def test_every_required_observation_was_made(walk: Walk) -> None:
    assert walk.report.failure is None
    assert walk.report.verdict is Verdict.OK
    assert [step.id for step in walk.report.steps] == [
        "environment", "database", "store", "airflow",
        "inline", "up", "dual_read", "flip", "soft_in_flight", "soft_killswitch", "soft", "soft_exit", "exit",
        "up_again", "offload", "in_flight", "revert", "break", "retrigger", "left_behind",
    ]  # fmt: skip


@pytest.mark.parametrize("run", ["inline", "offload", "healed"])
def test_green_runs_verify_values_and_control_flow(walk: Walk, run: str) -> None:
    for what in ("run_green", "values_verified", "control_flow"):
        assert walk.check(f"{run}_{what}").status is Status.OK


def test_inline_leaves_nothing_in_the_store(walk: Walk) -> None:
    assert walk.check("inline_nothing_in_store").detail.startswith("0 objects")


def test_exactly_the_values_from_the_threshold_up_are_in_the_store(walk: Walk) -> None:
    data = walk.check("offload_exact").data
    assert data["objects"] == data["expected"] == sorted(OFFLOADED)


def test_consumers_receive_path_strings_and_one_of_them_succeeds(walk: Walk) -> None:
    trusting = walk.check("break_path_string").data
    comparing = walk.check("break_path_string_compared").data
    assert trusting["task_state"] == "success"
    assert comparing["task_state"] == "failed"
    for got in (trusting, comparing):
        assert len(got["all_received"]) == len(OFFLOADED)
        for received in got["all_received"]:
            assert received.startswith(f"{walk.base_path}/diagnostic__s42/{IN_FLIGHT_RUN}/discriminate_cell/")


def test_the_cost_is_measured(walk: Walk) -> None:
    runbook = walk.strategy("runbook")
    assert runbook.tasks_broken == 2
    # What pushed the references, the hold point and both consumers ran again; what does not read them did not.
    assert runbook.tasks_rerun == len(OFFLOADED) + 3
    assert runbook.objects_orphaned == len(OFFLOADED)
    assert runbook.bytes_orphaned == sum(OFFLOADED)
    assert runbook.bytes_moved is None
    assert runbook.time_broken_s is not None
    assert runbook.time_broken_s >= walk.report.restarts_s[-1] > 0


def test_the_soft_way_breaks_nothing_and_runs_nothing_again(walk: Walk) -> None:
    soft = walk.strategy("soft")
    assert (soft.tasks_broken, soft.tasks_rerun, soft.time_broken_s) == (0, 0, 0.0)
    for seen in ("none_broken", "none_rerun", "run_green", "values_verified", "references_kept"):
        assert walk.check(f"soft_{seen}").status is Status.OK


def test_on_the_way_out_everything_goes_back_and_a_run_that_was_held_reads_it(walk: Walk) -> None:
    soft = walk.strategy("soft")
    for seen in ("none_broken", "none_rerun", "run_green", "values_verified", "no_reference", "moved"):
        assert walk.check(f"exit_{seen}").status is Status.OK
    # Two runs; the values are as large as their objects, which stay where they are.
    assert soft.bytes_moved == soft.bytes_orphaned == 2 * sum(OFFLOADED)
    assert soft.objects_orphaned == 2 * len(OFFLOADED)
    assert soft.time_moved_s is not None
    for run_id in (SOFT_RUN, EXIT_RUN):
        of_run = (
            f"FROM xcom WHERE run_id = {literal(run_id)} AND task_id = 'discriminate_cell' AND key = 'return_value'"
        )
        length = "octet_length(value)" if walk.line == "2" else "octet_length(value::text)"
        assert [[str(len(SIZES))]] == sql(walk, f"SELECT count(*) {of_run}")
        assert int(sql(walk, f"SELECT count(*) {of_run} AND {length} >= {THRESHOLD}")[0][0]) >= len(OFFLOADED)


def test_each_step_up_waited_for_its_barrier(walk: Walk) -> None:
    for step, phase in (("dual_read", "dual-read"), ("soft_in_flight", "offload"), ("soft", "dual-read")):
        data = walk.check(f"{step}_barrier").data
        assert (data["target"], data["passage"], data["blockers"]) == (phase, "passed", [])
        assert data["moment"] is not None


def test_what_was_played_is_on_record(walk: Walk, tmp_path: Path) -> None:
    # Planned in the order of the command line, played in the order in which they ended.
    assert sorted(walk.report.planned) == sorted(walk.report.scenarios) == sorted(WALKED)
    journal = tmp_path / "journal.jsonl"
    record(walk.report, tmp_path, journal)
    (entry,) = opened(journal).entries()
    assert sorted(entry.data["scenarios"]) == sorted(WALKED)


def test_orphans_and_stranded_references_are_what_the_store_and_the_database_say(walk: Walk) -> None:
    with AgentSession(walk.warm.reach(walk.sandbox.airflow.environment())) as agent:
        objects = {
            record["uri"]
            for dag_id in (DAG_ID, SECOND_DAG_ID)
            for record in agent.stream(requests.OBJECTS, {"base_path": walk.base_path, "under": dag_id})
        }
        references = list(agent.stream(requests.REFERENCES, {"base_path": walk.base_path}))
    orphans = {orphan["path"] for orphan in walk.report.orphans}
    assert orphans == objects - {record["uri"] for record in references}
    assert {record["run_id"] for record in references} == {OFFLOAD_RUN}
    assert walk.report.stranded == len(references) == len(KEPT)


def test_the_connection_exists_only_in_the_metadata_database(walk: Walk) -> None:
    environment = walk.sandbox.airflow.environment()
    assert not [name for name in environment if name.startswith(("AIRFLOW_CONN_", "AWS_"))]
    assert sql(walk, "SELECT conn_type FROM connection WHERE conn_id = 'xcomctl_store'") == [["aws"]]


def test_no_secret_is_in_the_report(walk: Walk) -> None:
    text = json.dumps(walk.report.to_json())
    environment = walk.sandbox.airflow.environment()
    assert walk.sandbox.database is not None and walk.sandbox.store is not None
    secrets = [
        walk.sandbox.database.password,
        walk.sandbox.airflow.password,
        walk.sandbox.store.connection["password"],
        environment["AIRFLOW__CORE__FERNET_KEY"],
    ]
    assert not [secret for secret in secrets if secret in text]


def test_the_report_survives_json(walk: Walk) -> None:
    record = json.loads(json.dumps(walk.report.to_json()))
    assert RehearsalReport.from_json(record) == walk.report


def test_the_fingerprint_names_what_was_rehearsed(walk: Walk) -> None:
    fingerprint = walk.report.fingerprint
    assert fingerprint["threshold"] == THRESHOLD
    assert fingerprint["airflow"] == walk.sandbox.environment.airflow
    assert fingerprint["path_scheme"] == "s3"
