"""How the fake Loki is set up, and what goes wrong with its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HOUR_NS = 3600 * 1_000_000_000


@dataclass
class Rules:
    """How this Loki is set up; may be changed while it runs. Limits of 0 are none."""

    max_entries: int = 5000
    max_query_length_ns: int = 721 * HOUR_NS
    max_query_lookback_ns: int = 0
    #: Characters that one query may read, and that one answer may have.
    max_query_chars: int = 0
    max_answer_chars: int = 0
    #: Characters that one query reads before it takes longer than anybody waits (504).
    slow_chars: int = 0
    tenants: bool = False
    login: tuple[str, str] | None = None
    token: str | None = None
    #: Loki 3.4 and later tell their limits; Loki 3 and later tell structured metadata from labels.
    publishes_limits: bool = True
    categorizes: bool = True
    #: Whether lines of one nanosecond come in another order of streams each time.
    shuffles: bool = False
    #: A path before the API, as a proxy has it.
    prefix: str = ""
    #: Streams with these labels are not told by ``/series``.
    hidden: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """What happens to requests whose path holds ``path``: to each ``every``-th, ``times`` times or always. ``met`` counts.

    ``status`` with ``body`` and ``headers``; or the answer is ``cut`` half-way, with its length told or (``unsized``) not;
    or ``dropped``: the connection ends without one; or the answer comes ``late_s`` seconds later.
    """

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    unsized: bool = False
    dropped: bool = False
    late_s: float = 0.0
    path: str = "/query_range"
    every: int = 1
    times: int | None = None
    seen: int = 0
    met: int = 0

    def strikes(self, path: str) -> bool:
        """Whether it happens to this request."""
        if self.path not in path or (self.times is not None and self.met >= self.times):
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.met += 1
        return True
