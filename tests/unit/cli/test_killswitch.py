"""``xcomctl killswitch``: what is refused as a usage error, and a fleet that does not answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xcomctl.assess.status import Seen
from xcomctl.change import killswitch_view
from xcomctl.change.killswitch import Wanted
from xcomctl.change.killswitch_run import Switch
from xcomctl.change.killswitch_view import View
from xcomctl.cli import killswitch
from xcomctl.cli.main import build_parser, main
from xcomctl.model.killswitch import Way
from xcomctl.model.killswitch_report import DONE, TO_DO, KillswitchReport, Played, Sees, recommend
from xcomctl.model.rehydrate import MAX_BYTES
from xcomctl.model.verdicts import Verdict
from xcomctl.report.confirmation import NotConfirmed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--clear", "task"], "DAG.TASK"),
        (["--abandon", "--hard"], "--abandon goes alone"),
        (["--abandon", "--dry-run"], "--abandon goes alone"),
        (["--deploy", ""], "the command is empty"),
        (["--deploy", "it's"], "No closing quotation"),
        (["--timeout", "0"], "not a number of seconds"),
        (["--hard", "--to", "inline"], "leave out --to"),
        (["--to", "offload"], "invalid choice"),
        (["--emergency", "--deploy", "true"], "--emergency is the deploy"),
        (["--emergency", "--abandon"], "--abandon goes alone"),
        (["--emergency"], "name its namespace (-n)"),
    ],
)
def test_usage_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["killswitch", *arguments])
    assert left.value.code == 2 and said in capsys.readouterr().err


def test_how_much_goes_back_into_the_database_is_bounded_unless_more_is_said() -> None:
    for typed, bound in (([], MAX_BYTES), (["--max-bytes", "2GiB"], 2 * 2**30)):
        args = build_parser().parse_args(["killswitch", *typed])
        assert killswitch._wanted(args, None).max_bytes == bound


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_a_fleet_that_does_not_answer_is_inconclusive_and_leaves_nothing(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journal.jsonl"
    assert main(["killswitch", "--via", "false", "--journal", str(journal), "-y", *arguments]) == 5
    seen = capsys.readouterr()
    assert "false did not answer" in seen.out and "no context answers" in seen.err
    assert not journal.exists()


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        (
            "--hard --timeout 60 --api http://a --api-user ann --config c.toml --clear d.t --carrier .env -D prod",
            "--hard --carrier .env --api http://a --api-user ann --timeout 60 --clear d.t -D prod --config c.toml",
        ),
        # The hard one that was begun is gone on with, whatever else is asked for: the two do not go together.
        ("--to inline --carrier .env -D prod", "--hard --carrier .env -D prod"),
        ("--hard --max-bytes 2GiB --carrier .env", f"--hard --carrier .env --max-bytes {2 * 2**30}"),
        # What ends one does not go on with it.
        ("--abandon --timeout 60 --api http://a --journal j -D prod", "--abandon --api http://a -D prod --journal j"),
    ],
)
def test_the_command_to_type_again_does_the_same(typed: str, again: str) -> None:
    args = build_parser().parse_args(["killswitch", *typed.split()])
    sees = Sees({"scheduler": ("offload",)})
    report = KillswitchReport(sees, recommend(sees), Way.HARD, Verdict.FAILED)
    assert killswitch._next_steps(args, report, Wanted()) == [f"xcomctl killswitch {again}"]
    if not args.abandon:  # over, with a run that is not green
        assert not any(
            each.startswith("xcomctl killswitch")
            for each in killswitch._next_steps(args, replace(report, ended=True), Wanted())
        )


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_soft_one_that_is_done_is_told_also_where_nobody_says_yes_to_the_way_on(
    output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = View(Seen({}, {}, None), Sees({"scheduler": ("dual-read",)}))
    soft = KillswitchReport(
        seen.sees, recommend(seen.sees), Way.SOFT, Verdict.OK, (Played("revert", "Edit the carrier", DONE),), ended=True
    )
    plays = [soft]

    def play(*what: Any, **how: Any) -> KillswitchReport:
        if not plays:
            raise NotConfirmed("not confirmed: nothing was changed")
        return plays.pop()

    monkeypatch.setattr(killswitch_view, "look", lambda *what: seen)
    monkeypatch.setattr(Switch, "play", play)
    journal = str(tmp_path / "journal.jsonl")
    assert main(["killswitch", "--to", "inline", "--via", "false", "--journal", journal, "-o", output]) == 6
    told = capsys.readouterr()
    assert "not confirmed" in told.err
    again = f"xcomctl killswitch --to inline --via false --journal {journal}"
    if output == "json":
        record = json.loads(told.out)
        assert (record["way"], record["verdict"], record["exit_code"]) == ("exit", "refused", 6)
        assert {step["status"] for step in record["steps"]} == {TO_DO} and record["next_steps"] == [again]
        assert (record["before"]["way"], record["before"]["verdict"]) == ("soft", "ok")
        assert record["before"]["steps"][0]["status"] == DONE
    else:
        assert "OK    Edit the carrier" in told.out and "soft kill-switch to dual-read: done" in told.out
        assert "exit kill-switch to inline: not done yet" in told.out and f"→ {again}" in told.out


def test_on_the_way_to_inline_the_command_to_type_again_leads_there() -> None:
    args = build_parser().parse_args(["killswitch", "--to", "inline", "-D", "prod"])
    sees = Sees({"scheduler": ("dual-read",)})
    for way in (Way.SOFT, Way.EXIT):
        report = KillswitchReport(sees, recommend(sees), way, Verdict.FAILED)
        assert killswitch._next_steps(args, report, Wanted()) == ["xcomctl killswitch --to inline -D prod"]
    done = KillswitchReport(sees, recommend(sees), Way.EXIT, Verdict.OK, ended=True)
    printed = killswitch._next_steps(args, done, Wanted())
    assert printed[0] == "xcomctl status -D prod" and not any("killswitch" in each for each in printed)
