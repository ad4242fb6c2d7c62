"""Pre-flights of a context that a test breaks: an agent there, any number of requests, outcomes by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.support.walk import THRESHOLD, Walk
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.phases import Phase
from xcomctl.model.preflight import PreflightAnswer, PreflightOptions
from xcomctl.model.settings import settings_for
from xcomctl.model.verdicts import Check


@dataclass(frozen=True)
class Asked:
    """What one pre-flight found: the checks by their ids, and what the context is."""

    checks: Mapping[str, Check]
    answer: PreflightAnswer

    def __getitem__(self, check_id: str) -> Check:
        assert check_id in self.checks, f"{check_id} did not run; there are {', '.join(self.checks)}"
        return self.checks[check_id]


@dataclass(frozen=True)
class Context:
    """A context with an agent in it."""

    session: AgentSession

    def preflight(self, **options: Any) -> Asked:
        """Ask; ``options`` are the fields of :class:`PreflightOptions`."""
        stream = self.session.stream(requests.PREFLIGHT, PreflightOptions(**options).to_json())
        checks = [Check.from_json(record) for record in stream]
        assert stream.answer is not None
        assert len({check.id for check in checks}) == len(checks)
        return Asked({check.id: check for check in checks}, PreflightAnswer.from_json(stream.answer))


@contextmanager
def context(walk: Walk, variables: Mapping[str, str] | None = None, *, warm: bool = False) -> Iterator[Context]:
    """A context of the sandbox's Airflow with none of the four settings but what ``variables`` set.

    In a ``warm`` one Airflow is loaded already.
    """
    environment = {**walk.env, **(variables or {})}
    with AgentSession(walk.warm.reach(environment) if warm else walk.reach(environment)) as session:
        yield Context(session)


def offload(walk: Walk, **changed: str) -> dict[str, str]:
    """The four settings of a working offload in the sandbox, by variable."""
    return {**settings_for(Phase.OFFLOAD, walk.base_path, THRESHOLD), **changed}
