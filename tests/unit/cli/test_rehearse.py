"""``xcomctl rehearse``: what is played, and what is refused before anything starts."""

from __future__ import annotations

import pytest

from xcomctl.cli.main import main
from xcomctl.model.rehearsal import SCENARIOS


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    assert main(["rehearse", "--dry-run", *arguments]) == 0
    out = capsys.readouterr().out
    return {name for name in SCENARIOS if f". {name}: " in out}


def test_all_of_it_is_played_unless_something_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(capsys) == set(SCENARIOS)
    assert planned(capsys, "--only", "soft", "--only", "runbook") == {"soft", "runbook"}


def test_the_phases_are_told_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", "--dry-run", "--only", "soft"]) == 0
    assert "inline, dual-read, offload, dual-read" in capsys.readouterr().out


def test_a_folder_cannot_be_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    assert planned(capsys, "--store", "file") == set(SCENARIOS) - {"store-stopped"}
    with pytest.raises(SystemExit) as ended:
        main(["rehearse", "--dry-run", "--store", "file", "--only", "store-stopped"])
    assert ended.value.code == 2
    assert "--only store-stopped needs a store that can be stopped" in capsys.readouterr().err


def test_a_scenario_that_there_is_not_is_a_usage_error_that_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["rehearse", "--only", "gentle"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert all(name in told for name in SCENARIOS)
