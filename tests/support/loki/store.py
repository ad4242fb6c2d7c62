"""The streams of one tenant: what is pushed, and which entries a request gets."""

from __future__ import annotations

import bisect
import itertools
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from tests.support.loki.logql import Query

#: Time in nanoseconds, line, structured metadata.
Entry = tuple[int, str, tuple[tuple[str, str], ...]]


@dataclass
class Stream:
    """One stream. Entries of one nanosecond stay in the order in which they came."""

    labels: Mapping[str, str]
    entries: list[Entry] = field(default_factory=list)
    known: set[Entry] = field(default_factory=set)
    ordered: bool = True

    def between(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Where the entries of a time begin and end: inclusive, exclusive."""
        if not self.ordered:
            self.entries.sort(key=lambda entry: entry[0])
            self.ordered = True
        return (
            bisect.bisect_left(self.entries, start_ns, key=lambda entry: entry[0]),
            bisect.bisect_left(self.entries, end_ns, key=lambda entry: entry[0]),
        )


class Streams:
    """All streams of a tenant."""

    def __init__(self) -> None:
        self._streams: dict[tuple[tuple[str, str], ...], Stream] = {}
        self._lock = threading.Lock()

    def push(
        self, labels: Mapping[str, str], entries: Iterable[tuple[int, str]], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Take lines. One that equals another of its stream in time, text and metadata is dropped, as Loki does."""
        key = tuple(sorted(labels.items()))
        more = tuple(sorted((metadata or {}).items()))
        with self._lock:
            stream = self._streams.setdefault(key, Stream(dict(key)))
            for at_ns, line in entries:
                entry = (at_ns, line, more)
                if entry in stream.known:
                    continue
                stream.known.add(entry)
                stream.ordered &= not stream.entries or stream.entries[-1][0] <= at_ns
                stream.entries.append(entry)

    def matching(self, matches: Callable[[Mapping[str, str]], bool], start_ns: int, end_ns: int) -> list[Stream]:
        """The streams that a selector means and that have a line in that time, which is told in milliseconds here."""
        start_ms, end_ms = start_ns // 1_000_000, -(-end_ns // 1_000_000)
        with self._lock:
            found = []
            for stream in self._streams.values():
                first, last = stream.between(start_ms * 1_000_000, end_ms * 1_000_000)
                if first < last and matches(stream.labels):
                    found.append(stream)
            return found

    def size(self, query: Query, start_ns: int, end_ns: int) -> int:
        """How many characters a query would read."""
        with self._lock:
            return sum(
                len(entry[1])
                for stream in self._streams.values()
                if query.matches(stream.labels)
                for entry in itertools.islice(stream.entries, *stream.between(start_ns, end_ns))
            )

    def select(
        self, query: Query, start_ns: int, end_ns: int, limit: int, *, backward: bool, salt: str = ""
    ) -> list[tuple[Stream, Entry]]:
        """The first entries, or the last. Among streams, those of one nanosecond come in order of a hash; a salt shuffles
        it, as queriers do that answer for a shard each."""
        keeps = query.keeps() if query.filters else None
        chosen: list[tuple[int, int, int, Stream, Entry]] = []
        with self._lock:
            for stream in self._streams.values():
                if not query.matches(stream.labels):
                    continue
                first, last = stream.between(start_ns, end_ns)
                hashed = zlib.crc32(f"{salt}{sorted(stream.labels.items())}".encode())
                places = range(last - 1, first - 1, -1) if backward else range(first, last)
                entries = (stream.entries[place] for place in places)
                kept = entries if keeps is None else (entry for entry in entries if keeps(entry[1]))
                chosen += [
                    (-entry[0] if backward else entry[0], hashed, order, stream, entry)
                    for order, entry in enumerate(itertools.islice(kept, limit))
                ]
        chosen.sort(key=lambda each: each[:3])
        return [(stream, entry) for _, _, _, stream, entry in chosen[:limit]]
