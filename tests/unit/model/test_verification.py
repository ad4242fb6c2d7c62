"""The verdict in the runbook's words, and its table."""

from __future__ import annotations

import json

import pytest

from xcomctl.agent.requests import run_review
from xcomctl.checks import run_logs
from xcomctl.model.suspects import Observation
from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import RunReviewQuery, VerifiedContext, VerifyReport, is_pushed_digest


def check(check_id: str, status: Status, detail: str = "said") -> Check:
    return Check(check_id, "run", "title", status, detail)


@pytest.mark.parametrize(
    ("statuses", "verdict", "code"),
    [
        ([Status.OK, Status.WARN], "validated", 0),
        ([Status.OK, Status.SKIP], "inconclusive", 5),
        ([Status.SKIP, Status.FAIL], "KILL-SWITCH", 3),
        ([], "inconclusive", 5),
    ],
)
def test_a_fail_is_a_kill_switch_and_a_skip_is_never_validated(statuses, verdict, code):
    report = VerifyReport((), run_checks=tuple(check(f"c{n}", status) for n, status in enumerate(statuses)))
    assert (report.verdict, report.exit_code) == (verdict, code)
    assert json.loads(json.dumps(report.to_json()))["verdict"] == verdict


def test_each_row_of_the_table_shows_the_worst_of_what_measures_it():
    context = VerifiedContext("scheduler", None, (check("resolution_settings", Status.OK, "path s3://…"),))
    run = (
        check("run_succeeded", Status.OK, "the run is success"),
        check("references_resolve", Status.SKIP, "no store"),
        check("values_equal_pushed", Status.FAIL, "2 values differ"),
        check("no_path_handed_over", Status.OK, "none"),
    )
    table = {what: (seen, verdict) for what, seen, verdict in VerifyReport((context,), run_checks=run).table}
    assert table["run success"] == ("the run is success", "ok")
    assert table["trajectory readable"] == ("2 values differ", "KILL-SWITCH")
    assert table["offload confirmed"] == ("not looked at", "-")
    assert table["every context resolves path, threshold and class"] == ("path s3://…", "ok")


DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ({"type": "dict", "bytes": 1, "digest": DIGEST}, True),
        ({"digest": DIGEST}, False), ({"type": "dict", "bytes": 1, "digest": "sha256:" + DIGEST}, False),
        ({"type": "dict", "bytes": 1, "digest": None}, False), (DIGEST, False), (None, False),
    ],
)  # fmt: skip
def test_some_other_xcom_of_the_key_pushed_is_no_digest(value, is_one):
    assert is_pushed_digest(value) is is_one


def test_a_query_travels_with_what_was_seen():
    query = RunReviewQuery("d", "r", (Observation("2026-06-06T12:00:00Z", "inline", "scheduler"),), "s3://b/x", True)
    assert RunReviewQuery.from_json(json.loads(json.dumps(query.to_json()))) == query


#: Every check that verify has, by what a fail of it means.
IDS = (
    "context_answers", "resolution_settings", "resolution_class", "resolution_names", "resolution_running", "config_drift",
    *(check.id for check in (*run_review.CHECKS, *run_logs.CHECKS)), "run_review",
)  # fmt: skip


@pytest.mark.parametrize("check_id", IDS)
def test_every_check_counts_whichever_it_is(check_id):
    others = tuple(check(other, Status.OK) for other in IDS if other != check_id)
    for status, verdict in ((Status.FAIL, "KILL-SWITCH"), (Status.SKIP, "inconclusive"), (Status.WARN, "validated")):
        assert VerifyReport((), run_checks=(*others, check(check_id, status))).verdict == verdict


def test_every_check_that_can_decide_is_in_the_runbooks_table():
    """So that the table never says ok beside a verdict that is none; what only tells more of a row is not in it."""
    apart = {"resolution_names", "bypassed_backend", "run_review"}
    for check_id in set(IDS) - apart:
        table = VerifyReport((), run_checks=(check(check_id, Status.FAIL),)).table
        assert [verdict for _, _, verdict in table].count("KILL-SWITCH") == 1, check_id
