"""Whether a store may be asked to take values at all, so that it is not blamed on a value that it does not.

The backend would *create* a bucket that is not there (F21), and a store that refuses everything makes every value look
different. So the place is looked for first, and an object of our own goes through all that the backend does with one.
"""

from __future__ import annotations

from typing import Optional

from xcomctl.store import bucket
from xcomctl.store.bucket import Presence
from xcomctl.store.canary import Canary, Outcome
from xcomctl.store.opened import Store, message_of

#: One question has to be answered in the time that it may take: so many values are asked for at once, or fewer where
#: the store is far away.
VALUES_AT_ONCE = 16
#: What an offloaded value costs in requests to the store (a write four, a read two), and the removal after a question.
REQUESTS_PER_VALUE = 6
REQUESTS_PER_REMOVAL = 6

_SAID = {
    Presence.MISSING: "there is no bucket {name!r}",
    Presence.REFUSED: "the store refuses to say whether the bucket {name!r} is there",
    Presence.FAILED: "the store cannot be asked for {name!r}",
}


def values_at_once(timeout_s: float, slowest_ms: float) -> int:
    """So many values that their requests take half of the time that there is; ``slowest_ms`` is one request."""
    if not slowest_ms:
        return VALUES_AT_ONCE
    fitting = timeout_s * 1000 / 2 / slowest_ms - REQUESTS_PER_REMOVAL
    return max(1, min(VALUES_AT_ONCE, int(fitting / REQUESTS_PER_VALUE)))


class Readiness:
    """One look at the store of a base path. Use :meth:`look`; whoever gives up waiting for it may still read the rest."""

    def __init__(self, base_path: str) -> None:
        self._base_path = base_path
        self._canary: Optional[Canary] = None
        #: The slowest request, in milliseconds; 0 while none is known.
        self.slowest_ms = 0.0

    @property
    def left_behind(self) -> str:
        """The URI of our own object where it may still be there, else empty."""
        return self._canary.uri if self._canary is not None and self._canary.left_behind else ""

    def look(self) -> str:
        """Why no value is put into this store, in a sentence; empty where all works that the backend needs.

        Raises :class:`~xcomctl.airflow_compat.errors.AirflowUnusable` where the path's connection does not resolve.
        """
        store = Store(self._base_path)
        try:
            place = bucket.place(store)
        except Exception as error:
            return f"the store cannot be asked: {message_of(error)}"
        if place.presence is not Presence.THERE:
            return f"{_SAID[place.presence].format(name=place.name)}: {place.tried.message}"
        canary = self._canary = Canary(store)
        canary.play()
        for name, step in canary.steps.items():
            if step.outcome is not Outcome.ALLOWED:
                refused = "is refused" if step.outcome is Outcome.REFUSED else "does not work"
                return f"{name.upper()} {refused} below {store.base_path}: {step.message}"
            if step.tried is not None:
                self.slowest_ms = max(self.slowest_ms, step.tried.latency_ms / (step.tried.requests or 1))
        return ""
