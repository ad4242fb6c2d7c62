"""``xcomctl decide``: the file, the exit codes, and what a second run does."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.assess import decision_samples as made
from xcomctl.cli.main import main
from xcomctl.journal.local import LocalJournal, entry_now
from xcomctl.model.decision import JUDGED, TITLES
from xcomctl.model.verdicts import Verdict

Run = Callable[..., int]
ALL = ("size", "preflight", "rehearsal", "plan")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an input of each kind, all of them well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XCOMCTL_DEPLOYMENT", raising=False)
    records = {
        "size": made.size(), "preflight": made.preflight(), "rehearsal": made.rehearsal(), "plan": made.plan(up=True),
    }  # fmt: skip
    for name, record in records.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    return tmp_path


def decide(*options: str, files: tuple[str, ...] = ALL, out: str = "docs/record.md") -> int:
    """The command with these inputs."""
    words = ["decide", "--out", out, "--journal", "journal.jsonl"]
    for name in files:
        words += [f"--{name}", f"{name}.json"]
    return main([*words, *options])


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_everything_is_there_and_decided(folder, capsys):
    assert decide("--decided-by", "Ann", "-o", "json") == 0
    seen = printed(capsys)
    assert (seen["schema"], seen["verdict"], seen["exit_code"], seen["state"]) == ("xcomctl.decision/1", "ok", 0, "new")
    assert [check["id"] for check in seen["checks"]] == list(JUDGED) and seen["next_steps"] == []
    assert {check["status"] for check in seen["checks"]} == {"ok"} and seen["kept"] == []
    text = (folder / "docs" / "record.md").read_text()
    assert [line[3:] for line in text.splitlines() if line.startswith("## ") and line[3:] in TITLES.values()] == list(
        TITLES.values()
    )
    assert "| Decided by | Ann |" in text and "**Not decided" not in text and "Does not count" not in text
    assert "![Distribution of the sizes of XComs](<record.svg>)" in text
    assert (folder / "docs" / "record.svg").read_text().startswith("<svg ")
    assert not (folder / "journal.jsonl").exists(), "it wrote a journal"


def test_twice_changes_no_byte(folder, capsys):
    decide("--decided-by", "Ann")
    first = {path.name: (path.read_bytes(), path.stat().st_ino) for path in (folder / "docs").iterdir()}
    assert decide("--decided-by", "Ann") == decide() == 0
    assert {path.name: (path.read_bytes(), path.stat().st_ino) for path in (folder / "docs").iterdir()} == first
    assert "docs/record.md unchanged" in capsys.readouterr().out


def test_nothing_is_there(folder, capsys):
    assert decide(files=()) == 5
    seen, text = capsys.readouterr().out, (folder / "docs" / "record.md").read_text()
    assert "→ xcomctl size --journal journal.jsonl" in seen and " --plan plan-up.json --journal" in seen
    assert text.count("**Missing: ") == 5 and "**Not decided yet" in text
    assert not (folder / "docs" / "record.svg").exists()


@pytest.mark.parametrize(
    ("name", "record", "code"),
    [
        ("preflight", {**made.preflight(), "verdict": "failed"}, 3),
        ("rehearsal", {**made.rehearsal(), "verdict": "failed"}, 3),
        ("rehearsal", {**made.rehearsal(), "verdict": "interrupted"}, 5),
        ("preflight", made.preflight(at=made.ago(days=8)), 5),
        ("size", {**made.size(), "schema": "xcomctl.size/2"}, 6),
        ("plan", {}, 6),
        ("plan", made.plan(up=False), 6),
    ],
)
def test_exit_codes(folder, capsys, name, record, code):
    (folder / f"{name}.json").write_text(json.dumps(record))
    assert decide("--decided-by", "Ann") == code
    assert (folder / "docs").exists() is (code != 6)
    assert "Traceback" not in capsys.readouterr().err


def test_the_next_steps_name_no_file_that_no_longer_counts(folder, capsys):
    (folder / "preflight.json").write_text(json.dumps(made.preflight(at=made.ago(days=8))))
    (folder / "plan.json").write_text(json.dumps(made.plan(up=True, at=made.ago(days=8))))
    assert decide("--decided-by", "Ann", "-o", "json") == 5
    assert [step.split(" ")[1] for step in printed(capsys)["next_steps"]] == ["preflight", "plan", "decide"]
    decide("-o", "json")
    last = "xcomctl decide --out docs/record.md --size size.json --rehearsal rehearsal.json --plan plan-up.json"
    assert printed(capsys)["next_steps"][-1] == f"{last} --journal journal.jsonl"


def test_how_old_is_too_old(folder, capsys):
    (folder / "preflight.json").write_text(json.dumps(made.preflight(at=made.ago(days=8))))
    assert decide("--decided-by", "Ann", "--max-age", "9d") == 0
    text = (folder / "docs" / "record.md").read_text()
    assert "--plan plan.json --max-age 9d --journal journal.jsonl\n```" in text, "written by"
    assert decide("--max-age", "180h") == 5
    assert "**Does not count: stale, of " in (folder / "docs" / "record.md").read_text()
    capsys.readouterr()
    assert decide("--max-age", "36h", "-o", "json") == 5
    assert " --max-age 36h " in printed(capsys)["next_steps"][-1]


@pytest.mark.parametrize("options", [("--decided-at", "2026-11-26"), ("--decided-by", "A", "--decided-at", "soon"), ("--decided-by", " "), ("--threshold", "-1"), ("--threshold", "1000000001"), ("--threshold", "9" * 30), ("--max-age", "7"), ("--max-age", "9" * 30 + "d"), ("--out", "x.svg")])  # fmt: skip
def test_usage(folder, options):
    with pytest.raises(SystemExit) as ended:
        decide(*options)
    assert ended.value.code == 2 and not (folder / "docs").exists()


def test_what_a_person_wrote_stays_and_a_hand_edit_is_kept_and_named(folder, capsys):
    decide("--decided-by", "Ann")
    path = folder / "docs" / "record.md"
    edited = (
        path.read_text()
        .replace("## Context\n", "## Context\n\nToo large.\n")
        .replace("Nothing was left out by name.", "Fine by me.")
    )
    path.write_text(edited)
    path.chmod(0o640)
    capsys.readouterr()
    assert decide("-o", "json") == 0
    text = path.read_text()
    assert printed(capsys)["kept"] == ["preflight"] and stat.S_IMODE(path.stat().st_mode) == 0o640
    assert "\nToo large.\n" in text and "Fine by me." in text and "Nothing was left out by name." in text
    assert decide() == 0 and path.read_text() == text
    assert "Kept from a hand edit" not in capsys.readouterr().out


def test_a_decision_is_about_one_threshold(folder, capsys):
    assert decide("--decided-by", "Ann and Bob") == 0
    capsys.readouterr()
    assert decide("--threshold", "1000000", "-o", "json") == 5
    assert "Ann and Bob decided on 1,600,000 bytes" in (folder / "docs" / "record.md").read_text()
    assert "chosen 1 MB" in (folder / "docs" / "record.svg").read_text()
    assert decide() == 5, "the file remembers which is looked at"
    assert decide("--threshold", "1600000") == 0
    assert "chosen" not in (folder / "docs" / "record.svg").read_text()


def test_no_deleted_section_loses_the_decision_and_whether_there_is_one_always_counts(folder, capsys):
    path = folder / "docs" / "record.md"

    def without(name: str) -> None:
        text = path.read_text()
        end = f"<!-- xcomctl:end {name} -->"
        path.write_text(text[: text.index(f"<!-- xcomctl:begin {name}")] + text.partition(end)[2])

    assert decide() == 5
    without("decision")
    capsys.readouterr()
    assert decide("-o", "json") == 5
    seen = printed(capsys)
    assert seen["left_out"] == ["decision"] and seen["checks"][0]["status"] == "skip"
    assert decide("--decided-by", "Ann") == decide() == 0
    assert decide("--restore") == 0 and "| Decided by | Ann |" in path.read_text()
    without("decision")
    assert decide("-o", "json") == 0


def test_a_deleted_section_stays_away_until_it_is_restored(folder, capsys):
    decide("--decided-by", "Ann")
    path = folder / "docs" / "record.md"
    whole = path.read_text()
    begin, end = whole.index("<!-- xcomctl:begin plan-up"), whole.index("<!-- xcomctl:begin plan-down")
    path.write_text(whole[:begin] + whole[end:])
    capsys.readouterr()
    assert decide("-o", "json", files=ALL[:3]) == 0, "what nobody wants to see is not missed"
    seen = printed(capsys)
    assert seen["left_out"] == ["plan-up"] and "plan-up" not in [check["id"] for check in seen["checks"]]
    assert "## Plan up" not in path.read_text()
    assert decide("--restore") == 0
    assert path.read_text() == whole


def test_a_file_of_somebody_is_refused_and_adopted_when_asked(folder, capsys):
    path = folder / "docs" / "record.md"
    path.parent.mkdir()
    path.write_bytes(b"# Ours\r\n\r\ncaf\xe9\r\n")
    assert decide() == 6
    assert path.read_bytes() == b"# Ours\r\n\r\ncaf\xe9\r\n" and list(path.parent.iterdir()) == [path]
    assert "docs/record.md: the file holds no section" in capsys.readouterr().err
    assert decide("--adopt") == 5
    content = path.read_bytes()
    assert content.startswith(b"# Ours\r\n\r\ncaf\xe9\r\n\r\n<!-- xcomctl:begin decision ")
    assert content.count(b"\n") == content.count(b"\r\n")
    assert decide("--adopt") == 5 and path.read_bytes() == content
    assert decide("--decided-by", "Ann") == 0
    content = path.read_bytes()
    assert b"xcomctl:state" in content and content.count(b"\n") == content.count(b"\r\n")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_filled(folder, content):
    (folder / "record.md").write_bytes(content)
    assert decide("--decided-by", "Ann", out="record.md") == 0
    assert (folder / "record.md").read_text().startswith("# Decision: large XComs of prod")


def test_markers_that_do_not_balance_are_refused(folder, capsys):
    decide()
    path = folder / "docs" / "record.md"
    broken = path.read_text().replace("<!-- xcomctl:end risks -->\n", "")
    path.write_text(broken)
    assert decide() == 6 and path.read_text() == broken
    assert "docs/record.md: line " in capsys.readouterr().err


def test_a_plot_of_somebody_is_not_written_over(folder, capsys):
    (folder / "record.svg").write_text("<svg>mine</svg>")
    assert decide(out="record.md") == 6
    assert (folder / "record.svg").read_text() == "<svg>mine</svg>" and not (folder / "record.md").exists()
    assert "not ours" in capsys.readouterr().err


def test_dry_run_shows_a_diff_and_writes_nothing(folder, capsys):
    assert decide("--dry-run") == 5
    assert "+## Decision" in capsys.readouterr().out and not (folder / "docs").exists()
    decide("--decided-by", "Ann")
    before = (folder / "docs" / "record.md").read_bytes()
    capsys.readouterr()
    assert decide("--dry-run", "--threshold", "1000000", "-o", "json") == 5
    seen = printed(capsys)
    assert seen["dry_run"] and seen["state"] == "updated" and "+**Not decided yet.**" in seen["diff"]
    assert (folder / "docs" / "record.md").read_bytes() == before


def test_from_the_journal_of_a_deployment(folder, capsys):
    (folder / "xcomctl.toml").write_text(
        f'[deployments.prod]\njournal = "journal.jsonl"\n[deployments.prod.settings]\npath = "{made.PATH}"\nthreshold = 1600000\n'
    )
    journal, flown, rehearsed = LocalJournal(folder / "journal.jsonl"), made.preflight(), made.rehearsal()
    journal.append(entry_now("size", "prod", verdict=Verdict.WARNINGS, data=made.size()))
    data = {
        "options": flown["options"],
        "contexts": flown["contexts"],
        "checks": [{"context": "scheduler", "id": "a", "status": "ok"}],
    }
    journal.append(entry_now("preflight", "prod", versions=flown["versions"], verdict=Verdict.OK, data=data))
    data = {
        "fingerprint": rehearsed["fingerprint"],
        "scenarios": rehearsed["scenarios"],
        "report": str(folder / "gone.json"),
    }
    journal.append(entry_now("rehearse", None, verdict=Verdict.OK, data=data, after=rehearsed["settings"]))
    words = ["decide", "--out", "r.md", "-D", "prod", "--plan", "plan.json", "--decided-by", "Ann", "-o", "json"]
    assert main(words) == 5
    seen = printed(capsys)
    assert {check["id"]: check["status"] for check in seen["checks"] if check["status"] != "ok"} == {
        "rehearsal": "warn"
    }
    assert f"--rehearsal {folder / 'gone.json'}" in seen["next_steps"][0]
    assert main([*words, "--rehearsal", "rehearsal.json"]) == 0
    assert main(["decide", "--out", "other.md", "-D", "prod", "--size", "size.json", "--journal", "none.jsonl"]) == 5


def test_another_deployment_than_the_named_one(folder, capsys):
    (folder / "xcomctl.toml").write_text('[deployments.dev]\njournal = "journal.jsonl"\n')
    words = ["decide", "--out", "r.md", "-D", "dev", "-o", "json", "--size", "size.json"]
    assert main(words) == 5
    seen = printed(capsys)
    measured = next(check for check in seen["checks"] if check["id"] == "measured")
    assert measured["status"] == "warn" and "about the deployment prod, and this is about dev" in measured["detail"]


def test_an_input_that_names_no_deployment_is_a_risk_where_one_is_named(folder):
    (folder / "xcomctl.toml").write_text('[deployments.prod]\njournal = "journal.jsonl"\n')
    risk = "Pre-flight: it names no deployment, so it may be of another one."
    assert decide("-D", "prod", "--decided-by", "Ann") == 0
    text = (folder / "docs" / "record.md").read_text()
    assert f"- {risk}" in text and "preflight.json; it names no deployment |" in text
    assert decide() == 0 and risk not in (folder / "docs" / "record.md").read_text()


KILLED = """
import os, signal, sys
from xcomctl.cli import main
steps, when = 0, int(sys.argv[1])
def hook(name, args):
    global steps
    if name in ("os.mkdir", "os.rename") or (name == "open" and str(args[0]).endswith(".part")):
        steps += 1
        if steps == when:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
sys.exit(main.main(sys.argv[2:]))
"""


def test_killed_and_called_again_it_comes_to_the_same_end(folder):
    decide("--decided-by", "Ann")
    wanted = {path.name: path.read_bytes() for path in (folder / "docs").iterdir()}
    words = ["decide", "--out", "docs/record.md", "--journal", "journal.jsonl", "--decided-by", "Ann"]
    words += [word for name in ALL for word in (f"--{name}", f"{name}.json")]
    # The folder; the plot's draft, which gets its name; the record's, which does.
    for when, there in ((1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (6, 2)):
        shutil.rmtree(folder / "docs", ignore_errors=True)
        run = subprocess.run([sys.executable, "-c", KILLED, str(when), *words], capture_output=True, check=False)
        assert run.returncode == (0 if when == 6 else -signal.SIGKILL)
        found = {name: folder / "docs" / name for name in wanted if (folder / "docs" / name).exists()}
        assert len(found) == there and all(path.read_bytes() == wanted[name] for name, path in found.items())
        assert decide("--decided-by", "Ann") == 0
        assert {name: (folder / "docs" / name).read_bytes() for name in wanted} == wanted


def test_killed_while_it_replaces_the_old_file_or_the_new_one_is_there(folder):
    path = folder / "docs" / "record.md"
    words = ["decide", "--out", "docs/record.md", "--journal", "journal.jsonl", "--threshold", "1000000"]
    words += [word for name in ALL for word in (f"--{name}", f"{name}.json")]
    decide("--decided-by", "Ann")
    old = path.read_bytes()
    # The folder, which is there; the plot's draft, which gets its name; the record's, which does.
    for when in (1, 2, 3, 4, 5, 6):
        assert decide("--threshold", "1600000") == 0 and path.read_bytes() == old
        run = subprocess.run([sys.executable, "-c", KILLED, str(when), *words], capture_output=True, check=False)
        assert run.returncode == (5 if when == 6 else -signal.SIGKILL)
        assert (path.read_bytes() == old) is (when < 6)
        new = path.read_bytes()
    assert decide("--threshold", "1000000") == 5 and path.read_bytes() == new


def test_a_new_file_has_the_mode_that_the_process_gives(folder):
    before = os.umask(0o027)
    try:
        decide()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder / "docs").iterdir()] == [0o640, 0o640]


def test_what_somebody_wrote_in_the_meantime_stays(folder, monkeypatch, capsys):
    decide("--decided-by", "Ann")
    path = folder / "docs" / "record.md"
    monkeypatch.setattr("xcomctl.assess.decision._make_folder", lambda out: path.write_text("theirs"))
    assert decide("--threshold", "1000000") == 6 and path.read_text() == "theirs"
    assert "changed by somebody else" in capsys.readouterr().err
    path.unlink()
    assert decide() == 6 and path.read_text() == "theirs", "what was not there when it was read"


def test_every_field_of_the_output_is_documented(folder, capsys):
    decide("--decided-by", "Ann", "--dry-run", "-o", "json")
    text = (Path(__file__).parents[3] / "docs" / "decision-record.md").read_text()
    seen = printed(capsys)
    for name in (*seen, *seen["decided"]):
        assert f"`{name}`" in text or f"`{name}[]`" in text, name


def test_who_cannot_write_there_hears_it(folder, capsys):
    (folder / "docs").write_text("")
    assert decide() == 6
    assert "docs/record.md" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from xcomctl.cli import main; main.COMMANDS = ('decide',)\n"
        "try: main.main(['decide', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'rich', 'httpx', 'jinja2', 'sqlalchemy', 'ruamel'}), file=sys.stderr)"
    )
    environment = {**os.environ, "COLUMNS": "200"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert run.stderr.strip() == "[]" and "Asks no context" in " ".join(run.stdout.split())
