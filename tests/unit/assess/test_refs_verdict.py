"""What a scan of references amounts to."""

from __future__ import annotations

import pytest

from xcomctl.assess.refs import verdict
from xcomctl.model.refs import DANGLING, RefsQuery, RefTotals
from xcomctl.model.verdicts import Verdict

BASE = "s3://store@bucket/xcom"


@pytest.mark.parametrize(
    ("only", "totals", "expected"),
    [
        ((DANGLING,), {}, Verdict.OK),
        ((DANGLING,), {"dangling": 1}, Verdict.FAILED),
        ((), {"dangling": 1}, Verdict.WARNINGS),
        # Of a store that failed on the way, or lists out of order, nobody knows what is missing: nothing is to be cleared.
        ((DANGLING,), {"dangling": 1, "store_error": "no answer"}, Verdict.INCONCLUSIVE),
        ((DANGLING,), {"store_error": "no answer"}, Verdict.INCONCLUSIVE),
        ((), {"foreign": 1, "foreign_bases": ("s3://b/x",)}, Verdict.WARNINGS),
    ],
)
def test_what_a_scan_amounts_to(only, totals, expected):
    assert verdict(RefsQuery(only=only), RefTotals(BASE, **totals)) is expected
