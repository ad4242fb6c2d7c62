"""The two colours of a probe, and its verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from xcomctl.model.probe import (
    CONTROL_FLOW,
    DATA,
    ProbeAnswer,
    ProbeDifference,
    ProbeReport,
    ProbeRunAnswer,
    in_log,
    packed,
    unpacked,
)  # fmt: skip
from xcomctl.model.verdicts import Verdict

COUNTS = {"control_flow/inline": 99, "data/inline": 18}
ANSWER = ProbeAnswer("3.3.2", "1.11.0", "offload", "offload", "s3://c@b/x", counts=COUNTS)


def difference(corpus: str = CONTROL_FLOW, **fields: str) -> ProbeDifference:
    return ProbeDifference(
        corpus, "inline", "digits", '"1"', "str '1'", "int 1", '"1" comes back as int 1', "F4", "why", **fields
    )


@pytest.mark.parametrize(
    ("report", "colours", "verdict"),
    [
        (ProbeReport("c", ANSWER), ("green", "green"), Verdict.OK),
        (ProbeReport("c", ANSWER, (difference(),)), ("red", "green"), Verdict.FAILED),
        (ProbeReport("c", ANSWER, (difference(DATA),)), ("green", "yellow"), Verdict.OK),
        (ProbeReport("c", replace(ANSWER, problem="no class")), ("red", "yellow"), Verdict.FAILED),
        (ProbeReport("c", replace(ANSWER, unmeasured=("no store",))), ("unknown", "unknown"), Verdict.INCONCLUSIVE),
        (ProbeReport("c", replace(ANSWER, left_behind=("s3://…",))), ("green", "green"), Verdict.FAILED),
        (ProbeReport("c", None, silent="no agent"), ("unknown", "unknown"), Verdict.INCONCLUSIVE),
        (ProbeReport("c", replace(ANSWER, counts={"data/inline": 1})), ("unknown", "green"), Verdict.INCONCLUSIVE),
        (
            ProbeReport("c", replace(ANSWER, counts={"data/inline": 1}), classes=(DATA,)),
            ("unknown", "green"),
            Verdict.OK,
        ),
        (
            ProbeReport("c", ANSWER, run=ProbeRunAnswer("r", differences=(difference(),))),
            ("red", "green"),
            Verdict.FAILED,
        ),
        (
            ProbeReport("c", ANSWER, run=ProbeRunAnswer("r", unmeasured=("no answer",))),
            ("unknown", "unknown"),
            Verdict.INCONCLUSIVE,
        ),
    ],
)
def test_colours_and_verdict(report, colours, verdict):
    assert (report.control_flow, report.data) == colours
    assert report.verdict is verdict


def test_a_difference_in_one_line():
    assert difference().line == 'control_flow: "1" comes back as int 1 (why)'
    assert difference(step="mapped task").line.startswith("control_flow: inline, mapped task: ")
    assert replace(difference(), defect=None, because="").line.endswith("(for no known reason)")


def test_the_answer_of_a_run_comes_back_from_a_value_and_from_a_log():
    answer = ProbeRunAnswer("r", {"control_flow/another task": 1}, (difference(),), ("note",), (), True)
    assert unpacked(packed(answer)) == answer
    import json

    log = f"INFO - xcomctl-probe: {json.dumps(packed(answer))} [source]\nlater"
    assert in_log(log) == answer
    assert in_log("nothing") is None
    for other in (None, "s3://…", {}, {"schema": "xcomctl.probe_run/1", "body": "!"}):
        assert unpacked(other) is None
