"""``xcomctl killswitch``: what is refused as a usage error, and a fleet that does not answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from xcomctl.change.killswitch import Wanted
from xcomctl.cli import killswitch
from xcomctl.cli.main import build_parser, main
from xcomctl.model.killswitch import Way
from xcomctl.model.killswitch_report import KillswitchReport, Sees, recommend
from xcomctl.model.verdicts import Verdict


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--clear", "task"], "DAG.TASK"),
        (["--abandon", "--hard"], "--abandon goes alone"),
        (["--abandon", "--dry-run"], "--abandon goes alone"),
        (["--deploy", ""], "the command is empty"),
        (["--deploy", "it's"], "No closing quotation"),
        (["--timeout", "0"], "not a number of seconds"),
    ],
)
def test_usage_errors(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["killswitch", *arguments])
    assert left.value.code == 2 and said in capsys.readouterr().err


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
