"""A journal on a real S3 server: entries, and a lock that processes contend for."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.object_store import Owner, owner, reader
from tests.support.walk import Walk

pytestmark = pytest.mark.first_line_only

ROOT = Path(__file__).parents[2]
BUCKET = f"xcomctl-journal-{uuid.uuid4().hex[:8]}"
URL = f"s3://{BUCKET}/desk/journal"

#: Take the lock so many times among others who want it. Whoever has ours must get the kernel's own at once.
CONTEND = """
import fcntl, os, random, sys, time
from xcomctl.journal.errors import Locked
from xcomctl.journal.local import this_actor
from xcomctl.journal.open import opened
url, witness, takings = sys.argv[1], os.open(sys.argv[2], os.O_RDWR | os.O_CREAT), int(sys.argv[3])
journal = opened(url)
while takings:
    try:
        with journal.lock(this_actor(), "contend", "prod") as held:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.renew()
            fcntl.flock(witness, fcntl.LOCK_UN)
            takings -= 1
    except Locked:
        time.sleep(random.random() / 20)
"""
HOLD_AND_DIE = """
import os, sys
from xcomctl.journal.local import this_actor
from xcomctl.journal.open import opened
with opened(sys.argv[1]).lock(this_actor(), "flip", sys.argv[2]):
    os.kill(os.getpid(), 9)
"""
TAKE_OVER = """
import sys
from xcomctl.journal.local import this_actor
from xcomctl.journal.open import opened
with opened(sys.argv[1]).lock(this_actor(), "flip", sys.argv[2]) as held:
    print(held.took_over.abandoned)
"""
APPEND = """
import sys
from xcomctl.journal.local import now, this_actor
from xcomctl.journal.open import opened
from xcomctl.model.journal_entry import JournalEntry
for number in range(int(sys.argv[2])):
    opened(sys.argv[1]).append(JournalEntry("flip", this_actor(), now(), data={"n": number, "who": sys.argv[3]}))
"""


class Desk:
    """A desk with the package for S3: the walk's own environment has it."""

    def __init__(self, walk: Walk, owned: Owner, folder: Path) -> None:
        self.owned = owned
        self._python = str(walk.python)
        extra = json.loads(owned.connection["extra"])
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "src"),
            "AWS_ENDPOINT_URL": owned.endpoint,
            "AWS_DEFAULT_REGION": extra["region_name"],
            "AWS_ACCESS_KEY_ID": owned.connection["login"],
            "AWS_SECRET_ACCESS_KEY": owned.connection["password"],
        }

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """A Python there."""
        pipe, environment = subprocess.PIPE, {**self._environment, **variables}
        return subprocess.Popen([self._python, *arguments], env=environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a Python there."""
        child = self.start(*arguments, **variables)
        out, err = child.communicate(timeout=120)
        return child.returncode, out, err


@pytest.fixture(scope="module")
def desk(walk: Walk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with owner(walk) as owned:
        assert "error" not in owned("create_bucket", Bucket=BUCKET)
        yield Desk(walk, owned, tmp_path_factory.mktemp("home"))


def test_entries_of_several_desks_are_one_object_each_and_read_in_order(desk: Desk) -> None:
    url = f"{URL}/entries-test"
    writers = [desk.start("-c", APPEND, url, "5", who) for who in ("ann", "bob")]
    for writer in writers:
        _, err = writer.communicate(timeout=120)
        assert writer.returncode == 0, err
    assert len(desk.owned.keys(BUCKET, "desk/journal/entries-test/entries/")) == 10
    code, out, err = desk.run("-m", "xcomctl", "journal", "--journal", url, "-o", "json")
    assert code == 0, err
    listed = json.loads(out)
    assert (listed["journal"], listed["locks"], listed["damaged"]) == (url, [], [])
    for who in ("ann", "bob"):
        assert [each["data"]["n"] for each in listed["entries"] if each["data"]["who"] == who] == list(range(5))


def test_processes_that_contend_for_the_lock_never_hold_it_together(desk: Desk, tmp_path: Path) -> None:
    children = [desk.start("-c", CONTEND, URL, str(tmp_path / "witness"), "8") for _ in range(3)]
    for child in children:
        _, err = child.communicate(timeout=300)
        assert child.returncode == 0, err


def test_a_killed_holders_lock_is_shown_and_taken_over(desk: Desk) -> None:
    assert desk.run("-c", HOLD_AND_DIE, URL, "killed")[0] == -9
    _, out, _ = desk.run("-m", "xcomctl", "journal", "--journal", URL)
    assert "left behind: the deployment 'killed', flip of " in out
    code, out, err = desk.run("-c", TAKE_OVER, URL, "killed")
    assert code == 0 and "is gone" in out, err


def test_who_may_only_read_is_told_in_one_sentence(desk: Desk, walk: Walk) -> None:
    url = f"{URL}/read-only"
    keys = reader(walk)
    only_read = {"AWS_ACCESS_KEY_ID": keys["login"], "AWS_SECRET_ACCESS_KEY": keys["password"]}
    for program, argument in ((APPEND, "1"), (TAKE_OVER, "prod")):
        code, _, err = desk.run("-c", program, url, argument, "ann", **only_read)
        assert code == 1 and f"JournalError: cannot write the journal {url}: " in err.splitlines()[-1], err
        assert keys["password"] not in err
    assert desk.owned.keys(BUCKET, "desk/journal/read-only") == []
