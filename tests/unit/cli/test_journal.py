"""``xcomctl journal``: lists what the journal holds."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xcomctl.cli.main import main
from xcomctl.journal.local import LocalJournal, now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model.journal_entry import JournalEntry
from xcomctl.model.verdicts import Verdict

SOURCE = str(Path(__file__).parents[3] / "src")
HOLD_AND_DIE = """
import os, sys
from xcomctl.journal.local import LocalJournal, this_actor
with LocalJournal(sys.argv[1]).lock(this_actor(), "flip", None):
    os.kill(os.getpid(), 9)
"""


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


DEPLOYMENTS = """
[deployments.prod]
journal = "prod.jsonl"
[deployments.staging]
journal = "{url}"
"""


def entry(action: str = "flip", deployment: str | None = "prod", **more: object) -> JournalEntry:
    return JournalEntry(action, this_actor(), str(more.pop("at", now())), deployment, **more)  # type: ignore[arg-type]


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> dict:
    assert main(["journal", "-o", "json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_change_shows_its_phases_and_its_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal.jsonl"
    plan = "0123456789abcdef" * 4
    LocalJournal(path).append(entry(data={"start": "inline", "target": "dual-read"}, plan=plan))
    LocalJournal(path).append(entry("killswitch", data={"target": "dual-read"}))
    LocalJournal(path).append(entry("rehearse", after={"threshold": 1}))
    assert main(["journal", "--journal", str(path)]) == 0
    flip, killswitch, rehearse = capsys.readouterr().out.splitlines()
    assert "  prod  inline → dual-read  plan 01234567" in flip and plan not in flip
    assert "  prod  → dual-read" in killswitch and "plan" not in killswitch
    assert "→" not in rehearse
    assert listed(capsys, "--journal", str(path))["entries"][0]["plan"] == plan


def test_a_held_lock_is_shown_on_top(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal.jsonl"
    journal = LocalJournal(path)
    journal.append(entry())
    with journal.lock(this_actor(), "killswitch.hard", "prod"):
        assert main(["journal", "--journal", str(path)]) == 0
        lock, row = capsys.readouterr().out.splitlines()
        assert lock.startswith("locked: the deployment 'prod', killswitch.hard of ") and "expires at 2" in lock
        assert " flip " in row
        (told,) = listed(capsys, "--journal", str(path))["locks"]
        assert (told["deployment"], told["action"], told["abandoned"]) == ("prod", "killswitch.hard", None)
        assert told["actor"]["pid"] == this_actor().pid and told["expires"] > told["since"]
    assert listed(capsys, "--journal", str(path))["locks"] == []


def test_every_field_of_the_list_is_documented(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with journal.open("a") as file:
        file.write("{}\n")
    with LocalJournal(journal).lock(this_actor(), "flip", None):
        found = listed(capsys, "--journal", str(journal))
    text = (Path(__file__).parents[3] / "docs" / "journal.md").read_text()
    for name in (*found, *found["locks"][0], *found["damaged"][0]):
        assert f"`{name}`" in text, name


def test_a_lock_that_was_left_behind_is_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal.jsonl"
    gone = subprocess.run([sys.executable, "-c", HOLD_AND_DIE, str(path)], env={"PYTHONPATH": SOURCE})
    assert gone.returncode == -signal.SIGKILL
    assert main(["journal", "--journal", str(path)]) == 0
    seen = capsys.readouterr()
    assert (
        seen.out.startswith("left behind: flip of ") and "is gone, so the next change takes the lock over" in seen.out
    )
    assert "is gone" in listed(capsys, "--journal", str(path))["locks"][0]["abandoned"]


def test_a_lock_that_cannot_be_read_does_not_hide_what_was_done(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.with_name("journal.jsonl.locks").mkdir()
    (journal.parent / "journal.jsonl.locks" / "prod@000000000001.json").write_text("{")
    found = listed(capsys, "--journal", str(journal))
    assert found["locks"] is None and len(found["entries"]) == 3
    assert main(["journal", "--journal", str(journal), "--fail-on-warn"]) == 4
    assert "prod@000000000001.json" in capsys.readouterr().err


def test_a_journal_on_a_url_is_listed_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"file://{tmp_path}/shared"
    opened(url).append(entry("rehearse"))
    opened(url).append(entry("flip"))
    (tmp_path / "shared" / "entries" / "zzz.json").write_text("{")
    with opened(url).lock(this_actor(), "flip", None):
        found = listed(capsys, "--journal", url)
    assert (found["journal"], [each["action"] for each in found["entries"]]) == (url, ["rehearse", "flip"])
    assert found["damaged"] == [{"line": 3, "object": "zzz.json", "reason": "the object is torn", "torn": True}]
    assert [lock["action"] for lock in found["locks"]] == ["flip"]
    assert main(["journal", "--journal", url, "--fail-on-warn"]) == 4
    assert "object zzz.json" in capsys.readouterr().err


def test_of_a_deployment_its_own_journal_and_what_concerns_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XCOMCTL_DEPLOYMENT", raising=False)
    url = f"file://{tmp_path}/shared"
    (tmp_path / "xcomctl.toml").write_text(DEPLOYMENTS.format(url=url))
    for deployment in ("prod", "other", None):
        LocalJournal(tmp_path / "prod.jsonl").append(entry(deployment=deployment))
    opened(url).append(entry("scan", "staging"))
    with opened(url).lock(this_actor(), "flip", "other"):
        assert listed(capsys, "-D", "staging")["locks"] == []
    assert [each["deployment"] for each in listed(capsys, "-D", "prod")["entries"]] == ["prod", None]
    assert [each["action"] for each in listed(capsys, "-D", "staging")["entries"]] == ["scan"]
    assert len(listed(capsys, "--journal", "prod.jsonl")["entries"]) == 3


@pytest.mark.parametrize(
    ("since", "found"),
    [("2026-06-06T12:00", [1, 2]), ("2026-06-06T14:00+02:00", [1, 2]), ("2026-06-06T12:00:00.000001Z", [2]),
     ("2h", []), ("999999w", None), ("yesterday", None), ("2", None)],
)  # fmt: skip
def test_since(tmp_path: Path, capsys: pytest.CaptureFixture[str], since: str, found: list[int] | None) -> None:
    path = tmp_path / "journal.jsonl"
    for number, at in enumerate(("11:59:59.999999", "12:00:00", "13:00:00")):
        LocalJournal(path).append(entry(at=f"2026-06-06T{at}Z", data={"n": number}))
    if found is None:
        with pytest.raises(SystemExit) as usage:
            main(["journal", "--journal", str(path), "--since", since])
        assert usage.value.code == 2 and "is no time" in capsys.readouterr().err
    else:
        entries = listed(capsys, "--journal", str(path), "--since", since)["entries"]
        assert [each["data"]["n"] for each in entries] == found
    LocalJournal(path).append(entry())
    assert len(listed(capsys, "--journal", str(path), "--since", "1m")["entries"]) == 1


def test_a_url_whose_package_is_missing_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["journal", "--journal", "s3://bucket/xcomctl"]) == 5
    assert "pip install 'xcomctl[journal-s3]'" in capsys.readouterr().err
