"""The agents of a change: kept as long as settings stay, started anew where they may have changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from xcomctl.assess.fleet import Fleet
from xcomctl.deployment.reach.interface import Reach

#: No variables but those that a context has.
AS_IT_IS: Mapping[str, str] = {}


class Agents:
    """One fleet at a time. A context manager: at its end every agent is ended.

    An agent knows the settings that its context had when it was started; what a deploy changed only a new one sees.
    ``find`` tells the way into every context there is, each time anew: a deploy may replace contexts as well.
    """

    def __init__(self, find: Callable[[], Sequence[Reach]], log: Callable[[str, str], None]) -> None:
        self._find, self._log = find, log
        self._fleet: Fleet | None = None
        self._variables = AS_IT_IS
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.__exit__(kind, error, trace)

    def fleet(self, variables: Mapping[str, str] | None = None) -> Fleet:
        """The fleet that is there, or a new one; ``variables``, on top of what each context has, ask for their own."""
        wanted = self._variables if variables is None else variables
        if self._fleet is None or wanted != self._variables:
            return self.anew(wanted)
        return self._fleet

    def anew(self, variables: Mapping[str, str] = AS_IT_IS) -> Fleet:
        """A fleet whose agents have not been started yet. Raises what ``find`` raises."""
        self._closing.close()
        self._variables = variables
        reaches = [reach.with_variables(variables) if variables else reach for reach in self._find()]
        self._fleet = self._closing.enter_context(Fleet(reaches, self._log))
        return self._fleet
