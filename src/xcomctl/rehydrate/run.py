"""Rehydrates row after row: parallel reads from the store, a transaction for each row, memory for a few values.

At most ``jobs`` rows are in work, each with a connection of its own to the database. Whatever ends this process, at any
point, leaves every row with its reference or with its whole value; called again it goes on with those that are left.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Union

from xcomctl.metadata import swap
from xcomctl.metadata.paged import StoredUrl, Which, pages
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.tables import Tables
from xcomctl.model import rehydrate as words
from xcomctl.model.references import Owner, Reference
from xcomctl.references.objects import judged
from xcomctl.rehydrate.convert import Column, Left, value_of
from xcomctl.rehydrate.read_back import Promise, ReadBack, Surprise
from xcomctl.store.content import Contents, Cut, Damaged, TooLarge
from xcomctl.store.opened import message_of

#: So many objects one after the other that the store did not give: it is given up.
STORE_GIVEN_UP_AFTER = 10

#: How often a row is tried: once more after what was not expected.
_LOOKS = 2

#: Points between two of which something is done that lasts; for tests that kill the process there.
READ, SWAPPED, DONE = "read", "swapped", "done"


@dataclass(frozen=True)
class Bounds:
    """``max_bytes`` are written at most, ``max_value_bytes`` for one value; ``jobs`` rows are in work at a time."""

    max_bytes: int
    max_value_bytes: int
    jobs: int


@dataclass(frozen=True)
class Done:
    """What became of a row: ``why`` is empty where it was rehydrated (``bytes`` of JSON), or a word of the model; ``gone``
    where there is no such row any more. ``column_changes`` is what the column made of the value."""

    row: StoredUrl
    why: str = ""
    detail: str = ""
    bytes: int = 0
    gone: bool = False
    column_changes: frozenset[str] = frozenset()


class StoreGivenUp(Exception):
    """The store gives no object any more; the message says why the last one could not be had."""


@dataclass
class Rehydration:
    """One pass over the references. ``write`` false: everything but the update.

    ``point`` is called between the steps of a row, from the thread that takes them.
    """

    engine: Any
    tables: Tables
    column: Column
    which: Which
    bounds: Bounds
    write: bool
    point: Callable[[str, StoredUrl], None] = lambda name, row: None
    #: What has been, or is being, written, in bytes.
    _spent: int = 0
    _failures: int = 0
    _lock: Any = field(default_factory=threading.Lock)
    _turn: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._contents = Contents(self.column.base_path)
        self._read_back = ReadBack()
        self._own = threading.local()
        self._writers: list[swap.Writer] = []

    @property
    def verified_by(self) -> tuple[str, ...]:
        """The classes through which rows are read back."""
        return self._read_back.names

    @property
    def requests(self) -> Optional[int]:
        """How many requests were made to the store, ``None`` where that cannot be counted."""
        return self._contents.requests

    def rows(self) -> Generator[Done, None, None]:
        """What becomes of each row, as they end. Closed early, it lets those in work come to their end.

        Raises :class:`StoreGivenUp`, and what the database's driver raises.
        """
        pool = ThreadPoolExecutor(self.bounds.jobs, thread_name_prefix="xcomctl-rehydrate")
        in_work: set[Future[Done]] = set()
        try:
            for page in pages(lambda: read_only(self.engine), self.tables, self.which):
                for row in page:
                    reference = self._reference(row)
                    if isinstance(reference, Done):
                        yield reference
                    if not isinstance(reference, Reference):
                        continue
                    if len(in_work) >= 2 * self.bounds.jobs:
                        in_work = yield from self._ended(in_work)
                    in_work.add(pool.submit(self._one, row, reference))
            while in_work:
                in_work = yield from self._ended(in_work)
        finally:
            for future in in_work:
                future.cancel()
            pool.shutdown(wait=True)
            for writer in self._writers:
                with contextlib.suppress(Exception):  # the pool closes what cannot be given back
                    writer.close()

    def _ended(self, in_work: set[Future[Done]]) -> Generator[Done, None, set[Future[Done]]]:
        ended, left = wait(in_work, return_when=FIRST_COMPLETED)
        for future in ended:
            done = future.result()
            yield done
            self._failures = self._failures + 1 if done.why == words.UNREAD else 0
            if self._failures >= STORE_GIVEN_UP_AFTER:
                raise StoreGivenUp(done.detail)
        return left

    def _reference(self, row: StoredUrl) -> Union[Reference, Done, None]:
        """The row's reference, or what is to be said of it, or ``None``: a URL that is a value."""
        found = judged(row.text, self.column.base_path, Owner(row.dag_id, row.run_id, row.task_id))
        if found is None or found[1] is None:
            return None
        kind, reference = found
        if kind == words.ALIAS:
            return Done(row, words.ALIAS, "clear the task that passed it on: it then gets the value")
        return Done(row, words.OUTSIDE) if kind == words.OUTSIDE else reference

    def _one(self, row: StoredUrl, reference: Reference) -> Done:
        with contextlib.ExitStack() as opened:
            try:
                data = opened.enter_context(self._contents.opened(reference, self.bounds.max_value_bytes))
            except FileNotFoundError:
                return self._unless_changed(row, words.DANGLING)
            except TooLarge as error:
                return Done(row, words.TOO_LARGE, str(error))
            except Cut as error:
                return Done(row, words.UNREAD, str(error))
            except Damaged as error:
                return self._unless_changed(row, words.UNDECODABLE, str(error))
            except Exception as error:  # each file system has errors of its own
                return Done(row, words.UNREAD, message_of(error))
            self.point(READ, row)
            try:
                return self._with(row, data)
            except Left as left:
                return self._unless_changed(row, left.why, left.detail)

    def _with(self, row: StoredUrl, data: bytes) -> Done:
        """The row with the object's JSON. Raises :class:`Left`."""
        promise = self._read_back.promise(data, value_of(data, self.column))
        outcome, notes = "", frozenset[str]()
        self._spend(len(data))
        try:
            outcome, notes = self._put(row, promise)
            self.point(DONE, row)
        except swap.ColumnRefuses as error:
            raise Left(words.DOES_NOT_FIT, str(error)) from error
        finally:
            if outcome != swap.SWAPPED:
                self._spend(-len(data))
        if outcome == swap.SWAPPED:
            return Done(row, bytes=len(data), column_changes=notes)
        return _other(row, outcome)

    def _put(self, row: StoredUrl, promise: Promise) -> tuple[str, frozenset[str]]:
        """The outcome of the swap, and what the column made of the value. What it was not asked about is asked in between."""
        notes: frozenset[str] = frozenset()

        def accept(held: Any) -> None:
            nonlocal notes
            notes = promise.kept(held)
            self.point(SWAPPED, row)

        for _ in range(_LOOKS):
            try:
                return self._swap(row, promise.value.column, accept), notes
            except Surprise as surprise:
                promise = self._read_back.again(promise, surprise.held)
        raise Left(words.DIFFERS, "the column gives other JSON each time")

    def _swap(self, row: StoredUrl, column: Any, accept: Callable[[Any], None]) -> str:
        if not self.write:
            outcome = self._writer().unchanged(row)
            if outcome == swap.SWAPPED:
                accept(self._writer().would_hold(column))
            return outcome
        for _ in range(_LOOKS):
            try:
                return self._writer().swap(row, column, accept)
            except Exception as error:
                if not swap.lost(error):
                    raise
                del self._own.writer  # the next one has a connection of its own
        raise Left(words.DOES_NOT_FIT, "the database ended the connection over it, twice")

    def _unless_changed(self, row: StoredUrl, why: str, detail: str = "") -> Done:
        """What is wrong with an object is nothing to a row that holds something else by now."""
        outcome = self._writer().unchanged(row)
        return Done(row, why, detail) if outcome == swap.SWAPPED else _other(row, outcome)

    def _writer(self) -> swap.Writer:
        """This thread's connection."""
        if not hasattr(self._own, "writer"):
            self._own.writer = swap.Writer(self.engine, self.tables, self._turn)
            with self._lock:
                self._writers.append(self._own.writer)
        writer: swap.Writer = self._own.writer
        return writer

    def _spend(self, size: int) -> None:
        with self._lock:
            if size > 0 and self._spent + size > self.bounds.max_bytes:
                raise Left(words.OVER_MAX_BYTES, f"{self._spent:,} bytes were written, and this has {size:,}")
            self._spent += size


def _other(row: StoredUrl, outcome: str) -> Done:
    if outcome == swap.GONE:
        return Done(row, gone=True)
    return Done(row, words.LOCKED if outcome == swap.LOCKED else words.CHANGED)
