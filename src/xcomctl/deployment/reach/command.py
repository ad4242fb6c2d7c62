"""The context is behind a command: ``docker compose exec -T scheduler``, ``ssh host``, ``nerdctl exec -i NAME``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Self

from xcomctl.deployment.agent_errors import AgentError, NoPython

#: Commands that hand their arguments, joined by spaces, to a shell on the other side.
REMOTE_SHELLS = ("ssh", "autossh", "mosh", "slogin")


@dataclass(frozen=True)
class CommandReach:
    """A command prefix that runs what follows it inside the context, with our standard input and output.

    ``through_shell`` tells whether the other side parses the words again, as ssh does; ``None`` decides by the name of
    the command. A prefix whose other side is a shell in disguise (``sh -c``-like wrappers) needs ``True``. ``variables``
    are set over there by ``env``.
    """

    prefix: tuple[str, ...]
    python: str = "python"
    label: str = ""
    env: Mapping[str, str] | None = None
    through_shell: bool | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, prefix: str, *, python: str = "python", label: str = "") -> CommandReach:
        """From one string, as ``--via`` takes it. Raises ``ValueError`` for an empty or unbalanced one."""
        words = tuple(shlex.split(prefix))
        if not words:
            raise ValueError("the command prefix is empty")
        return cls(words, python=python, label=label)

    @property
    def name(self) -> str:
        """The label, or the prefix itself."""
        return self.label or shlex.join(self.prefix)

    @property
    def environment(self) -> Mapping[str, str] | None:
        """The environment of the prefix command on this machine, not of the context."""
        return self.env

    @property
    def working_directory(self) -> Path | None:
        """The prefix command starts where the desk runs, as in the person's own shell."""
        return None

    def argv(self, program: Sequence[str]) -> list[str]:
        """The prefix, then the Python of the context with its arguments."""
        setting = ["env", *(f"{name}={value}" for name, value in self.variables.items())] if self.variables else []
        words = [*setting, self.python, *program]
        if self._shell_behind():
            return [*self.prefix, shlex.join(words)]
        return [*self.prefix, *words]

    def with_variables(self, variables: Mapping[str, str]) -> Self:
        """The same prefix with these on top."""
        return replace(self, variables={**self.variables, **variables})

    def describe_missing(self) -> tuple[str, str]:
        """The prefix's own command is not on this machine."""
        return f"the command {self.prefix[0]!r} cannot be started here", "install it, or correct the prefix (--via)"

    def explain_end(self, status: int, lines: Sequence[str], *, began: bool) -> AgentError | None:
        """126 and 127 are what shells and container runtimes end with when the command is not there."""
        said = "\n".join(lines)
        if not began and (status in (126, 127) or f'exec: "{self.python}"' in said):
            return NoPython(
                f"{self.name}: there is no {self.python!r} in this context",
                "name the interpreter that runs Airflow there, for example python3 or /usr/local/bin/python",
            )
        return None

    def _shell_behind(self) -> bool:
        if self.through_shell is not None:
            return self.through_shell
        return PurePath(self.prefix[0]).name in REMOTE_SHELLS
