"""``xcomctl rehydrate``: what its options have to be, and contexts that do not answer; all else is in the live tests."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xcomctl.cli import main, rehydrate
from xcomctl.cli.main import build_parser
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.deployments import Deployment
from xcomctl.model.rehydrate import MAX_BYTES, MAX_VALUE_BYTES, RehydrateQuery

BASE = "s3://store@bucket/xcom"


def query(*arguments: str) -> RehydrateQuery:
    return rehydrate._query(build_parser().parse_args(["rehydrate", *arguments]), None)


def test_everything_that_is_said_arrives():
    found = query(
        "--runs", "unfinished", "-d", "dag", "-r", "run", "--older-than", "2d", "--base-path", BASE, "--max-bytes", "10GB",
        "--max-value-bytes", "64MiB", "--jobs", "7", "--quiesced",
    )  # fmt: skip
    assert found.before is not None
    moment = datetime.fromisoformat(found.before)
    assert abs(datetime.now(UTC) - timedelta(days=2) - moment) < timedelta(minutes=1)
    assert found == RehydrateQuery(
        BASE, None, "unfinished", "dag", "run", found.before, True, True, 7, 10 * 10**9, 64 * 2**20
    )


def test_unless_something_is_said_everything_is_written_within_the_bounds():
    assert query() == RehydrateQuery(write=True, max_bytes=MAX_BYTES, max_value_bytes=MAX_VALUE_BYTES)
    assert not query("--dry-run").write


def test_the_same_rows_are_asked_for_again_in_words_that_can_be_typed():
    typed = [
        "--runs",
        "unfinished",
        "-d",
        "a dag",
        "-r",
        "run",
        "--older-than",
        "36h",
        "--base-path",
        BASE,
        "--quiesced",
    ]
    parser = build_parser()
    args = parser.parse_args(["rehydrate", *typed])
    assert parser.parse_args(["rehydrate", *shlex.split(rehydrate._which(args))]) == args
    assert rehydrate._which(parser.parse_args(["rehydrate", "--dry-run"])) == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("512B", 512),
        ("20k", 20_000),
        ("20 kB", 20_000),
        ("64MiB", 64 * 2**20),
        ("64mib", 64 * 2**20),
        ("10GB", 10**10),
        ("10G", 10**10),
        ("1TiB", 2**40),
        (" 7 ", 7),
    ],
)
def test_sizes(text: str, size: int):
    assert query("--max-bytes", text).max_bytes == query("--max-value-bytes", text).max_value_bytes == size


def test_the_carrier_to_flip_is_the_deployment_s_or_has_to_be_named():
    args = build_parser().parse_args(["rehydrate", "--base-path", BASE])
    spelled = rehydrate._spelled(args, None)
    assert (spelled.carrier, spelled.base_path, spelled.which) == (" --carrier FILE", *[f" --base-path {BASE}"] * 2)
    prod = Deployment("prod", Path("xcomctl.toml"), carrier=CarrierFiles((Path("a b.env"),)))
    assert rehydrate._spelled(args, prod).carrier == " --carrier 'a b.env'"
    assert rehydrate._spelled(args, Deployment("prod", Path("xcomctl.toml"))).carrier == " --carrier FILE"
    named = build_parser().parse_args(["rehydrate", "-D", "prod"])
    assert rehydrate._spelled(named, prod).carrier == ""


@pytest.mark.parametrize("text", ["0", "0GiB", "abc", "", "GB", "1.5GB", "-1", "10XB", "10 G B", "1e9"])
@pytest.mark.parametrize("option", ["--max-bytes", "--max-value-bytes"])
def test_what_is_no_size_is_usage(option: str, text: str, capsys):
    with pytest.raises(SystemExit) as left:
        main.main(["rehydrate", f"{option}={text}"])
    assert left.value.code == 2
    assert f"{text!r} is no size such as 64MiB or 10GB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-r", "run"), "--run-id goes with --dag-id"),
        (("--verify", "-r", "run"), "--run-id goes with --dag-id"),
        *((("--verify", *more), "--verify looks at everything and writes nothing") for more in (
            ("--runs", "unfinished"), ("-d", "dag"), ("--older-than", "1d"), ("--quiesced",), ("--dry-run",), ("-y",),
        )),
        (("--accept", "dag.task"), "go with --verify"),
        (("--keep-finished", "a reason"), "go with --verify"),
        (("--keep-finished", ""), "go with --verify"),
        (("--verify", "--keep-finished", ""), "--keep-finished needs a reason"),
        (("--verify", "--keep-finished", " "), "--keep-finished needs a reason"),
        (("--verify", "--accept", "task"), "--accept 'task' is not of the form DAG.TASK"),
        (("--runs", "finished"), "invalid choice"),
        (("--older-than", "12"), "no age such as 12h"),
        (("--jobs", "0"), "'0' is not a number of rows"),
        (("--jobs", "many"), "'many' is not a number of rows"),
        (("--jobs", "33"), "'33' is more than 32 rows"),
        (("-o", "junit"), "invalid choice"),
    ],
)  # fmt: skip
def test_usage_errors_say_what_is_wrong(arguments: tuple[str, ...], said: str, capsys, monkeypatch):
    monkeypatch.delenv("XCOMCTL_DEPLOYMENT", raising=False)
    with pytest.raises(SystemExit) as left:
        main.main(["rehydrate", *arguments])
    assert left.value.code == 2
    seen = capsys.readouterr()
    assert said in seen.err and seen.out == ""


@pytest.mark.parametrize("arguments", [("--dry-run",), ("-y",), ("-y", "-o", "json")])
def test_where_no_context_answers_nothing_is_announced(arguments: tuple[str, ...], tmp_path: Path, capsys):
    journal = tmp_path / "journal.jsonl"
    assert main.main(["rehydrate", *arguments, "--via", "false", "--journal", str(journal)]) == 5
    assert "xcomctl: error:" in capsys.readouterr().err
    assert not journal.exists() or journal.read_text() == ""


def test_where_no_context_answers_inline_is_not_known_to_be_safe(tmp_path: Path, capsys):
    journal = str(tmp_path / "journal.jsonl")
    assert main.main(["rehydrate", "--verify", "--via", "false", "--journal", journal, "-o", "json"]) == 5
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["verdict"], said["exit_code"]) == ("xcomctl.rehydrate-verify/1", "inconclusive", 5)
    assert [(check["id"], check["status"]) for check in said["checks"]] == [("gate_phase", "skip")]
    assert said["next_steps"] == [f"xcomctl status --via false --journal {journal}"]


def test_the_help_says_what_it_does_and_what_its_exit_codes_mean():
    run = subprocess.run([sys.executable, "-m", "xcomctl", "rehydrate", "--help"], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    text = " ".join(run.stdout.split())
    for said in (
        "--verify",
        "--quiesced",
        "--older-than AGE",
        "Objects are never deleted",
        "Exit codes: 0 nothing is left",
    ):
        assert said in text
