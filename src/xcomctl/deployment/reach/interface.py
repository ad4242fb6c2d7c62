"""What every way into a context has to offer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, Self

from xcomctl.deployment.agent_errors import AgentError


class Reach(Protocol):
    """A way to start a Python program inside a context.

    A reach only says *how*: the session starts the process, speaks to it and ends it.
    """

    @property
    def name(self) -> str:
        """The context's name, as reports show it."""
        ...

    @property
    def environment(self) -> Mapping[str, str] | None:
        """What replaces the environment of the process that is started here; ``None`` inherits the desk's."""
        ...

    @property
    def working_directory(self) -> Path | None:
        """Where the process is started on this machine; ``None`` for the desk's own working directory."""
        ...

    def argv(self, program: Sequence[str]) -> list[str]:
        """The local command line that runs ``python`` with these arguments inside the context."""
        ...

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The same way in, with these environment variables for the program over there, on top of what it has."""
        ...

    def describe_missing(self) -> tuple[str, str]:
        """Message and hint for when the first word of :meth:`argv` cannot be started here."""
        ...

    def explain_end(self, status: int, lines: Sequence[str], *, began: bool) -> AgentError | None:
        """What an unexpected end means here, by the exit status and the last log lines; ``None`` if nothing more is known.

        ``began``: an agent had said hello, so it is none of the ways in which a context turns out to have no Python.
        """
        ...
