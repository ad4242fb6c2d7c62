"""Which lines are new, when the same time is asked for again and again.

Polling ``query_range`` instead of ``/tail``: that one is a WebSocket (one more library), drops lines when somebody reads
slowly (its ``dropped_entries``), ends after ``tail_max_duration`` and knows nothing of what came while a connection was
broken. Polling takes the same way as everything else, pages, limits and all.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from xcomctl.clients.loki_page import Line

#: How far ahead of our clock a line's may be: Loki takes lines of the next ten minutes (``creation_grace_period``).
_AHEAD_NS = 600 * 1_000_000_000
#: Where nothing comes, nothing tells whether clocks differ: that much is looked back then.
_QUIET_NS = 300 * 1_000_000_000
_PRUNE_EVERY = 4096


class Followed:
    """The lines that were given already, as far as they can come again.

    A line that reaches Loki later than one with a later time is given too, if it is no more than ``late_ns`` older than
    the newest one that was seen; where less comes, five minutes. Memory grows with the lines of that time.
    """

    def __init__(self, start_ns: int, *, late_ns: int) -> None:
        self._start_ns = start_ns
        self._late_ns = late_ns
        self._newest_ns = start_ns
        self._polled_ns: int | None = None
        self._given: dict[int, Counter[bytes]] = {}
        # Those of the nanosecond that is being read: equal lines of one stream are as many as the answer has.
        self._here_ns = -1
        self._here: Counter[bytes] = Counter()
        self._until_prune = _PRUNE_EVERY

    def window(self, now_ns: int) -> tuple[int, int]:
        """The time to ask for now."""
        self._here_ns = -1
        return self._oldest(), max(now_ns, self._newest_ns) + _AHEAD_NS

    @property
    def remembered(self) -> int:
        """At how many times lines are remembered."""
        return len(self._given)

    def _oldest(self) -> int:
        """What is older than this was seen, and comes no more."""
        if self._polled_ns is None:
            return self._start_ns
        late = min(self._newest_ns, self._polled_ns) - self._late_ns
        return max(late, self._polled_ns - max(_QUIET_NS, self._late_ns), self._start_ns)

    def is_new(self, line: Line) -> bool:
        """Whether a line was not given yet; it counts as given then. Lines come in order of time."""
        if line.at_ns != self._here_ns:
            self._here_ns, self._here = line.at_ns, Counter()
        text = "\0".join([line.text, *(f"{name}\0{line.labels[name]}" for name in sorted(line.labels)),
                          *(f"{name}\0{line.metadata[name]}" for name in sorted(line.metadata))])  # fmt: skip
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        self._here[key] += 1
        given = self._given.setdefault(line.at_ns, Counter())
        self._newest_ns = max(self._newest_ns, line.at_ns)
        if self._here[key] <= given[key]:
            return False
        given[key] += 1
        self._until_prune -= 1
        if not self._until_prune:
            self._prune(self._newest_ns if self._polled_ns is None else min(self._newest_ns, self._polled_ns))
        return True

    def polled(self, now_ns: int) -> None:
        """All of a window was read that was asked for at that time."""
        self._polled_ns = now_ns
        self._prune(now_ns)

    def _prune(self, now_ns: int) -> None:
        self._until_prune = _PRUNE_EVERY
        oldest = max(min(self._newest_ns, now_ns) - self._late_ns, self._start_ns)
        if self._polled_ns is not None:
            oldest = min(oldest, self._oldest())
        self._given = {at_ns: given for at_ns, given in self._given.items() if at_ns >= oldest}
