"""The screen as text: golden files for three contexts in 80 columns, in 48 of ASCII, and in a pipe."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.assess.test_status import DATABASE, INLINE, PATH, answer
from xcomctl.assess.recent import Recent
from xcomctl.assess.resolution import Expected
from xcomctl.assess.status import Seen, report
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.journal.local import this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.status import FailedTask, StatusAnswer, StatusReport
from xcomctl.model.verdicts import Verdict
from xcomctl.report.status_text import render_status

GOLDEN = Path(__file__).parent / "golden"
CONTEXTS = ("scheduler", "worker", "triggerer")


def journal(hours: float) -> Recent:
    """A rehearsal, a scan, a probe and a pre-flight, so many hours ago."""
    at = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    totals = {"base_path": PATH, "references": 2_431, "unfinished": 14, "objects": 2_431, "object_bytes": 5_100_000_000}
    probed = [{"name": name, "target_phase": "offload", "control_flow": "green"} for name in CONTEXTS]
    data: Mapping[str, Mapping[str, object]] = {
        "rehearse": {}, "scan": {"totals": totals}, "probe": {"contexts": probed}, "preflight": {},
    }  # fmt: skip
    entries = [JournalEntry(name, this_actor(), at, verdict=Verdict.OK, data=dict(each)) for name, each in data.items()]
    return Recent({entry.action: entry for entry in entries}, tuple(reversed(entries)), path="journal.jsonl")


def screen(answers: Mapping[str, StatusAnswer | None], **more: object) -> StatusReport:
    problems = {name: AgentError("no agent", "look there") for name, each in answers.items() if each is None}
    expected = Expected(path=PATH, threshold=1_600_000)
    seen = Seen(answers, problems, more.pop("database", DATABASE))  # type: ignore[arg-type]
    found = report(seen, expected, journal(3), deployment="prod", options=" -D prod", **more)  # type: ignore[arg-type]
    return replace(found, at="2026-06-06T03:12:09Z")


def well() -> StatusReport:
    """Three contexts, and nothing is wrong."""
    return screen({name: answer(processes=1) for name in CONTEXTS})


def reverted() -> StatusReport:
    """Somebody reverted one context, another one is silent, and tasks fail."""
    failed = FailedTask("diagnostic__s42", "manual__2026-06-06", "summarise", -1, "failed", 2)
    database = replace(DATABASE, failed_count=4, failed=(failed,))
    errors = {"FileNotFoundError: s3://artifacts/xcom/…": 3, "KeyError: …": 1}
    return screen({"scheduler": answer(INLINE), "worker": answer(), "triggerer": None}, database=database, signatures=errors)  # fmt: skip


def text(found: StatusReport, width: int | None, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    render_status(found, stream, width=width)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("status-80.txt", lambda: text(well(), 80)),
        ("status-reverted-80.txt", lambda: text(reverted(), 80)),
        ("status-reverted-48-ascii.txt", lambda: text(reverted(), 48, "ascii")),
        ("status-reverted-piped.txt", lambda: text(reverted(), None)),
    ],
)
def test_golden(name: str, shown) -> None:  # type: ignore[no-untyped-def]
    path = GOLDEN / name
    found = shown()
    if os.environ.get("XCOMCTL_UPDATE_GOLDEN"):
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_three_contexts_fit_on_a_screen() -> None:
    lines = text(well(), 80).splitlines()
    assert len(lines) <= 45
    assert all(len(line) <= 80 for line in lines if "→" not in line)


def test_what_is_to_be_typed_is_one_line_whatever_the_width() -> None:
    """A command that is broken over two lines cannot be copied."""
    commands = [check.data["command"] for check in reverted().checks if "command" in check.data]
    assert len(commands) == 4
    lines = text(reverted(), 48).splitlines()
    for command in (*commands, reverted().next_step):
        assert any(line.endswith(f"→ {command}") for line in lines)


def test_text_from_elsewhere_stays_text() -> None:
    nasty = "\x1b[2J\u202e\n"
    failed = FailedTask(f"d{nasty}", "r", "t", -1, "failed", 1)
    database = replace(DATABASE, failed_count=1, failed=(failed,))
    shown = text(screen({f"na{nasty}me": answer()}, database=database, signatures={nasty: 1}), 80)
    assert "\x1b" not in shown and "\u202e" not in shown
