"""``xcomctl journal``: lists what the journal holds."""

import json
from pathlib import Path

import pytest

from xcomctl.cli.main import main
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.verdicts import Verdict


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    for action, verdict in (("rehearse", Verdict.OK), ("killswitch.pause", None), ("flip", Verdict.FAILED)):
        LocalJournal(path).append(JournalEntry(action, this_actor(), now(), verdict=verdict))
    return path


def test_text_is_one_line_per_entry_oldest_first(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "--journal", str(journal)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        ["rehearse", "ok"],
        ["killswitch.pause", "begun"],
        ["flip", "failed"],
    ]


@pytest.mark.parametrize(
    ("options", "actions"),
    [((), ["rehearse", "killswitch.pause", "flip"]), (("--last", "1"), ["flip"]),
     (("--action", "killswitch"), ["killswitch.pause"]), (("--action", "kill"), [])],
)  # fmt: skip
def test_json(journal: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], actions: list[str]) -> None:
    assert main(["journal", "--journal", str(journal), "-o", "json", *options]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["schema"] == "xcomctl.journal-list/1"
    assert [entry["action"] for entry in listed["entries"]] == actions


def test_a_journal_that_does_not_exist_yet_is_empty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "--journal", str(tmp_path / "none")]) == 0
    assert capsys.readouterr().out == ""


def test_a_damaged_line_is_named(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with journal.open("a") as file:
        file.write('{"schema": "xcomc')
    assert main(["journal", "--journal", str(journal)]) == 0
    seen = capsys.readouterr()
    assert len(seen.out.splitlines()) == 3
    assert "line 4" in seen.err
    assert main(["journal", "--journal", str(journal), "--fail-on-warn"]) == 4
