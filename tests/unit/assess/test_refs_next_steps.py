"""What ``xcomctl refs`` says to type next: about the same rows, in the same contexts."""

from __future__ import annotations

from xcomctl.assess.refs import next_steps
from xcomctl.model.refs import RefsQuery, RefTotals

TOTALS = RefTotals("s3://b/x", dangling=1, foreign=1, foreign_bases=("s3://old/x",), aliases=1, outside=1)


def commands(query: RefsQuery, options: str) -> list[str]:
    return [step.partition("  # ")[0] for step in next_steps(TOTALS, query, options)]


def test_every_command_is_about_the_same_run_in_the_same_contexts() -> None:
    assert commands(RefsQuery(dag_id="dag", run_id="run 1"), " --base-path s3://b/x -D prod") == [
        f"xcomctl refs{which} -d dag -r 'run 1' --base-path s3://b/x -D prod{output}"
        for which, output in ((" --dangling", ""), (" --foreign", ""), (" --aliases", ""), ("", " -o json"))
    ]


def test_nothing_is_named_that_was_not() -> None:
    assert commands(RefsQuery(), "")[0] == "xcomctl refs --dangling"
    assert commands(RefsQuery(dag_id="dag"), "")[0] == "xcomctl refs --dangling -d dag"
