"""A re-trigger as text: what, why, what only is listed, and what to do about what runs."""

from __future__ import annotations

import io

from xcomctl.model.retrigger import (
    DOWNSTREAM,
    OTHER,
    SUSPECT,
    HandedOn,
    Span,
    SuspectInstance,
    SuspectRun,
    SuspectsAnswer,
)
from xcomctl.model.retriggered import Cleared, Found, Outcome, Watched
from xcomctl.model.verdicts import Verdict
from xcomctl.report.retrigger_text import render_found, render_outcome

WINDOW = Span("2026-06-06T12:00:00+00:00", None, "inline", "scheduler-0 was inline at noon (now)")
READ = SuspectInstance("read", 3, "success", SUSPECT, "started while it was", True, "2026-06-06T12:10:00+00:00", ("its value k is a path string",))  # fmt: skip
LAST = SuspectInstance("last", -1, "running", DOWNSTREAM, "downstream of read", True)
ELSEWHERE = SuspectInstance("reads", -1, "failed", OTHER, "started then", False)


def shown(*runs: SuspectRun, kill: tuple[str, ...] = (), **answer: object) -> str:
    stream = io.StringIO()
    found = Found(runs, SuspectsAnswer("s3://b/x", (WINDOW,), **answer), frozenset(kill))
    render_found(found, ("a note",), stream)
    return stream.getvalue()


def test_what_is_cleared_and_why():
    text = shown(SuspectRun("dag", "run", "success", 2, 1, (READ,), warnings=("a warning",)))
    lines = text.splitlines()
    assert lines[0] == "inline from 2026-06-06 12:00:00 UTC to now: scheduler-0 was inline at noon (now)"
    assert "dag run, success, holds 2 references and 1 alias: 1 instance to clear" in lines
    (row,) = [line for line in lines if line.startswith("  read ")]
    assert row.split() == ["read", "3", "success", "2026-06-06", "12:10:00", "UTC", "suspect:", *READ.why.split()]
    assert "  dag run read[3]: its value k is a path string" in lines
    assert {"WARN  a warning", "WARN  a note"} <= set(lines)
    assert lines[-1] == "to clear: 1 instance of 1 run"


def test_what_runs_is_left_with_what_to_do():
    run = SuspectRun("dag", "run", "running", 1, 0, (READ, LAST))
    text = shown(run)
    assert "last runs now: nothing of this run is cleared" in text and "--kill dag.last" in text
    assert text.splitlines()[-1] == "nothing to clear; 1 run left until what runs there has ended"
    killed = shown(run, kill=("dag.last",))
    assert "--kill" not in killed and killed.splitlines()[-1] == "to clear: 2 instances of 1 run"


def test_others_and_confs_are_listed_by_themselves():
    text = shown(
        SuspectRun("cross", "run", "success", 0, 0, (ELSEWHERE,)), confs=(HandedOn("child", "manual"),), unknown=2
    )
    assert "--include DAG.TASK" in text and "  cross run reads, failed" in text.splitlines()
    assert "trigger them anew" in text and "  child manual" in text.splitlines()
    assert "when 2 instances really started is not known" in text
    assert text.splitlines()[-1] == "nothing to clear"


def test_no_window_says_how_to_name_one_and_long_lists_say_how_long():
    stream = io.StringIO()
    render_found(Found((), SuspectsAnswer("s3://b/x", ())), (), stream)
    assert "--since and --until" in stream.getvalue()
    many = tuple(SuspectInstance("m", index, "success", SUSPECT, "why", True) for index in range(25))
    text = shown(SuspectRun("dag", "run", "success", 1, 0, many))
    assert "and 5 more" in text and "25 instances to clear" in text


def test_text_from_elsewhere_cannot_drive_the_terminal():
    assert "\x1b" not in shown(SuspectRun("dag\x1b[2J", "run\x1b", "success", 1, 0, (READ,)))


def test_how_it_went():
    run = SuspectRun("dag", "run", "success", 1, 0, (READ,))
    stream = io.StringIO()
    outcome = Outcome(
        ((run, Cleared(("read[3]",), "queued", (), ("all of them",))), (run, Cleared((), None, ("last",)))),
        (Watched("dag", "run", "success"), Watched("dag", "red", "failed"), Watched("dag", "slow", "running")),
        (("asleep", "run"),),
    )
    render_outcome(outcome, Verdict.FAILED, ["do this"], stream)
    assert stream.getvalue().splitlines() == [
        "OK    dag run: 1 instance cleared",
        "WARN  all of them",
        "SKIP  dag run: last began to run, so nothing was cleared",
        "OK    dag run: green again",
        "FAIL  dag red: is failed",
        "SKIP  dag slow: is running",
        "SKIP  asleep run: the DAG is paused, so nothing of it runs",
        "retrigger: failed",
        "→ do this",
    ]
