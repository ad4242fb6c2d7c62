"""The lock that keeps two changes of one deployment apart: a numbered row of states, of which the newest counts.

Every state (taken, renewed, released) is one small object that is written once, named by the deployment and a number.
To go on from state *n* is to *create* number *n* + 1, which the place allows to one contender alone. So a holder that
renews and somebody who takes an expired lock over cannot both succeed: they want the same number. And nothing is ever
overwritten, so there is no moment at which a half-written state could be read.

Old states have to go some day, and two rules make that safe. Whoever takes the lock removes the lower numbers only if
the newest has been there for ten minutes: so a listing that runs meanwhile cannot miss both the old newest one, already
gone, and the new one, not there yet. And whoever created a number has the lock only if a listing made *afterwards* shows
no higher one: else it is one that was removed, created again by somebody who had looked long before.

A state is free if it was released, if its expiry is past, or if its process ran on this machine and is gone (see
:mod:`xcomctl.journal.owners`). While the lock is held a thread renews it five times per lease, because a step may take
as long as a deploy or as a person who thinks. The thread stops with its process, and whoever is stopped for longer than
a lease (a suspended laptop) may find the lock taken over. Therefore :meth:`Lock.renew` belongs before each step that
changes something: it returns only if the lock is still ours.

What it trusts: the place's conditional create, listings that show what was created before, and clocks that differ by
less than four fifths of a lease (4 minutes).
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from xcomctl.journal.errors import JournalError, Locked, LockLost
from xcomctl.journal.objects import Objects
from xcomctl.journal.owners import Process
from xcomctl.model.journal_entry import Actor, parse_time, timestamp
from xcomctl.report import units
from xcomctl.report.text import printable

SCHEMA = "xcomctl.lock/1"
#: How long a lock lasts that nobody renews, in seconds, and how many renewals are made in that time.
LEASE_S = 300.0
RENEWALS = 5
#: How often somebody may be quicker while we take it. The first who was holds it, and that is the end of it.
_TRIES = 100
#: How long the newest state must have been there before the older ones are removed: longer than any listing takes.
_SETTLED = timedelta(minutes=10)
_NAME = re.compile(r"(?P<key>[^@]*)@(?P<number>\d{12})\.json")


@dataclass(frozen=True)
class LockState:
    """One state of a lock. ``since`` is when the lock was taken, ``at`` when this state was written (UTC).

    ``expires`` is when it is free if nobody renews it. ``holder`` is a random word for each taking: it tells two takings
    by the same process apart.
    """

    deployment: str | None
    action: str
    actor: Actor
    since: str
    at: str
    expires: str
    process: Process
    holder: str
    released: bool = False

    @property
    def abandoned(self) -> str:
        """Why it may be taken over, in words: its process is gone, or its expiry is past. Empty while it is held."""
        if self.process.is_gone:
            return f"its process {self.process.pid} is gone"
        if parse_time(self.expires) <= datetime.now(UTC):
            return f"it expired at {units.moment(self.expires)}"
        return ""

    @property
    def words(self) -> str:
        """Who holds it for what, for a person."""
        who = f"{self.actor.user}@{self.actor.host} (process {self.actor.pid})"
        return printable(f"{self.action} of {who}, since {units.moment(self.since)}")

    def to_json(self) -> dict[str, Any]:
        """The state as plain JSON values, as people and entries of the journal are given it."""
        return {
            "deployment": self.deployment,
            "action": self.action,
            "actor": {"user": self.actor.user, "host": self.actor.host, "pid": self.actor.pid},
            "since": self.since,
            "expires": self.expires,
        }

    def encoded(self) -> bytes:
        """The state as it is written."""
        process = {"machine": self.process.machine, "started": self.process.started}
        more = {"at": self.at, "holder": self.holder, "released": self.released}
        return json.dumps({"schema": SCHEMA, **self.to_json(), **process, **more}).encode()

    @classmethod
    def decoded(cls, data: bytes) -> LockState:
        """The inverse of :meth:`encoded`. Raises ``ValueError`` for what is none."""
        try:
            record = json.loads(data)
            if record["schema"] != SCHEMA:
                raise ValueError(f"its schema is {record['schema']!r}")
            for name in ("since", "at", "expires"):
                parse_time(record[name])
            actor = Actor(**record["actor"])
            return cls(
                deployment=record["deployment"],
                action=str(record["action"]),
                actor=actor,
                since=record["since"],
                at=record["at"],
                expires=record["expires"],
                process=Process(int(actor.pid), str(record["machine"]), str(record["started"])),
                holder=str(record["holder"]),
                released=bool(record["released"]),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None


class Lock:
    """A lock that is held. ``took_over`` is the state of the crashed or expired holder before us, if there was one.

    Whoever takes one over says so in the journal.
    """

    def __init__(self, row: _Row, state: LockState, lease: timedelta, after: int, took_over: LockState | None) -> None:
        self.took_over = took_over
        self._row = row
        self._state = state
        self._lease = lease
        self._number = after
        self._mutex = threading.Lock()
        self._lost: LockLost | None = None

    def renew(self) -> None:
        """Make the lock last another lease; to be called before each step that changes something.

        Raises :class:`LockLost` if it is not ours any more, and :class:`JournalError` if that cannot be told.
        """
        self._go_on(released=False)

    def _go_on(self, *, released: bool) -> None:
        with self._mutex:
            if self._lost is not None:
                raise self._lost
            if self._state.released:
                return
            if released and not self._row.is_newest(self._state.holder):
                raise self._lose()
            at = datetime.now(UTC)
            state = replace(self._state, at=timestamp(at), expires=timestamp(at + self._lease), released=released)
            while not self._row.create(self._number + 1, state):
                there = self._row.read(self._number + 1)
                if there is None or there.holder != state.holder:
                    raise self._lose()
                self._number += 1  # a try of ours whose answer was lost
            self._number += 1
            # What was released may be somebody else's by now.
            if not released and not self._row.is_newest(state.holder):
                raise self._lose()
            self._state = state

    def _lose(self) -> LockLost:
        self._lost = LockLost(
            f"the lock of {_whose(self._state.deployment)} expired and was taken over before this {self._state.action} "
            "was done: nothing more is changed",
            self._row.look,
        )
        return self._lost

    def _keep(self, done: threading.Event) -> None:
        """Renew it until that is set. An error is not told here: the next step asks again, and is told."""
        while not done.wait(self._lease.total_seconds() / RENEWALS):
            with suppress(JournalError):
                try:
                    self.renew()
                except LockLost:
                    return


@contextmanager
def locked(
    objects: Objects, look: str, actor: Actor, action: str, deployment: str | None, lease_s: float = LEASE_S
) -> Iterator[Lock]:
    """Hold the lock of a deployment (``None``: of what has no name), renewed until the end of the block.

    ``look`` is the command that shows who holds it. Raises :class:`Locked` if somebody else does,
    :class:`JournalError` if the place cannot be used, and at the end of the block :class:`LockLost` if meanwhile
    somebody took it over.
    """
    lock = _take(_Row(objects, deployment, look), actor, action, timedelta(seconds=lease_s))
    done = threading.Event()
    threading.Thread(target=lock._keep, args=(done,), name="xcomctl lock", daemon=True).start()
    try:
        yield lock
    except BaseException:
        done.set()
        with suppress(JournalError, LockLost):  # what went wrong matters more; a lock that stays expires
            lock._go_on(released=True)
        raise
    done.set()
    lock._go_on(released=True)


def held(objects: Objects, look: str) -> list[LockState]:
    """The locks that are held or were left behind, by deployment. Raises :class:`JournalError`."""
    keys = sorted({match["key"] for name in objects.names() if (match := _NAME.fullmatch(name))})
    newest = [_Row(objects, None, look, key).newest() for key in keys]
    return [found[1] for found in newest if found is not None and not found[1].released]


def _take(row: _Row, actor: Actor, action: str, lease: timedelta) -> Lock:
    process = Process.running(actor.pid)
    for _ in range(_TRIES):
        number, before = row.newest() or (0, None)
        left = None if before is None or before.released else before
        if left is not None and not left.abandoned:
            until = units.moment(left.expires)
            raise Locked(
                f"{_whose(row.deployment)} is locked: {left.words}; it expires at {until} unless it is renewed",
                row.look,
            )
        moment = timestamp(datetime.now(UTC))
        state = LockState(row.deployment, action, actor, moment, moment, moment, process, secrets.token_hex(8))
        lock = Lock(row, state, lease, number, left)
        with suppress(LockLost):  # somebody was quicker: see who
            lock.renew()
            if before is not None and datetime.now(UTC) - parse_time(before.at) > _SETTLED:
                row.remove_below(number)
            return lock
    raise JournalError(
        f"the lock of {_whose(row.deployment)} could not be taken: others always were quicker, or listings show what was "
        "created too late",
        row.look,
    )


class _Row:
    """The states of one deployment's lock."""

    def __init__(self, objects: Objects, deployment: str | None, look: str, key: str | None = None) -> None:
        self.deployment = deployment
        self.look = look
        self._objects = objects
        # No dot at its beginning: such a file is hidden.
        self._key = quote(deployment or "", safe="").replace(".", "%2E") if key is None else key

    def newest(self) -> tuple[int, LockState] | None:
        """The number and the state that count."""
        while numbers := self._numbers():
            state = self.read(numbers[-1])
            if state is not None:
                return numbers[-1], state
            # It was removed after we looked, since there is a newer one.
        return None

    def read(self, number: int) -> LockState | None:
        """One state, ``None`` if it is not there (any more)."""
        name = self._name(number)
        (data,) = self._objects.read([name])
        try:
            return None if data is None else LockState.decoded(data)
        except ValueError as error:
            raise JournalError(
                f"{name!r} is no lock of ours ({error})", "remove it, once you know that no change is under way"
            ) from None

    def create(self, number: int, state: LockState) -> bool:
        """Write a state if nobody has written one of that number."""
        data = state.encoded()
        if self._objects.create(self._name(number), data):
            return True
        (there,) = self._objects.read([self._name(number)])
        return there == data  # ours after all: the answer to the first try was lost on its way

    def is_newest(self, holder: str) -> bool:
        """Whether the state that counts is this holder's."""
        found = self.newest()
        return found is not None and found[1].holder == holder

    def remove_below(self, number: int) -> None:
        """Remove the states that have not counted for long."""
        self._objects.delete([self._name(each) for each in self._numbers() if each < number])

    def _numbers(self) -> list[int]:
        matches = (_NAME.fullmatch(name) for name in self._objects.names())
        return sorted(int(match["number"]) for match in matches if match and match["key"] == self._key)

    def _name(self, number: int) -> str:
        return f"{self._key}@{number:012}.json"


def _whose(deployment: str | None) -> str:
    return "this deployment" if deployment is None else f"the deployment {deployment!r}"
