"""``xcomctl decide`` from what the other commands really print about the walk."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support.commands import Done, Typed, run, together, xcomctl
from tests.support.preflight import offload
from tests.support.walk import THRESHOLD, Walk
from xcomctl.model.redaction import redact_mapping


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it all lies."""
    return tmp_path_factory.mktemp("decide")


@pytest.fixture(scope="module")
def inputs(walk: Walk, folder: Path) -> dict[str, Done]:
    """The JSON of a measurement and of a pre-flight, as they are typed; the rehearsal's report is the walk's own."""
    journal = folder / "journal.jsonl"
    path = ("--expect-path", walk.base_path, "--expect-threshold", str(THRESHOLD))
    carrier = folder / "airflow.env"
    carrier.write_text("OTHER=1\n")
    found = together(
        {
            "size": lambda: xcomctl(
                walk, "size", "-o", "json", "--trip", "--threshold", str(THRESHOLD), variables=offload(walk), journal=journal
            ),
            "preflight": lambda: xcomctl(
                walk, "preflight", "--planned", "--phase", "offload", *path, "--only", "config", "--only", "provider",
                "-o", "json", variables={}, journal=journal,
            ),
            "plan": lambda: xcomctl(
                walk, "plan", "--to", "offload", "--threshold", str(THRESHOLD), "--path", walk.base_path, "--carrier",
                str(carrier), "-o", "json", variables={}, journal=journal,
            ),
        }
    )  # fmt: skip
    for name, done in found.items():
        (folder / f"{name}.json").write_text(done.orderly().out)
    (folder / "report.json").write_text(json.dumps(redact_mapping(walk.report.to_json())))
    return found


@pytest.fixture(scope="module")
def decided(inputs: dict[str, Done], folder: Path) -> list[Done]:
    """The record, written; and brought up to date after a person wrote into it."""
    record = folder / "decisions" / "offload.md"
    named = {
        "--size": "size.json",
        "--preflight": "preflight.json",
        "--rehearsal": "report.json",
        "--plan": "plan.json",
    }
    words = [word for option, name in named.items() for word in (option, str(folder / name))]
    argv = [sys.executable, "-m", "xcomctl", "decide", "--out", str(record), *words, "-o", "json",
            "--threshold", str(THRESHOLD), "--journal", str(folder / "journal.jsonl")]  # fmt: skip
    first = run(Typed(argv, dict(os.environ)))
    text = record.read_text()
    record.write_text(text.replace("## Context\n", "## Context\n\nThe database grows by a tenth each week.\n", 1))
    again = run(Typed([*argv, "--decided-by", "A. Person"], dict(os.environ)))
    return [first.orderly(), again.orderly(), Done(0, record.read_text(), text)]


def test_every_input_is_read_as_the_commands_print_it(walk: Walk, inputs: dict[str, Done], decided: list[Done]) -> None:
    first = decided[0]
    seen = {each["id"]: (each["status"], each["detail"]) for each in first.record["checks"]}
    # The threshold was asked for, so on 3.x the values near it were measured.
    assert seen["measured"][0] == seen["thresholds"][0] == "ok", seen
    assert "of config, provider alone" in seen["preflight"][1]
    assert seen["rehearsal"][0] != "skip" and "about the threshold" not in seen["rehearsal"][1], seen
    # The journal of the plan holds no rehearsal, so its first step could not be taken.
    assert seen["plan-up"][0] == "warn" and "its next step could not be taken" in seen["plan-up"][1]
    text = decided[2].err
    told = inputs["size"].record["answer"]
    assert f"{told['values']:,}" in text and str(walk.report.versions["airflow"]) in text
    for result in walk.report.strategies:
        assert any(line.startswith(f"| {result.name} |") for line in text.splitlines()), result.name
    assert "AIRFLOW__COMMON.IO__" in text and "**Not decided yet.**" in text


def test_what_a_person_wrote_is_kept_and_who_decided_is_said(decided: list[Done], folder: Path) -> None:
    text = decided[2].out
    assert "The database grows by a tenth each week." in text
    assert "A. Person" in text and "**Not decided yet.**" not in text
    assert (folder / "decisions" / "offload.svg").read_text().startswith("<svg")
