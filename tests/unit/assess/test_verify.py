"""Layer A's words for what a context resolves, what the journal saw before, and what to do next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from xcomctl.assess import resolution, verify
from xcomctl.assess.resolution import Expected
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.phases import BASE_XCOM, OBJECT_STORAGE_BACKEND
from xcomctl.model.requests import Resolution, ResolvedSetting
from xcomctl.model.status import RunningProcess, StatusAnswer, StoreState
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import RunStateAnswer, VerifiedContext, VerifyReport

PATH = "s3://aws_default@artifacts/xcom"
OFFLOAD = Resolution(
    ResolvedSetting(OBJECT_STORAGE_BACKEND, "AIRFLOW__CORE__XCOM_BACKEND"), ResolvedSetting(PATH, "airflow.cfg"),
    ResolvedSetting(20_000, "airflow.cfg"), ResolvedSetting("", "airflow.cfg"), OBJECT_STORAGE_BACKEND, None, "offload", "",
)  # fmt: skip
EMPTY = replace(OFFLOAD, path=ResolvedSetting("", "provider default"), phase="misconfigured")
DUAL_READ = replace(OFFLOAD, threshold=ResolvedSetting(-1, "airflow.cfg"), phase="dual-read")


@pytest.mark.parametrize(
    ("found", "expected", "failing", "words"),
    [
        (OFFLOAD, Expected(), set(), ""),
        (OFFLOAD, Expected(path=PATH, threshold=20_000), set(), ""),
        (EMPTY, Expected(), {"resolution_settings"}, "KILL-SWITCH: xcom_objectstorage_path is empty"),
        (OFFLOAD, Expected(path="s3://other/x"), {"resolution_settings"}, "expected s3://other/x"),
        (OFFLOAD, Expected(threshold=1), {"resolution_settings"}, "expected 1"),
        (
            replace(OFFLOAD, threshold=ResolvedSetting("1.6e+06", "airflow.cfg", "ValueError: no")), Expected(),
            {"resolution_settings"}, "the threshold does not resolve",
        ),
        (replace(OFFLOAD, path=ResolvedSetting(None, None, "KeyError")), Expected(), {"resolution_settings"}, "does not resolve"),
        (replace(OFFLOAD, class_path=None, class_error="ImportError"), Expected(), {"resolution_class"}, "XCom does not import"),
        (replace(OFFLOAD, class_path=BASE_XCOM, phase="inline"), Expected(), {"resolution_class"}, "readers of references get path strings"),
        (replace(OFFLOAD, class_path="my.own.XComObjectStorageBackend", phase="unknown"), Expected(), {"resolution_class"}, "XCom is my.own.XComObjectStorageBackend"),
        (replace(OFFLOAD, class_path="my.own.Backend", phase="unknown"), Expected("my.own.Backend"), set(), ""),
        (replace(OFFLOAD, class_path="airflow.sdk.bases.xcom.BaseXCom", phase="inline"), Expected(BASE_XCOM), set(), ""),
        (OFFLOAD, Expected("XComObjectStorageBackend", path=PATH + "/"), set(), ""),
        (replace(EMPTY, near_misses=("X is not read",)), Expected(), {"resolution_settings", "resolution_names"}, "X is not read"),
    ],
)  # fmt: skip
def test_what_a_context_resolves(found, expected, failing, words):
    checks = list(resolution.checks(found, expected))
    assert {check.id for check in checks if check.status is Status.FAIL} == failing
    assert words in " ".join(check.detail for check in checks)
    assert all(check.hint for check in checks if check.status is Status.FAIL)


@pytest.mark.parametrize(
    ("found", "planned", "asked", "failing", "words"),
    [
        # After the first step up, and after the soft way down: the planned threshold is that of offload.
        (DUAL_READ, Expected(path=PATH, threshold=20_000), Expected(), set(), "the planned threshold 20000 is for offload"),
        (DUAL_READ, Expected(threshold=5), Expected(threshold=5), {"resolution_settings"}, "-1 (airflow.cfg), expected 5"),
        (DUAL_READ, Expected(path="s3://other/x"), Expected(), {"resolution_settings"}, "expected s3://other/x"),
        (OFFLOAD, Expected(path=PATH, threshold=5), Expected(), {"resolution_settings"}, "20000 (airflow.cfg), expected 5"),
        (OFFLOAD, Expected(path=PATH, threshold=20_000), Expected(), set(), "threshold 20000 (airflow.cfg): offload"),
        (
            replace(OFFLOAD, class_path=BASE_XCOM, phase="inline"), Expected(BASE_XCOM, "s3://other/x", 5), Expected(BASE_XCOM),
            set(), ": inline",
        ),
    ],
)  # fmt: skip
def test_what_is_planned_counts_where_it_applies_and_what_was_typed_always(found, planned, asked, failing, words):
    checks = list(resolution.checks(found, planned, asked))
    assert {check.id for check in checks if check.status is Status.FAIL} == failing
    assert words in " ".join(check.detail for check in checks)


def test_a_threshold_that_does_not_resolve_is_mended_towards_dual_read_and_not_towards_the_plan():
    unreadable = replace(
        OFFLOAD, threshold=ResolvedSetting("a lot", "airflow.cfg", "ValueError"), phase="misconfigured"
    )
    (check, _) = resolution.checks(unreadable, Expected(path=PATH, threshold=20_000), Expected())
    assert check.hint.endswith('THRESHOLD="-1"')


def test_a_near_miss_beside_the_correct_name_is_a_warning():
    checks = list(resolution.checks(replace(OFFLOAD, near_misses=("X is not read",)), Expected()))
    assert [check.status for check in checks] == [Status.OK, Status.OK, Status.WARN]


SCHEDULER = RunningProcess("scheduler", 7, "inline", None, "xcom_backend airflow.models.xcom.BaseXCom")


def answer(*running: RunningProcess, processes: int = 2) -> StatusAnswer:
    return StatusAnswer("3.3.2", "3", "3.12", "host", {}, OFFLOAD, StoreState(None), None, processes, running)


@pytest.mark.parametrize(
    ("running", "processes", "status", "words", "phases"),
    [
        ((), 2, Status.OK, "2 processes started with what resolves", {"offload": "now"}),
        ((), 0, None, "", {"offload": "now"}),
        ((SCHEDULER,), 1, Status.FAIL, "KILL-SWITCH: scheduler (pid 7) started in inline", {"inline": "running scheduler"}),
        ((replace(SCHEDULER, phase="dual-read"),), 2, Status.SKIP, "started in dual-read", {"dual-read": "running scheduler"}),
        ((replace(SCHEDULER, component="api-server"),), 2, Status.WARN, "api-server (pid 7)", {"offload": "now"}),
        ((replace(SCHEDULER, phase=None),), 1, Status.OK, "cannot be read", {"offload": "now"}),
        ((replace(SCHEDULER, phase=None),), 0, Status.WARN, "cannot be read", {"offload": "now"}),
    ],
)  # fmt: skip
def test_what_runs_counts_and_not_what_a_fresh_process_resolves(running, processes, status, words, phases):
    found = resolution.running(answer(*running, processes=processes))
    assert (None if found is None else found.status) is status
    assert found is None or words in found.detail
    assert found is None or status not in (Status.FAIL, Status.SKIP) or "restart scheduler (pid 7)" in found.hint
    assert resolution.phases(answer(*running, processes=processes)) == phases


def test_what_was_seen_now_is_that_of_what_starts_tasks():
    context = VerifiedContext("a", OFFLOAD, (), phases={"inline": "running scheduler"})
    silent = VerifiedContext("b", None, ())
    (found,) = verify.observed_now([context, silent])
    assert (found.context, found.phase, found.source) == ("a", "inline", "running scheduler")


class Interrupting:
    """A run whose watching is interrupted."""

    def trigger(self, dag_id: str, run_id: str, conf: object) -> None: ...

    def state(self, dag_id: str, run_id: str) -> RunStateAnswer:
        raise KeyboardInterrupt


def test_who_interrupts_the_watch_is_told_that_the_run_goes_on():
    with pytest.raises(verify.Interrupted, match=r"the run run-1 of dag, .* goes on"):
        verify.triggered(Interrupting(), "dag", "run-1", {}, 5, lambda what: None)
    with pytest.raises(KeyboardInterrupt) as caught:  # a run that somebody else started is not ours to speak of
        verify.watch(Interrupting(), "dag", "run-1", 5, lambda what: None)
    assert not isinstance(caught.value, verify.Interrupted)


def test_the_journal_tells_of_the_same_contexts_of_the_same_deployment(tmp_path: Path):
    journal = LocalJournal(tmp_path / "journal.jsonl")
    for deployment, name, phase in (
        ("a", "scheduler", "inline"),
        ("b", "scheduler", "offload"),
        ("a", "other", "inline"),
    ):
        contexts = [{"name": name, "phase": phase}, {"name": "silent"}, "odd"]
        journal.append(JournalEntry("verify", this_actor(), now(), deployment, data={"contexts": contexts}))
    (found,) = verify.observed_before(journal, "a", {"scheduler", "silent"})
    assert (found.context, found.phase, found.source) == ("scheduler", "inline", "verify")


def report(found: Resolution, *checks: Check) -> VerifyReport:
    context = VerifiedContext("scheduler", found, tuple(resolution.checks(found, Expected())))
    return VerifyReport((context,), run={"dag_id": "dag", "run_id": "run 1"}, run_checks=checks)


def test_a_kill_switch_says_what_to_set_to_look_at_and_to_clear():
    bad = Check("references_resolve", "run", "title", Status.FAIL, "gone", "look there")
    steps = verify.with_next_steps(report(OFFLOAD, bad), " -D dev", ["trust", "render[3]"]).next_steps
    assert 'set AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD="-1"' in steps[0] and "XCOM_BACKEND" not in steps[0]
    assert steps[1] == "xcomctl status -D dev"
    assert "clear trust, render[3] of dag run 1" in steps[2] and "only_failed=false" in steps[2]
    assert "xcomctl pull -d dag -r 'run 1' -D dev" in steps and "look there" in steps
    misconfigured = verify.with_next_steps(report(EMPTY), "").next_steps[0]
    assert "XCOM_OBJECTSTORAGE_PATH=" in misconfigured and "XCOM_BACKEND" not in misconfigured
    inline = verify.with_next_steps(report(replace(OFFLOAD, class_path=BASE_XCOM, phase="inline")), "").next_steps[0]
    assert f"XCOM_BACKEND={OBJECT_STORAGE_BACKEND}" in inline and PATH in inline


def test_every_command_to_type_names_the_contexts_and_the_carrier_alone_that_nobody_knows():
    resolves_nothing = replace(EMPTY, near_misses=("X is not read",))
    hint = "is the store reachable from this context? xcomctl preflight --only store,connection"
    found = verify.with_next_steps(
        report(resolves_nothing, Check("references_resolve", "run", "title", Status.SKIP, "away", hint)),
        " -D dev",
        carrier="",
    )
    steps = [line for step in found.next_steps for line in step.splitlines() if "xcomctl " in line]
    assert len(steps) == 5 and all(" -D dev" in line for line in steps)
    assert "--carrier" not in "".join(steps)
    assert "xcomctl preflight --only config_near_misses -D dev" in steps
    (misspelt,) = [check for check in found.checks if check.id == "resolution_names"]
    assert misspelt.hint == "xcomctl preflight --only config_near_misses -D dev"
    assert found.run_checks[0].hint == hint + " -D dev"
    broken = report(replace(OFFLOAD, class_path=None, class_error="ImportError"))
    assert (
        verify.with_next_steps(broken, " -D dev", carrier="")
        .next_steps[0]
        .startswith("xcomctl killswitch --hard -D dev ")
    )


def test_what_is_validated_leaves_nothing_to_do():
    assert verify.with_next_steps(report(OFFLOAD), "", []).next_steps == ()
