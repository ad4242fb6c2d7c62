"""The verdict in the runbook's words, and its table."""

from __future__ import annotations

import json

import pytest

from xcomctl.model.verdicts import Check, Status
from xcomctl.model.verification import VerifiedContext, VerifyReport


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
