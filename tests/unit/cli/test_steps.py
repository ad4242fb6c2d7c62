"""The options of a step: what they take, and what they refuse as usage."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from xcomctl.change.carrier_edit import edit_for
from xcomctl.change.flip import Flip
from xcomctl.cli import carriers, flip, main, steps
from xcomctl.cli.main import build_parser
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import Deployment, SettingsEntry
from xcomctl.model.phases import Line, Phase


def parsed(*arguments, command="plan"):
    return build_parser().parse_args([command, *arguments])


def test_everything_that_is_said_arrives():
    args = parsed(
        "--to", "offload", "--carrier", "a b.env", "--path", "s3://c@b/x", "--threshold", "20000", "--max-age", "12h",
        "--accept", "dag.task", "--deployed-at", "2026-06-06T12:00:00Z", "--fleet-stopped", "--values", "0",
        "--via", "kubectl exec pod --",
    )  # fmt: skip
    asked = steps.asked(args, None)
    assert (asked.given.path, asked.given.threshold, asked.given.compression) == ("s3://c@b/x", 20_000, None)
    assert (asked.readiness.max_age, asked.accepted, asked.values) == (timedelta(hours=12), ("dag.task",), 0)
    assert asked.fleet_stopped and asked.deployed_at is not None
    assert asked.step_options == " --carrier 'a b.env' --path s3://c@b/x --threshold 20000"
    assert asked.options == " --via 'kubectl exec pod --'"
    assert asked.gate_options == (
        " --fleet-stopped --accept dag.task --deployed-at 2026-06-06T12:00:00+00:00 --max-age 43200s"
    )
    printed = shlex.split(f"{asked.step_options}{asked.gate_options}{asked.options}")
    again = steps.asked(parsed("--to", "offload", *printed, command="flip"), None)
    assert again == replace(asked, values=again.values)


def test_no_command_that_is_printed_repeats_a_secret():
    asked = steps.asked(parsed("--to", "dual-read", "--path", "s3://AKIAKEY:hunter2secret@b/x"), None)
    assert "hunter2secret" not in asked.step_options and "--path" in asked.step_options


@pytest.mark.parametrize(
    "arguments",
    [
        ("--to", "misconfigured"),
        ("--to", "inline", "--threshold", "-1"),
        ("--to", "inline", "--threshold", "1.6e+06"),
        ("--to", "inline", "--max-age", "12"),
        ("--to", "inline", "--max-age", "99999999999999d"),
        ("--to", "inline", "--deployed-at", "2026-06-06T12:00:00"),
        ("--to", "inline", "--accept", "dag"),
        ("--to", "inline", "--keep-finished", " "),
        ("--to", "inline", "--unsafe-no-rehearsal", ""),
        (),
    ],
)
@pytest.mark.parametrize("command", ["plan", "flip"])
def test_what_is_usage(command, arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main.main([command, *arguments])
    assert left.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_flip_without_a_carrier_is_usage_and_one_that_is_none_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["flip", "--to", "inline", "--via", "true"])
    assert left.value.code == 2 and "--carrier" in capsys.readouterr().err
    assert main.main(["flip", "--to", "inline", "--carrier", str(tmp_path / "none.env"), "--via", "true"]) == 6
    assert "there is no carrier at" in capsys.readouterr().err


def test_values_files_are_named_as_helm_takes_them(capsys):
    args = parsed("--carrier", "a.yaml", "--carrier", "b c.yaml", "--edit-winner", "--fix", "--to", "offload")
    asked = steps.asked(args, None)
    assert asked.fix and asked.step_options == " --carrier a.yaml --carrier 'b c.yaml' --edit-winner --fix"
    named = carriers.files(args, None)
    assert named == CarrierFiles((Path("a.yaml"), Path("b c.yaml")), edit_winner=True)
    assert (str(named), named.options) == ("a.yaml, b c.yaml", " --carrier a.yaml --carrier 'b c.yaml' --edit-winner")
    prod = Deployment("prod", Path("xcomctl.toml"), carrier=CarrierFiles((Path("v.yaml"),)))
    assert carriers.files(parsed("--to", "offload", "--edit-winner"), prod) == CarrierFiles((Path("v.yaml"),), True)
    assert carriers.files(parsed("--to", "offload"), None) is None


def test_a_patch_goes_to_standard_output_alone(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    Path("values.yaml").write_text("config:\n  core:\n    xcom_backend: a.B\n")
    carrier = CarrierFiles((Path("values.yaml"),)).open()
    edit = edit_for(carrier, Phase.DUAL_READ, Line.AF3, SettingsEntry("s3://c@b/x"))
    found = Flip(carrier, Phase.DUAL_READ, edit, None, {})
    assert flip._patch(parsed("--to", "dual-read", "-o", "patch", command="flip"), found, " -D prod") == 0
    told = capfdbinary.readouterr()
    assert told.out.startswith(b"--- a/values.yaml\n+++ b/values.yaml\n@@ ") and b"xcomctl" not in told.out
    assert b"PATCH" in told.err and b"xcomctl wait --to dual-read -D prod" in told.err
    subprocess.run(["git", "apply"], input=told.out, check=True)
    assert Path("values.yaml").read_bytes() == edit.edit.after


def test_contexts_that_do_not_answer_leave_no_plan(tmp_path, capsys):
    journal = tmp_path / "journal.jsonl"
    code = main.main(["plan", "--to", "offload", "--via", "false", "--journal", str(journal), "-o", "json"])
    said = json.loads(capsys.readouterr().out)
    assert (code, said["start"], said["steps"]) == (5, None, [])
    assert "did not answer" in said["because"]
