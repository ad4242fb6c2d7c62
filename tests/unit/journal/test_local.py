from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xcomctl.journal.local import DamagedLine, JournalError, LocalJournal, default_path, now, this_actor
from xcomctl.model.journal_entry import Actor, JournalEntry, parse_time
from xcomctl.model.redaction import redact_mapping
from xcomctl.model.verdicts import Verdict

SOURCE = str(Path(__file__).parents[3] / "src")


def entry(action="flip", **data) -> JournalEntry:
    return JournalEntry(action, Actor("ann", "desk", 1), "2026-06-06T00:00:00.000000Z", verdict=Verdict.OK, data=data)


def test_what_is_appended_is_read_in_order(tmp_path):
    journal = LocalJournal(tmp_path / "a" / "b" / "journal.jsonl")
    assert list(journal.read()) == []
    for number in range(3):
        journal.append(entry(n=number))
    assert list(journal.read()) == [entry(n=number) for number in range(3)]
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert journal.path.read_bytes().count(b"\n") == 3


def test_secrets_never_reach_the_file(tmp_path):
    journal = LocalJournal(tmp_path / "j")
    journal.append(entry(url="postgresql://u:hunter2@h/d", password="hunter2", path="s3://conn@bucket/xcom"))
    assert b"hunter2" not in journal.path.read_bytes()
    [read] = journal.entries()
    assert read.data == {"url": "postgresql://u:***@h/d", "password": "***", "path": "s3://conn@bucket/xcom"}


@pytest.mark.parametrize("cut", [1, 5, 40, -1])
def test_a_torn_last_line_is_reported_kept_and_does_not_swallow_the_next(tmp_path, cut):
    journal = LocalJournal(tmp_path / "j")
    journal.append(entry(n=0))
    whole = journal.path.read_bytes()
    torn = whole[:cut] if cut > 0 else whole[:-5]
    journal.path.write_bytes(whole + torn)
    first, damaged = journal.read()
    assert first == entry(n=0)
    assert damaged == DamagedLine(2, torn.decode(), "the line is torn", True)
    journal.append(entry(n=2))
    assert journal.path.read_bytes() == whole + torn + b"\n" + whole.replace(b'"n": 0', b'"n": 2')
    first, damaged, _ = journal.read()
    assert isinstance(damaged, DamagedLine) and not damaged.torn and damaged.text == torn.decode()
    assert [each.data["n"] for each in journal.entries()] == [0, 2]


def test_an_entry_that_lacks_only_its_line_end_is_an_entry(tmp_path):
    journal = LocalJournal(tmp_path / "j")
    journal.append(entry(n=0))
    journal.path.write_bytes(journal.path.read_bytes().rstrip(b"\n"))
    assert list(journal.read()) == [entry(n=0)]
    journal.append(entry(n=1))
    assert list(journal.read()) == [entry(n=0), entry(n=1)]


def test_lines_that_are_not_ours_are_reported_by_number(tmp_path):
    journal = LocalJournal(tmp_path / "j")
    later = json.dumps({**entry().to_json(), "schema": "xcomctl.journal/9"})
    journal.path.write_bytes(b"\xff\xfe\n\n" + later.encode() + b"\n[1]\n")
    journal.append(entry(n=1))
    damaged = [line for line in journal.read() if isinstance(line, DamagedLine)]
    assert [line.number for line in damaged] == [1, 3, 4]
    assert "xcomctl.journal/9" in damaged[1].reason
    assert list(journal.entries()) == [entry(n=1)]


def test_reading_ends_where_the_file_ended_when_it_began(tmp_path):
    journal = LocalJournal(tmp_path / "j")
    journal.append(entry(n=0))
    reading = journal.read()
    next(reading)
    journal.append(entry(n=1))
    assert list(reading) == []


@pytest.mark.parametrize("data", [{"x": object()}, {"x": float("nan")}])
def test_what_is_no_json_is_refused_and_nothing_is_written(tmp_path, data):
    journal = LocalJournal(tmp_path / "j")
    with pytest.raises(JournalError):
        journal.append(entry(**data))
    assert not journal.path.exists()


def test_what_cannot_be_written_or_read_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        LocalJournal(tmp_path / "file" / "j").append(entry())
    with pytest.raises(JournalError):
        LocalJournal(tmp_path).append(entry())
    with pytest.raises(JournalError):
        list(LocalJournal(tmp_path).read())


def test_a_full_disk_is_told_and_the_next_entry_still_whole(tmp_path):
    """RLIMIT_FSIZE stands in for a full disk: the write comes back short, the next one fails."""
    path = tmp_path / "j"
    LocalJournal(path).append(entry(n=0))
    size = path.stat().st_size
    child = (
        "import resource, signal, sys\n"
        "from xcomctl.journal.local import LocalJournal, JournalError\n"
        "from xcomctl.model.journal_entry import Actor, JournalEntry\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 30}, {size + 30}))\n"
        f"try: LocalJournal({str(path)!r}).append(JournalEntry('x', Actor('a', 'b', 1), '2026-06-06T00:00:00Z'))\n"
        "except JournalError as error: print(error.message)\n"
    )
    done = subprocess.run([sys.executable, "-c", child], env={"PYTHONPATH": SOURCE}, capture_output=True, text=True)
    assert "cannot write the journal" in done.stdout, done.stderr
    LocalJournal(path).append(entry(n=1))
    assert [each.data["n"] for each in LocalJournal(path).entries()] == [0, 1]


def test_the_default_place():
    assert default_path({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/xcomctl/journal.jsonl")
    assert default_path({"XDG_STATE_HOME": "s", "HOME": "/h"}) == Path("/h/.local/state/xcomctl/journal.jsonl")
    assert default_path({"HOME": "/h"}) == Path("/h/.local/state/xcomctl/journal.jsonl")
    assert default_path({}).is_absolute()


def test_who_and_when():
    actor = this_actor()
    assert actor.pid == os.getpid() and actor.user and actor.host
    assert abs(parse_time(now()).timestamp() - time.time()) < 60


def _append_many(path: str, who: int) -> None:
    for number in range(25):
        LocalJournal(path).append(entry(who=who, n=number, filler="x" * 5_000))


def test_writers_side_by_side_never_mix_their_lines(tmp_path):
    path = tmp_path / "j"
    context = get_context("fork")
    writers = [context.Process(target=_append_many, args=(str(path), who)) for who in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = list(LocalJournal(path).read())
    assert len(lines) == 100 and all(isinstance(line, JournalEntry) for line in lines)
    for who in range(4):
        assert [line.data["n"] for line in lines if line.data["who"] == who] == list(range(25))


LOOP = """
import sys
from xcomctl.journal.local import LocalJournal
from xcomctl.model.journal_entry import Actor, JournalEntry
journal = LocalJournal(sys.argv[1])
n = int(sys.argv[2])
while True:
    journal.append(JournalEntry("loop", Actor("a", "b", 1), "2026-06-06T00:00:00Z", data={"n": n, "filler": "x" * 200_000}))
    sys.stdout.write(f"{n}\\n")
    sys.stdout.flush()
    n += 1
"""


def test_a_killed_writer_loses_nothing_that_it_was_told_is_written(tmp_path):
    path = tmp_path / "j"
    promised: list[int] = []
    for round_ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", LOOP, str(path), str(round_ * 10_000)],
            env={"PYTHONPATH": SOURCE},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(0.03 * round_)
        child.send_signal(signal.SIGKILL)
        promised += [int(line) for line in [first, *child.stdout.read().splitlines()]]
        child.wait()
        child.stdout.close()
    LocalJournal(path).append(entry(n=-1))
    lines = list(LocalJournal(path).read())
    found = [line.data["n"] for line in lines if isinstance(line, JournalEntry)]
    assert found[-1] == -1 and set(promised) <= set(found)
    assert len(found) == len(set(found))
    assert sum(isinstance(line, DamagedLine) for line in lines) <= 4


texts = st.text(max_size=20)
plain = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**60), 2**60),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
        st.sampled_from(["\ud800", "\u2028", "a\nb", "s3://c@b/x"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.dictionaries(texts, plain, max_size=4), st.integers(0, 400)), min_size=1, max_size=5))
def test_any_tear_leaves_every_other_entry_readable(tmp_path, steps):
    """After each entry, a prefix of it is torn onto the end of the file, as a killed writer would leave it."""
    path = tmp_path / "journal"
    path.unlink(missing_ok=True)
    journal = LocalJournal(path)
    kept = b""
    for data, cut in steps:
        journal.append(entry(d=data))
        content = path.read_bytes()
        assert content.startswith(kept)
        last = content[content.rstrip(b"\n").rfind(b"\n") + 1 :].rstrip(b"\n")
        kept = content + last[: min(cut, len(last) - 1)]
        path.write_bytes(kept)
    found = list(journal.entries())
    assert [each.data for each in found] == [redact_mapping({"d": data}) for data, _ in steps]
    assert sum(isinstance(line, DamagedLine) for line in journal.read()) == sum(cut > 0 for _, cut in steps)
