"""What tests do on the walk while it is under way: in ``offload``, with a run in flight, after the bare revert.

A live test module names its visits by the step of the rehearsal after which they are due::

    VISITS = {"offload": (verify_the_run,), "break": (verify_what_broke,)}

Each gets the :class:`~tests.support.walk.Walk` as it stands then, in the order of modules and tuples, and what it
returns (or raises) is what ``walk.seen(visit)`` gives (or raises) in the test. A visit leaves the runs of the walk what
they are. What it adds, rows with references above all, has to be gone before the step that would count it: after
``break`` the rehearsal looks for the runs that hold references and were not over at the revert, and at its end for every
reference and every object that none names.

Most of a visit is waiting. Those that mind nobody else's runs say so (:func:`beside`), and run side by side.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from xcomctl.report.progress import Progress, StepHandle

if TYPE_CHECKING:
    from tests.support.walk import Walk

Visit = Callable[["Walk"], Any]
_beside: set[Visit] = set()


def beside(visit: Visit) -> Visit:
    """A visit that may run beside the one before it and the one after it, where these say so too."""
    _beside.add(visit)
    return visit


def visits_of(modules: Iterable[object]) -> dict[str, list[Visit]]:
    """The visits of test modules, by the step after which they are due; each module once."""
    found: dict[str, list[Visit]] = {}
    for module in dict.fromkeys(modules):
        due: Mapping[str, Iterable[Visit]] = getattr(module, "VISITS", {})
        for step, visits in due.items():
            found.setdefault(step, []).extend(visits)
    return found


class Visiting:
    """The progress of a rehearsal, with visits at the ends of steps that went well."""

    def __init__(self, inner: Progress, visits: Mapping[str, Iterable[Visit]], walk: Callable[[], Walk]) -> None:
        self._inner = inner
        self._visits = visits
        self._walk = walk
        #: What each visit returned, or raised.
        self.outcomes: dict[Visit, tuple[Any, Exception | None]] = {}
        #: What each took.
        self.seconds: dict[Visit, float] = {}

    @contextmanager
    def step(self, id: str, title: str) -> Iterator[StepHandle]:
        """See :class:`Progress`."""
        with self._inner.step(id, title) as handle:
            yield handle
        due = enumerate(self._visits.get(id, ()))
        for _, group in itertools.groupby(due, lambda each: None if each[1] in _beside else each[0]):
            visits = [visit for _, visit in group]
            names = [visit.__name__ for visit in visits]
            with self._inner.step(f"{id}.{'+'.join(names)}", f"Visit: {', '.join(names)}"):
                started = time.monotonic()
                with ThreadPoolExecutor(len(visits)) as pool:
                    its = dict(zip(visits, pool.map(self._visit, visits), strict=True))
                # What they took together is shared out by what each took.
                share = (time.monotonic() - started) / sum(its.values())
                self.seconds.update({visit: seconds * share for visit, seconds in its.items()})

    def _visit(self, visit: Visit) -> float:
        """Make it; the seconds that it took."""
        started = time.monotonic()
        try:
            self.outcomes[visit] = visit(self._walk()), None
        except Exception as error:
            self.outcomes[visit] = None, error
        return time.monotonic() - started

    def close(self) -> None:
        """See :class:`Progress`."""
        self._inner.close()
