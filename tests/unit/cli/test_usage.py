"""Options of the commands that only look which do not go together, or would be without effect: usage, before anything is asked."""

from __future__ import annotations

import shlex

import pytest

from xcomctl.cli.main import main


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("refs --run-id x", "--run-id goes with --dag-id"),
        ("refs --dangling --no-store", "--dangling asks the store"),
        ("refs --at-risk --dangling", "--at-risk goes with --dag-id alone"),
        ("refs --at-risk --limit 5", "--at-risk goes with --dag-id alone"),
        ("refs --at-risk --no-store", "--at-risk goes with --dag-id alone"),
        ("refs --at-risk --no-archives", "--at-risk goes with --dag-id alone"),
        ("refs --objects --no-store", "--objects goes with --dag-id and --run-id alone"),
        ("probe --once", "go with --run"),
        ("probe --api http://127.0.0.1:1", "go with --run"),
        ("probe --api-user me", "go with --run"),
        ("probe --task-timeout 300", "go with --run"),
    ],
)
def test_what_would_be_without_effect_is_usage(typed, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*shlex.split(typed), "--via", "false"])
    assert ended.value.code == 2
    seen = capsys.readouterr()
    assert said in seen.err and seen.out == ""


def test_with_a_run_they_are_taken(capsys):
    assert main(["probe", "--run", "--dry-run", "--task-timeout", "5", "--via", "false"]) == 0
    assert "would trigger one or two runs" in capsys.readouterr().out
