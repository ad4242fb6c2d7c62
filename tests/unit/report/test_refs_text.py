"""Runs at risk as rows of text."""

from __future__ import annotations

import io

import pytest

from xcomctl.model.refs import AtRiskRun
from xcomctl.report.refs_text import add_risk, risk_rows


@pytest.mark.parametrize(
    ("run", "readers"),
    [
        (AtRiskRun("dag", "r", "running", None, 2, 0, {"scheduled": 1, "deferred": 2}), "1 scheduled, 2 deferred"),
        (AtRiskRun("dag", "r", "queued", None, 2), "nothing left that reads"),
        # However many runs came later: a pull of prior dates takes the latest that has a value, and that may be this one.
        (AtRiskRun("dag", "r", "success", None, 2), "a pull by run_id, dag_id or include_prior_dates"),
        (AtRiskRun("dag", "r", "failed", None, 2), "a pull by run_id, dag_id or include_prior_dates"),
    ],
)
def test_who_would_get_path_strings(run, readers):
    stream = io.StringIO()
    rows = risk_rows(stream)
    add_risk(rows, run)
    rows.flush()
    assert readers in stream.getvalue().splitlines()[-1]
