from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from xcomctl.model.journal_entry import Actor, JournalEntry, parse_time, timestamp
from xcomctl.model.rehearsal import Failure, RehearsalReport, Span, Step, StrategyResult
from xcomctl.model.verdicts import Check, Status, Verdict

REPORT = RehearsalReport(
    verdict=Verdict.FAILED,
    started="2026-06-06T00:00:00Z",
    finished="2026-06-06T00:06:00Z",
    versions={"airflow": "3.3.2"},
    settings={"threshold": 1_600_000},
    fingerprint={"digest": "a"},
    steps=(Step("a", "inline", Status.OK, 0.0, 1.5, "green", "runbook"),),
    checks=(Check("r.a", "rehearsal", "the break happens", Status.FAIL, hint="look"),),
    timeline=(Span("phase", "inline", 0.0, 1.5),),
    planned=("runbook", "soft"),
    scenarios=("runbook",),
    strategies=(StrategyResult("runbook", 1, 2, 3.5, 4, 5, None),),
    orphans=({"path": "s3://c@b/x", "size": 3},),
    stranded=2,
    restarts_s=(27.1, 26.0),
    peak_memory_bytes=1_000,
    failure=Failure("c", "no break", "see the log", ("line",)),
    next_steps=("make rehearse",),
    stopped_at="c",
    extra={"keep": True},
)
ENTRY = JournalEntry(
    action="flip",
    actor=Actor("ann", "desk", 7),
    at="2026-06-06T00:00:00.000001Z",
    deployment="prod",
    versions={"xcomctl": "0.1"},
    before={"phase": "inline"},
    after={"phase": "dual-read"},
    plan="0123abcd",
    verdict=Verdict.OK,
    data={"plan": "abc"},
)


def test_a_report_survives_json():
    record = json.loads(json.dumps(REPORT.to_json(), allow_nan=False))
    assert RehearsalReport.from_json(record) == REPORT
    assert {"schema", "verdict", "checks", "next_steps"} <= set(record)
    minimal = RehearsalReport(Verdict.OK, "a", "b", {}, {}, {})
    assert RehearsalReport.from_json(json.loads(json.dumps(minimal.to_json()))) == minimal


def test_every_scenario_is_documented():
    from pathlib import Path

    from xcomctl.model.rehearsal import NEEDS_SERVER, SCENARIOS

    text = (Path(__file__).parents[3] / "docs" / "rehearsal-report.md").read_text()
    for name in SCENARIOS:
        assert f"| `{name}` |" in text, name
    assert set(SCENARIOS) >= NEEDS_SERVER


def test_every_field_of_a_report_is_documented():
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "rehearsal-report.md").read_text()
    for name, value in REPORT.to_json().items():
        assert f"`{name}`" in text, name
        for nested in value if isinstance(value, list) else [value] if name == "failure" else []:
            for inner in nested if isinstance(nested, dict) else ():
                assert f"`{inner}`" in text, (name, inner)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "x/1"},
        {"verdict": "fine"},
        {"steps": [{}]},
        {"steps": [3]},
        {"versions": 3},
        {"strategies": [{"name": "a"}]},
    ],
)
def test_what_is_no_report_is_refused(change):
    with pytest.raises(ValueError):
        RehearsalReport.from_json({**REPORT.to_json(), **change})


def test_unknown_fields_of_a_report_are_ignored():
    record = REPORT.to_json()
    record["later"] = 1
    record["steps"][0]["later"] = 1
    assert RehearsalReport.from_json(record) == REPORT


def test_an_entry_survives_json():
    assert JournalEntry.from_json(json.loads(json.dumps(ENTRY.to_json()))) == ENTRY
    older = ENTRY.to_json()
    del older["plan"]  # as it was before there were plans
    assert JournalEntry.from_json(older) == replace(ENTRY, plan=None)
    bare = JournalEntry("a", Actor("u", "h", 1), "2026-06-06T00:00:00Z")
    assert JournalEntry.from_json(bare.to_json()) == bare


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "xcomctl.journal/2"},
        {"at": "yesterday"},
        {"at": "2026-06-06T00:00:00"},
        {"actor": {}},
        {"actor": 3},
        {"verdict": "fine"},
        {"data": []},
        {"action": 3},
        {"plan": 3},
        {"before": ["inline"]},
        {"after": "inline"},
        {"deployment": {}},
    ],
)
def test_what_is_no_entry_is_refused(change):
    with pytest.raises(ValueError):
        JournalEntry.from_json({**ENTRY.to_json(), **change})


@pytest.mark.parametrize("record", [None, [], 3, "x", {}])
def test_other_json_is_no_entry(record):
    with pytest.raises(ValueError):
        JournalEntry.from_json(record)


def test_times():
    moment = datetime(2026, 6, 6, 14, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-06-06T12:00:00.000005Z"
    assert parse_time(timestamp(moment)) == moment.astimezone(UTC)
    with pytest.raises(ValueError):
        timestamp(datetime(2026, 6, 6))  # noqa: DTZ001


def test_every_field_of_an_entry_is_documented():
    from pathlib import Path

    text = (Path(__file__).parents[3] / "docs" / "journal.md").read_text()
    for name in (*ENTRY.to_json(), "user", "host", "pid"):
        assert f"`{name}`" in text, name
