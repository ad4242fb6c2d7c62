"""Counts rows of one kind, with a few examples: memory does not grow with the rows."""

from __future__ import annotations

from typing import Any, Callable, Optional, Protocol

from xcomctl.metadata.xcoms import FINISHED_RUN_STATES

#: Examples that are kept, each of another task and key.
EXAMPLES = 5


class Row(Protocol):
    """Where an XCom is stored, and the state of its run."""

    @property
    def dag_id(self) -> str:
        """Its DAG."""

    @property
    def run_id(self) -> str:
        """Its run."""

    @property
    def task_id(self) -> str:
        """Its task."""

    @property
    def map_index(self) -> int:
        """-1 for an unmapped task."""

    @property
    def key(self) -> str:
        """Its key."""

    @property
    def run_state(self) -> Optional[str]:
        """The run's state, ``None`` for none and for a row without a run."""


class Tally:
    """How many rows, in which unfinished runs, and examples.

    Of the runs only the unfinished are remembered: those are as many as the deployment has going on, however many rows
    there are. ``shown`` makes of what an example says what may be shown: short, and nothing that is secret. It is asked
    for the examples alone.
    """

    def __init__(self, shown: Callable[[str], str]) -> None:
        self.count = 0
        self._shown = shown
        self._unfinished: set[tuple[str, str]] = set()
        self._examples: dict[tuple[str, str, str], dict[str, Any]] = {}

    def add(self, row: Row, excerpt: str) -> None:
        """One more. ``excerpt`` is what an example of it says."""
        self.count += 1
        if row.run_state not in FINISHED_RUN_STATES:
            self._unfinished.add((row.dag_id, row.run_id))
        named = (row.dag_id, row.task_id, row.key)
        if len(self._examples) < EXAMPLES and named not in self._examples:
            self._examples[named] = {
                "dag_id": row.dag_id,
                "run_id": row.run_id,
                "task_id": row.task_id,
                "map_index": row.map_index,
                "key": row.key,
                "excerpt": self._shown(excerpt),
            }

    @property
    def unfinished_runs(self) -> int:
        """How many runs that are not over hold one."""
        return len(self._unfinished)

    @property
    def examples(self) -> tuple[dict[str, Any], ...]:
        """The examples, in the order in which they were found."""
        return tuple(self._examples.values())

    def to_json(self) -> dict[str, Any]:
        """Counts and examples as plain JSON values."""
        return {"count": self.count, "unfinished_runs": self.unfinished_runs, "examples": list(self.examples)}
