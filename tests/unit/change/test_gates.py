"""What stands between two steps: each gate in the state that passes, that refuses, and that cannot be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.change.samples import (
    DUAL_READ,
    OFFLOAD,
    PATH,
    blocker,
    evaluated,
    held,
    run,
    settings,
    standing,
)
from xcomctl.change import gates
from xcomctl.change.carrier_edit import CarrierEdit, settings_after
from xcomctl.deployment.carriers.interface import Edit
from xcomctl.model.barrier import Passage
from xcomctl.model.phases import BASE_XCOM, Line, Phase
from xcomctl.model.plan import Misfit, StepFactsAnswer
from xcomctl.model.settings import BACKEND, THRESHOLD, settings_for
from xcomctl.model.verdicts import Status


def test_a_barrier_that_is_passed_blocked_or_not_seen():
    assert gates.barrier(evaluated(), "").status is Status.OK
    many = [blocker(f"dag.task{number}") for number in range(7)]
    blocked = gates.barrier(evaluated(Passage.BLOCKED, blockers=tuple(many)), " -D prod")
    assert (blocked.status, blocked.hint) == (Status.FAIL, "xcomctl wait --to dual-read -D prod")
    assert "dag.task4" in blocked.detail and "and 2 more" in blocked.detail
    unseen = gates.barrier(evaluated(Passage.INCONCLUSIVE, unknown=("a pod is not seen",)), "")
    assert (unseen.status, unseen.detail) == (Status.SKIP, "a pod is not seen")
    accepted = gates.barrier(evaluated(accepted=(blocker("dag.slow"),)), "")
    assert accepted.status is Status.WARN and "dag.slow" in accepted.detail


@pytest.mark.parametrize(
    ("new", "stored", "status"),
    [
        (PATH, None, Status.OK),
        ("s3://store@bucket/", None, Status.OK),  # above the old one
        ("s3://store@bucket/xcom2", 3, Status.FAIL),
        ("s3://other@bucket/xcom", 3, Status.FAIL),  # another connection
        ("s3://store@bucket/xcom/deeper", 3, Status.FAIL),
        ("s3://store@bucket/xcom2", 0, Status.OK),
    ],
)
def test_a_changed_base_path_is_refused_while_references_under_the_old_one_exist(new, stored, status):
    found = None if stored is None else held(references=stored)
    gate = gates.base_path(standing(one=OFFLOAD), settings(path=new), found)
    assert gate.status is status, gate.detail
    if status is Status.FAIL:
        assert PATH in gate.hint


def test_archived_references_and_pickles_under_the_old_base_path_count_too():
    moved = settings(path="s3://store@bucket/xcom2")
    assert gates.base_path(standing(one=OFFLOAD), moved, held(archived=1)).status is Status.FAIL
    assert gates.base_path(standing(one=OFFLOAD), moved, held(pickled=1)).status is Status.SKIP


def test_where_no_base_path_resolves_a_new_one_makes_nothing_worse():
    assert gates.base_path(standing(one={}), settings(path=PATH), None).status is Status.OK


def test_where_no_base_path_resolves_a_mistyped_one_is_found_by_what_unfinished_runs_hold():
    broken = replace(standing(one={}), held_under=PATH)
    assert gates.base_path(broken, settings(path=PATH), None).status is Status.OK
    assert gates.base_path(broken, settings(path=PATH.rpartition("/")[0]), None).status is Status.OK
    typo = gates.base_path(broken, settings(path="s3://typo@elsewhere/x"), None)
    assert typo.status is Status.FAIL
    assert f"--path {PATH}" in typo.hint
    assert gates.base_path(broken, settings(), None).status is Status.OK  # to `inline`: the references gate tells


def edit(**present):
    found = {BACKEND.env: BASE_XCOM} if not present else settings_for(Phase.OFFLOAD, PATH, present["threshold"])
    before = settings_after({}, found, Line.AF3)
    return CarrierEdit(Edit(b"", b"x", "diff"), before, settings_after({THRESHOLD.env: "-1"}, found, Line.AF3))


def test_a_carrier_that_says_something_else_than_the_contexts_is_not_the_one_that_they_read():
    assert gates.carrier(standing(one=OFFLOAD), edit(threshold=20_000)).status is Status.OK
    behind = gates.carrier(standing(one=DUAL_READ), edit(threshold=20_000))
    assert behind.status is Status.FAIL
    assert "it says offload" in behind.detail and "they resolve dual-read" in behind.detail
    elsewhere = gates.carrier(standing(one={**OFFLOAD, "path": "s3://store@bucket/other"}), edit(threshold=20_000))
    assert elsewhere.status is Status.FAIL and "bucket/other" in elsewhere.detail


@pytest.mark.parametrize(("threshold", "status"), [(9_999, Status.FAIL), (0, Status.FAIL), (10_000, Status.OK)])
def test_a_threshold_below_the_floor_would_offload_airflows_control_flow(threshold, status):
    assert gates.threshold(settings(threshold=threshold)).status is status


def test_inline_is_refused_while_any_row_holds_a_reference_of_finished_runs_too():
    assert gates.references(held(), None, "").status is Status.OK
    finished = held(run("old", "success", 2), references=2)
    gate = gates.references(finished, None, " -D prod")
    assert gate.status is Status.FAIL
    assert "2 references" in gate.detail and "dag old" in gate.detail and "--keep-finished" in gate.hint
    kept = gates.references(finished, "they are purged tonight", "")
    assert (kept.status, kept.data["kept"]) == (Status.WARN, ["dag old"])
    assert "they are purged tonight" in kept.detail


def test_a_reason_keeps_those_of_finished_runs_alone():
    both = held(run("now", "running", 1), run("old", "success"), references=2)
    gate = gates.references(both, "a reason", "")
    assert gate.status is Status.FAIL and "dag now (1 reference)" in gate.detail
    alias = gates.references(held(run("now", "queued", 0, 1), aliases=1), "a reason", "")
    assert alias.status is Status.FAIL and "1 alias" in alias.detail


def test_an_alias_alone_blocks_and_what_cannot_be_looked_into_is_not_known_to_hold_none():
    assert gates.references(held(run("old", "failed", 0, 1), aliases=1), None, "").status is Status.FAIL
    assert gates.references(held(pickled=1), "a reason", "").status is Status.SKIP
    assert gates.references(None, None, "").status is Status.SKIP


def test_aliases_that_are_accepted_by_name_stay_and_no_others():
    one = held(run("old", "failed", 0, 1), aliases=1, passed_on={"old": {"dag.passes": 1}})
    accepted = gates.references(one, None, "", ("dag.passes",))
    assert accepted.status is Status.WARN and "1 alias accepted by name: dag.passes" in accepted.detail
    for names in ((), ("dag.other",), ("other.passes",), ("passes",)):
        assert gates.references(one, None, "", names).status is Status.FAIL
    running = held(run("now", "running", 0, 2), aliases=2, passed_on={"now": {"dag.passes": 2}})
    assert gates.references(running, None, "", ("dag.passes",)).status is Status.WARN
    assert gates.references(held(), None, "", ("dag.passes",)).status is Status.OK


def test_a_name_that_is_accepted_twice_accepts_no_other_task():
    two = held(run("old", "success", 0, 2), aliases=2, passed_on={"old": {"dag.passes": 1, "dag.other": 1}})
    gate = gates.references(two, None, "", ("dag.passes", "dag.passes"))
    assert gate.status is Status.FAIL and "1 alias in 1 finished run: dag old" in gate.detail
    assert gates.references(two, None, "", ("dag.passes", "dag.other")).status is Status.WARN


def test_an_accepted_alias_makes_up_for_no_reference_beside_it():
    """An archive's alias counts for its run as well: it must not stand for what the run itself holds."""
    beside = held(run("now", "running", 1, 0), references=1, aliases=1, passed_on={"now": {"dag.passes": 1}})
    for reason in (None, "a reason"):
        gate = gates.references(beside, reason, "", ("dag.passes",))
        assert gate.status is Status.FAIL and "dag now (1 reference)" in gate.detail
    both = held(run("old", "success", 1, 1), references=1, aliases=1, passed_on={"old": {"dag.passes": 1}})
    assert gates.references(both, None, "", ("dag.passes",)).status is Status.FAIL
    assert gates.references(both, "a reason", "", ("dag.passes",)).status is Status.WARN


def test_values_that_fit_only_in_the_store_are_a_warning_with_their_names():
    misfit = Misfit("dag", "run", "task", -1, "return_value", "holds NaN")
    found = gates.values_fit(StepFactsAnswer("jsonb", references=9, looked_at=5, misfit_count=1, misfits=(misfit,)))
    assert found.status is Status.WARN
    assert "dag.task key return_value holds NaN" in found.detail and "5 of 9" in found.detail
    assert gates.values_fit(StepFactsAnswer("jsonb", references=5, looked_at=5)).status is Status.OK
    assert gates.values_fit(StepFactsAnswer("bytes")).status is Status.OK
    unread = gates.values_fit(StepFactsAnswer("jsonb", references=5, looked_at=4, unread=1, unread_why="it is gone"))
    assert unread.status is Status.WARN and "it is gone" in unread.detail


def test_a_path_that_leads_out_of_the_base_path_blocks_whatever_is_kept():
    found = gates.references(held(run("old", "success"), outside=1), "they are purged tonight", "")
    assert found.status is Status.FAIL and "leads out of the base path" in found.detail
