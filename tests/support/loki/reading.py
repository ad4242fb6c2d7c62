"""Reading the fake Loki with the client, without waiting for real; and what must come out, worked out apart from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.support.loki.server import FakeLoki
from xcomctl.clients.loki import FixedAddress, Line, Login, Loki

#: 2026-06-06T12:00:00Z; Loki takes small numbers for seconds.
T0 = 1_780_747_200 * 1_000_000_000
SECOND = 1_000_000_000
Streams = Mapping[tuple[tuple[str, str], ...], Sequence[tuple[int, str]]]


class Reader(Loki):
    """A session that notes what it said, and how long it would have waited."""

    def __init__(
        self, loki: FakeLoki, login: Login | None = None, *, url: str = "", timeout_s: float = 5.0, now_ns: int = T0
    ) -> None:
        self.said: list[str] = []
        self.waited: list[float] = []
        self.now_ns = now_ns
        self.pausing: Callable[[float], None] | None = None
        super().__init__(
            FixedAddress(url or loki.url), login or Login(), say=self.said.append, timeout_s=timeout_s,
            pause=self.wait, clock=lambda: self.now_ns,
        )  # fmt: skip

    def wait(self, seconds: float) -> None:
        """Time passes only here, and what else ``pausing`` does."""
        if self.pausing is not None:
            self.pausing(seconds)
        self.waited.append(seconds)
        self.now_ns += round(seconds * SECOND)


@contextmanager
def reading(
    loki: FakeLoki, login: Login | None = None, *, url: str = "", timeout_s: float = 5.0, now_ns: int = T0
) -> Iterator[Reader]:
    """A session with it."""
    with Reader(loki, login, url=url, timeout_s=timeout_s, now_ns=now_ns) as reader:
        yield reader


def key_of(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Labels in order."""
    return tuple(sorted(labels.items()))


def shown(lines: Sequence[Line]) -> list[tuple[int, tuple[tuple[str, str], ...], str]]:
    """Lines as they can be compared."""
    keys: dict[int, tuple[tuple[str, str], ...]] = {}  # the lines of one stream in one page share their labels
    return [
        (line.at_ns, keys.get(id(line.labels)) or keys.setdefault(id(line.labels), key_of(line.labels)), line.text)
        for line in lines
    ]


def expected(streams: Streams, start_ns: int, end_ns: int) -> list[tuple[int, tuple[tuple[str, str], ...], str]]:
    """What has to come out of the streams: by time, then by labels, then in the order of pushing; equal ones once."""
    kept = {
        (at_ns, key, text): None
        for key, entries in streams.items()
        for at_ns, text in entries
        if start_ns <= at_ns < end_ns
    }
    return sorted(kept, key=lambda each: each[:2])


__all__ = ["SECOND", "T0", "Reader", "expected", "key_of", "reading", "shown"]
