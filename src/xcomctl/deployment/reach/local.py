"""The context is an environment on this machine: the path of its Python, and the environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from xcomctl.deployment.agent_errors import AgentError, NoPython


@dataclass(frozen=True)
class LocalReach:
    """A Python on this machine.

    ``env``, if given, *replaces* the environment: nothing of the desk's leaks in. ``cwd`` is the working directory.
    """

    python: Path
    env: Mapping[str, str] | None = None
    label: str = ""
    cwd: Path | None = None

    @property
    def name(self) -> str:
        """The label, or the interpreter's path."""
        return self.label or str(self.python)

    @property
    def environment(self) -> Mapping[str, str] | None:
        """The environment that replaces the desk's."""
        return self.env

    @property
    def working_directory(self) -> Path | None:
        """Where the interpreter is started; ``None`` for the desk's own working directory."""
        return self.cwd

    def argv(self, program: Sequence[str]) -> list[str]:
        """The interpreter and its arguments."""
        return [str(self.python), *program]

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The same environment with these on top."""
        return replace(self, env={**(os.environ if self.env is None else self.env), **variables})

    def describe_missing(self) -> tuple[str, str]:
        """The interpreter is not there or is not executable."""
        return (
            f"there is no Python to run at {self.python}",
            "give the path of the Python that has Airflow: --python PATH",
        )

    def explain_end(self, status: int, lines: Sequence[str], *, began: bool) -> AgentError | None:
        """A local Python that starts at all is there; only a shell wrapper may say otherwise."""
        return NoPython(*self.describe_missing()) if status in (126, 127) and not began else None
