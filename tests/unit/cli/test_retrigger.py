"""``xcomctl retrigger``: what its options have to be; everything else is in the live tests."""

from __future__ import annotations

import pytest

from xcomctl.cli import main

NOON, ONE = "2026-06-06T12:00:00Z", "2026-06-06T13:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-r", "run"), "--run-id goes with --dag-id"),
        (("--until", NOON), "--until goes with --since"),
        (("--since", ONE, "--until", NOON), "--until is before --since"),
        (("--since", "noon"), "no time with a zone"),
        (("--since", "2026-06-06T12:00:00"), "no time with a zone"),
        (("--include", "task"), "--include 'task' is not of the form DAG.TASK"),
        (("--kill", ".task"), "--kill '.task' is not of the form DAG.TASK"),
        (("--through", "api"), "--through api needs to know where the API is"),
        (("--timeout", "0"), "not a number of seconds"),
    ],
)
def test_usage_errors_say_what_is_wrong(arguments, said, capsys, monkeypatch):
    monkeypatch.delenv("XCOMCTL_DEPLOYMENT", raising=False)
    with pytest.raises(SystemExit) as left:
        main.main(["retrigger", *arguments])
    assert left.value.code == 2
    assert said in capsys.readouterr().err
