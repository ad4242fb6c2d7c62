"""The lock: never two holders, in any order of their steps, and with processes that are killed or stopped."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.support.interleavings import orders, pause
from xcomctl.errors import UserError
from xcomctl.journal import lock as locks
from xcomctl.journal.errors import JournalError, Locked, LockLost
from xcomctl.journal.interface import Journal
from xcomctl.journal.local import LocalJournal, default_path, now, this_actor
from xcomctl.journal.lock import LockState
from xcomctl.journal.objects import FolderObjects
from xcomctl.journal.open import opened
from xcomctl.journal.owners import Process
from xcomctl.model.journal_entry import Actor, parse_time, timestamp

FORK = get_context("fork")
GONE = "0"  # no process of ours started when the kernel did
ACTOR = this_actor()
NOBODY = Process(1, "", "")


@pytest.fixture
def journal(tmp_path: Path) -> LocalJournal:
    return LocalJournal(tmp_path / "journal.jsonl")


def folder(journal: LocalJournal) -> Path:
    return journal.path.with_name("journal.jsonl.locks")


def left_behind(journal: LocalJournal, number: int = 1, deployment: str | None = None, **changes: object) -> LockState:
    """A state in the lock's folder, of a process that lives and holds it for another minute, unless it is changed."""
    until = timestamp(datetime.now(UTC) + timedelta(minutes=1))
    process = Process.running(os.getpid())
    state = LockState(deployment, "flip", Actor("ann", "desk", os.getpid()), now(), now(), until, process, "somebody")
    state = replace(state, **changes)  # type: ignore[arg-type]
    folder(journal).mkdir(exist_ok=True)
    (folder(journal) / f"{deployment or ''}@{number:012}.json").write_bytes(state.encoded())
    return state


def gone() -> dict[str, object]:
    """What a process has that ran here and has ended."""
    child = FORK.Process(daemon=True, target=os._exit, args=(0,))
    child.start()
    child.join()
    assert child.pid
    here = Process.running(os.getpid())
    return {"process": replace(here, pid=child.pid), "actor": Actor("ann", "desk", child.pid)}


# --- what the person sees ---------------------------------------------------------------------------------------------


def test_a_second_change_is_refused_and_told_of_the_first(journal: LocalJournal) -> None:
    with journal.lock(Actor("ann", "desk", os.getpid()), "flip", "prod") as held:
        assert held.took_over is None
        with pytest.raises(Locked) as refused, journal.lock(this_actor(), "killswitch", "prod"):
            pytest.fail("two holders")
        assert refused.value.verdict.exit_code == 6
        for said in ("'prod'", "flip of ann@desk", f"process {os.getpid()}", "since 2", "expires at 2"):
            assert said in refused.value.message
        assert refused.value.hint == f"xcomctl journal --last 5 --journal {journal.path}"
        (seen,) = journal.locks()
        assert (seen.deployment, seen.action, seen.abandoned) == ("prod", "flip", "")
    assert journal.locks() == []
    with journal.lock(this_actor(), "killswitch", "prod") as held:
        assert held.took_over is None


def test_the_users_own_journal_needs_no_option_to_be_looked_at(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    journal = opened(None)
    assert journal.name == str(default_path())
    with (
        journal.lock(this_actor(), "flip", None),
        pytest.raises(Locked) as refused,
        opened(None).lock(this_actor(), "flip", None),
    ):
        pytest.fail("two holders")
    assert refused.value.hint == "xcomctl journal --last 5"


def test_deployments_do_not_wait_for_each_other_whatever_they_are_called(journal: LocalJournal) -> None:
    names = ("prod", "prod@000000000009", "a/../b", ".", "%40", "", "prod.json")
    with journal.lock(this_actor(), "flip", "prod-2"):
        for name in names:
            again = journal.lock(this_actor(), "flip", name)
            with journal.lock(this_actor(), "flip", name), pytest.raises(Locked), again:
                pytest.fail("two holders")
    assert {path.parent for path in journal.path.parent.rglob("*.json")} == {folder(journal)}


def test_the_same_journal_by_a_link_has_the_same_lock(journal: LocalJournal, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link"
    link.symlink_to(journal.path)
    with (
        journal.lock(this_actor(), "flip", None),
        pytest.raises(Locked),
        LocalJournal(link).lock(this_actor(), "x", None),
    ):
        pytest.fail("two holders")


def test_it_is_released_when_the_change_fails_and_the_failure_is_what_is_told(journal: LocalJournal) -> None:
    with pytest.raises(KeyError), journal.lock(this_actor(), "flip", None):
        raise KeyError
    with journal.lock(this_actor(), "flip", None) as held:
        assert held.took_over is None
    lost = journal.lock(this_actor(), "flip", None)
    with pytest.raises(KeyError), lost:
        left_behind(journal, 99)
        raise KeyError


def test_old_states_go_once_the_newest_is_old_too(journal: LocalJournal) -> None:
    long_ago = timestamp(datetime.now(UTC) - timedelta(minutes=11))
    for number in range(1, 9):
        left_behind(journal, number, released=True, at=long_ago)
    left_behind(journal, 3, "prod", released=True)
    for _ in range(2):  # the second time the newest is a moment old
        with journal.lock(this_actor(), "flip", None):
            pass
    assert sorted(int(file.name[1:13]) for file in folder(journal).glob("@*")) == [8, 9, 10, 11, 12]
    assert len(list(folder(journal).glob("prod@*"))) == 1


def test_its_owner_alone_may_read_it(journal: LocalJournal) -> None:
    with journal.lock(this_actor(), "flip", None):
        (file,) = folder(journal).iterdir()
        assert (file.stat().st_mode & 0o777, folder(journal).stat().st_mode & 0o777) == (0o600, 0o700)


# --- who is gone ------------------------------------------------------------------------------------------------------


def test_a_dead_holders_lock_is_taken_over_at_once_and_told(journal: LocalJournal) -> None:
    before = left_behind(journal, **gone())
    (seen,) = journal.locks()
    assert seen == before and "is gone" in seen.abandoned
    with journal.lock(this_actor(), "flip", None) as held:
        assert held.took_over == before


def test_a_number_that_is_used_again_is_another_process(journal: LocalJournal) -> None:
    before = left_behind(journal, process=replace(Process.running(os.getpid()), started=GONE))
    with journal.lock(this_actor(), "flip", None) as held:
        assert held.took_over == before


def test_a_zombie_holds_nothing() -> None:
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    process = Process.running(child)
    assert not process.is_gone
    os.kill(child, signal.SIGKILL)
    while not process.is_gone:  # nobody waits for it yet
        time.sleep(0.001)
    os.waitpid(child, 0)
    assert process.is_gone


@pytest.mark.parametrize(
    "changes",
    [
        {"machine": "another boot pid:[1]"},  # another host, or a container that counts its processes for itself
        {"machine": ""},
        {"started": ""},
    ],
)
def test_of_another_machine_nobody_is_known_to_be_gone(journal: LocalJournal, changes: dict[str, str]) -> None:
    ended = gone()
    ended["process"] = replace(ended["process"], **changes)  # type: ignore[type-var]
    left_behind(journal, **ended)
    with pytest.raises(Locked), journal.lock(this_actor(), "flip", None):
        pytest.fail("robbed")
    past = left_behind(journal, expires=timestamp(datetime.now(UTC)), **ended)
    assert "expired" in journal.locks()[0].abandoned
    with journal.lock(this_actor(), "flip", None) as held:
        assert held.took_over == past


def test_somebody_elses_process_is_no_dead_one() -> None:
    first = Process.running(1)  # which we may not signal, unless we are root
    assert first.started and not first.is_gone


# --- renewing, and losing it ------------------------------------------------------------------------------------------


def test_it_is_renewed_while_a_step_takes_its_time(journal: LocalJournal) -> None:
    with journal.lock(this_actor(), "flip", None, lease_s=2.0) as held:
        first = journal.locks()[0].expires
        patience = time.monotonic() + 60
        while journal.locks()[0].expires == first:
            assert time.monotonic() < patience, "nobody renews it"
            time.sleep(0.01)
        assert parse_time(journal.locks()[0].expires) > parse_time(first)
        held.renew()


def test_an_explicit_renewal_lasts_a_whole_lease(journal: LocalJournal) -> None:
    with journal.lock(this_actor(), "flip", None) as held:
        first = journal.locks()[0]
        held.renew()
        second = journal.locks()[0]
    assert second.expires > first.expires and second.since == first.since
    assert parse_time(second.expires) - parse_time(second.since) >= timedelta(seconds=locks.LEASE_S)


def test_who_lost_it_is_told_at_the_next_step_and_at_the_end(journal: LocalJournal) -> None:
    with pytest.raises(LockLost) as lost, journal.lock(this_actor(), "flip", "prod") as held:
        left_behind(journal, 2, "prod")
        for _ in range(2):
            with pytest.raises(LockLost):
                held.renew()
    assert lost.value.verdict.exit_code == 6 and "'prod'" in lost.value.message
    assert [state.holder for state in journal.locks()] == ["somebody"]


def test_a_renewal_whose_answer_was_lost_is_no_loss(journal: LocalJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = FolderObjects.names

    def broken(self: FolderObjects) -> list[str]:
        raise JournalError("no answer")

    with journal.lock(this_actor(), "flip", None) as held:
        monkeypatch.setattr(FolderObjects, "names", broken)
        with pytest.raises(JournalError):
            held.renew()  # it is written, and we do not know
        monkeypatch.setattr(FolderObjects, "names", listing)
        held._number -= 1  # as if not even the creation had been answered
        held.renew()
        assert len(journal.locks()) == 1


def test_what_is_no_lock_is_named_and_stops_the_change(journal: LocalJournal) -> None:
    folder(journal).mkdir()
    for junk in (b"", b"{}", b"[1]", b"\xff", b'{"schema": "xcomctl.lock/1"}', b'{"schema": "xcomctl.lock/9"}'):
        (folder(journal) / "prod@000000000001.json").write_bytes(junk)
        with pytest.raises(JournalError) as told, journal.lock(this_actor(), "flip", "prod"):
            pytest.fail("taken")
        assert "prod@000000000001.json" in told.value.message and told.value.hint
    with journal.lock(this_actor(), "flip", "staging"):
        pass


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError) as told, LocalJournal(tmp_path / "file" / "j").lock(this_actor(), "flip", None):
        pytest.fail("taken")
    assert str(tmp_path) in told.value.message
    (tmp_path / "j.locks").write_text("")
    with pytest.raises(JournalError), LocalJournal(tmp_path / "j").lock(this_actor(), "flip", None):
        pytest.fail("taken")


def test_a_state_survives_its_writing() -> None:
    process = Process(7, "boot pid:[1]", "123")
    state = LockState("prod", "flip", Actor("änn", "desk", 7), now(), now(), now(), process, "h", released=True)
    assert LockState.decoded(state.encoded()) == state


# --- in any order -----------------------------------------------------------------------------------------------------


class Shelf:
    """A place in memory, each of whose steps may come between any two of somebody else's."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def names(self) -> list[str]:
        pause()
        return sorted(self.objects)

    def read(self, names: Sequence[str]) -> Iterator[bytes | None]:
        pause()
        return iter([self.objects.get(name) for name in names])

    def write(self, name: str, data: bytes) -> None:
        raise AssertionError("nothing of a lock is overwritten")

    def create(self, name: str, data: bytes) -> bool:
        pause()
        if name in self.objects:
            return False
        self.objects[name] = data
        return True

    def delete(self, names: Sequence[str]) -> None:
        for name in list(names):
            pause()
            self.objects.pop(name, None)


class LookingFirst(Shelf):
    """Creates as a file system does that has no conditional create: it looks, and then it writes."""

    def create(self, name: str, data: bytes) -> bool:
        pause()
        there = name in self.objects
        pause()
        self.objects[name] = data
        return not there


class Changes:
    """Who holds the lock of one shelf, as the changes themselves see it."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.holders: set[int] = set()
        self.taken = 0
        self.clashes = 0
        long_ago = timestamp(datetime.now(UTC) - timedelta(hours=1))
        for number in (1, 2):  # so that whoever takes it has something to remove
            state = LockState(None, "flip", ACTOR, long_ago, long_ago, long_ago, NOBODY, "h", released=True)
            shelf.objects[f"@{number:012}.json"] = state.encoded()

    def change(self, who: int, times: int) -> Callable[[], None]:
        """A change, so many times; one that finds it locked is over."""

        def run() -> None:
            for _ in range(times):
                try:
                    lock = self._taken(timedelta(seconds=locks.LEASE_S))
                    with self.holding(who):
                        pause()
                    lock._go_on(released=True)
                except Locked:
                    return
                except LockLost:  # its lease was not over
                    self.clashes += 1

        return run

    def slow(self, who: int) -> Callable[[], None]:
        """A holder whose lease is over by now, as after a suspended laptop, and who goes on."""
        lock = self._taken(timedelta(0))
        lock._lease = timedelta(seconds=locks.LEASE_S)

        def run() -> None:
            with suppress(LockLost):
                lock.renew()
                with self.holding(who):
                    pause()
                lock._go_on(released=True)

        return run

    def _taken(self, lease: timedelta) -> locks.Lock:
        """As ``locked`` takes it, without the thread that renews it."""
        return locks._take(locks._Row(self.shelf, None, ""), ACTOR, "flip", lease)

    @contextmanager
    def holding(self, who: int) -> Iterator[None]:
        self.taken += 1
        self.clashes += bool(self.holders)
        self.holders.add(who)
        try:
            yield
        finally:
            self.holders.remove(who)


Scene = Callable[[Changes], list[Callable[[], None]]]


def explore(scene: Scene, shelf: type[Shelf], preemptions: int) -> Iterator[Changes]:
    """What came of each order that is tried."""
    latest: list[Changes] = []

    def workers() -> list[Callable[[], None]]:
        latest[:] = [Changes(shelf())]
        return scene(latest[0])

    for _ in orders(workers, preemptions):
        yield latest[0]


SCENES: dict[str, tuple[Scene, int]] = {
    "two, one of them twice": (lambda changes: [changes.change(1, 2), changes.change(2, 1)], 2),
    "three": (lambda changes: [changes.change(who, 1) for who in range(3)], 2),
    "one expired": (lambda changes: [changes.slow(1), changes.change(2, 2)], 2),
    "one expired, two others": (lambda changes: [changes.slow(1), changes.change(2, 1), changes.change(3, 1)], 1),
}


@pytest.mark.parametrize("name", SCENES)
def test_there_never_are_two_holders_in_any_order(name: str) -> None:
    tried = 0
    for changes in explore(SCENES[name][0], Shelf, SCENES[name][1]):
        tried += 1
        assert changes.clashes == 0 and changes.taken > 0
    assert tried > 20


def test_without_a_conditional_create_two_holders_are_found() -> None:
    """The search is not blind: with a file system that looks first and writes then it finds what goes wrong."""
    assert any(changes.clashes for changes in explore(*SCENES["three"][:1], LookingFirst, 2))


def test_without_the_listing_afterwards_two_holders_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was removed can be created again by somebody who looked before."""
    monkeypatch.setattr(locks._Row, "is_newest", lambda *_: True)
    monkeypatch.setattr(locks, "_SETTLED", timedelta(0))
    assert any(changes.clashes for changes in explore(*SCENES["two, one of them twice"][:1], Shelf, 2))


# --- real processes ---------------------------------------------------------------------------------------------------


@contextmanager
def witness(path: Path) -> Iterator[None]:
    """The kernel's own lock, which ends with its process: whoever holds ours must get it at once."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: somebody else holds ours too
        yield
    finally:
        os.close(descriptor)


def place(kind: str, tmp_path: Path) -> str:
    return str(tmp_path / "j.jsonl") if kind == "file" else f"file://{tmp_path}/shared"


def contend(where: str, path: Path, takings: int, seed: int) -> None:
    """Take the lock so many times, among others who want it too. Ends with 0 unless two held it."""
    chance = random.Random(seed)
    journal: Journal = opened(where)
    while takings:
        try:
            with journal.lock(this_actor(), f"contender {seed}", "prod") as held, witness(path):
                time.sleep(chance.random() / 500)
                held.renew()
                takings -= 1
        except Locked:
            time.sleep(chance.random() / 500)


@pytest.mark.parametrize("kind", ["file", "url"])
def test_processes_that_contend_for_it_never_hold_it_together(kind: str, tmp_path: Path) -> None:
    children = [
        FORK.Process(daemon=True, target=contend, args=(place(kind, tmp_path), tmp_path / "w", 20, who))
        for who in range(4)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 4
    assert opened(place(kind, tmp_path)).locks() == []


def test_killed_holders_are_taken_over_and_never_by_two(tmp_path: Path) -> None:
    """Killed in the middle of whatever they do: taking, holding, renewing, releasing."""
    chance = random.Random(12)
    where = place("file", tmp_path)
    children = []
    for round_ in range(20):
        children.append(FORK.Process(daemon=True, target=contend, args=(where, tmp_path / "w", 10**6, round_)))
        children[-1].start()
        time.sleep(chance.random() / 20)
        if len(children) == 3:
            victim = children.pop(chance.randrange(3))
            assert victim.exitcode is None, "two holders"
            victim.kill()
            victim.join()
    for child in children:
        assert child.exitcode is None, "two holders"
        child.kill()
        child.join()
    contend(where, tmp_path / "w", 1, 99)


def race(where: str, start: int, out: int) -> None:
    """Wait until the pipe is closed, try once, and say what came of it; a winner holds on until everybody has tried."""
    os.read(start, 1)
    try:
        with opened(where).lock(this_actor(), "race", None) as held:
            os.write(out, b"T" if held.took_over else b"W")
            time.sleep(60)
    except Locked:
        os.write(out, b"-")


def test_of_many_who_find_a_dead_holder_one_alone_takes_over(journal: LocalJournal) -> None:
    """The winner of each round is killed, and so is the dead holder of the next."""
    left_behind(journal, **gone())
    for _ in range(6):
        start, go = os.pipe()
        results, out = os.pipe()
        children = [
            FORK.Process(daemon=True, target=_closing, args=(go, race, str(journal.path), start, out)) for _ in range(4)
        ]
        for child in children:
            child.start()
        os.close(go)
        os.close(out)
        said = b""
        while len(said) < 4:
            said += os.read(results, 4)
        for child in children:
            child.kill()
            child.join()
        os.close(start)
        os.close(results)
        assert sorted(said) == sorted(b"T---")


def _closing(descriptor: int, run: Callable[..., None], *arguments: object) -> None:
    os.close(descriptor)
    run(*arguments)


def hold(where: str, link: socket.socket, lease_s: float) -> None:
    """Hold it until something is said, then try to go on."""
    try:
        with opened(where).lock(this_actor(), "hold", None, lease_s) as held:
            link.send(b"held")
            link.recv(1)
            held.renew()
            link.send(b"renewed")
    except UserError as error:
        link.send(type(error).__name__.encode())


def test_a_living_holder_is_never_robbed_before_its_expiry(journal: LocalJournal) -> None:
    ours, theirs = socket.socketpair()
    child = FORK.Process(daemon=True, target=hold, args=(str(journal.path), theirs, 1.0))
    child.start()
    assert ours.recv(10) == b"held"
    expiries = set()
    while len(expiries) < 8:  # as long as it has been renewed seven times
        expiries.add(journal.locks()[0].expires)
        try:
            with journal.lock(this_actor(), "robber", None) as held:
                # A machine too busy to let it renew in time: then it must have been too late.
                assert held.took_over and parse_time(held.took_over.expires) <= datetime.now(UTC)
                break
        except Locked:
            time.sleep(0.005)
    ours.send(b"!")
    ours.recv(10)
    child.join()
    assert child.exitcode == 0


def test_a_holder_that_was_stopped_longer_than_its_lease_is_taken_over_and_learns_it(journal: LocalJournal) -> None:
    ours, theirs = socket.socketpair()
    child = FORK.Process(daemon=True, target=hold, args=(str(journal.path), theirs, 0.5))
    child.start()
    assert child.pid and ours.recv(10) == b"held"
    os.kill(child.pid, signal.SIGSTOP)
    while True:
        try:
            with journal.lock(this_actor(), "next", None) as held:
                assert held.took_over and held.took_over.action == "hold"
                assert not held.took_over.process.is_gone
                ours.send(b"!")
                os.kill(child.pid, signal.SIGCONT)
                assert ours.recv(10) == b"LockLost"
                held.renew()
            break
        except Locked:
            time.sleep(0.01)
    child.join()
    assert child.exitcode == 0
