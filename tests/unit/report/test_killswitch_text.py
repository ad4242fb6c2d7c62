"""A kill-switch as a person reads it."""

from __future__ import annotations

import io
from dataclasses import replace

from xcomctl.model.killswitch import Way
from xcomctl.model.killswitch_report import DONE, FAILED, TO_DO, KillswitchReport, Played, Sees, recommend
from xcomctl.model.refs import AtRiskRun
from xcomctl.model.verdicts import Verdict
from xcomctl.report.killswitch_text import plan_lines, render_result, sees_lines

SEES = Sees(
    {"scheduler": ("offload",), "worker": ("dual-read", "offload")}, store_down={"scheduler": "does not answer"},
    silent={"triggerer": "it ended"}, runs_at_risk=1, references_at_risk=2, at_risk=(AtRiskRun("etl", "r\x1b1", "running", None, 2),),
)  # fmt: skip
REPORT = KillswitchReport(SEES, recommend(SEES), Way.SOFT, Verdict.FAILED, (
    Played("revert", "Edit the carrier", DONE, "edited"),
    Played("deploy", "Deploy", FAILED, "exit status 1", tuple(f"note {number}" for number in range(12)), "mend it"),
    Played("confirm", "Confirm", TO_DO),
), next_steps=("xcomctl killswitch",))  # fmt: skip


def text(report: KillswitchReport) -> str:
    stream = io.StringIO()
    render_result(report, stream)
    return stream.getvalue()


def test_what_is_seen_names_each_context_and_the_runs_at_risk() -> None:
    lines = "\n".join(sees_lines(SEES))
    for said in ("the backend imports", "scheduler: offload", "worker: dual-read, and runs as offload", "triggerer did not answer", "the store does not answer", "etl r"):  # fmt: skip
        assert said in lines
    assert "not known" in "\n".join(sees_lines(replace(SEES, runs_at_risk=None)))


def test_the_plan_recommends_at_the_beginning_and_not_midway() -> None:
    first = list(plan_lines(REPORT.recommendation, Way.SOFT, ["Edit", "Deploy"], None))
    assert first[0].startswith("recommends soft: a store that does not answer") and first[-1] == "  2 Deploy"
    midway = list(plan_lines(REPORT.recommendation, Way.HARD, ["Deploy"], "2026-06-06T12:00:00Z"))
    assert "gone on with" in midway[0] and "recommends" not in "".join(midway)


def test_the_result_says_what_is_done_what_failed_and_how_to_go_on() -> None:
    said = text(REPORT)
    assert (
        "OK    Edit the carrier: edited" in said and "FAIL  Deploy: exit status 1" in said and "TO DO Confirm" in said
    )
    assert "and 2 more" in said and "      mend it" in said
    assert "calling again goes on where it stopped" in said and "→ xcomctl killswitch" in said
    assert "done, and not every run" in text(replace(REPORT, ended=True))
    assert "done" in text(replace(REPORT, verdict=Verdict.OK)) and "abandoned" in text(replace(REPORT, abandoned=True))


def test_the_one_that_was_played_first_is_told_first() -> None:
    soft = replace(REPORT, verdict=Verdict.OK, ended=True, steps=REPORT.steps[:1])
    onwards = replace(
        REPORT, way=Way.EXIT, steps=REPORT.steps[2:], before=soft, next_steps=("xcomctl killswitch --to inline",)
    )
    said = text(onwards)
    order = [
        "OK    Edit the carrier",
        "soft kill-switch to dual-read: done",
        "TO DO Confirm",
        "exit kill-switch to inline: not",
    ]
    assert sorted(order, key=said.index) == order
    assert said.count("→") == 1 and "→ xcomctl killswitch --to inline" in said
    # Nobody recommends it: it is asked for.
    assert next(plan_lines(REPORT.recommendation, Way.EXIT, ["Wait"], None)) == "exit kill-switch to inline:"


def test_a_dry_run_changed_nothing_and_where_nothing_is_to_do_it_says_why() -> None:
    assert "nothing was changed" in text(replace(REPORT, dry_run=True)) and "OK" not in text(
        replace(REPORT, dry_run=True)
    )
    idle = Sees({"scheduler": ("dual-read",)})
    assert "recommends neither: dual-read already" in text(KillswitchReport(idle, recommend(idle), None, Verdict.OK))
