"""A run's XComs at the desk: asked of the first context that can answer, and what the whole amounts to."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from xcomctl.assess.fleet import Fleet
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import pull as words
from xcomctl.model import requests, way_out
from xcomctl.model.phases import Phase
from xcomctl.model.pull import OBJECT, UNMEASURED, PulledAnswer, PulledItem, PullQuery
from xcomctl.model.verdicts import Verdict


@dataclass
class Tally:
    """What was pulled so far. ``problems`` counts by their words."""

    inline: int = 0
    objects: int = 0
    object_bytes: int = 0
    aliases: int = 0
    problems: Counter[str] = field(default_factory=Counter)

    def add(self, item: PulledItem) -> None:
        """One more."""
        self.aliases += item.alias
        if item.problem:
            self.problems[item.problem] += 1
        elif item.place == OBJECT:
            self.objects += 1
            self.object_bytes += item.object_bytes or 0
        else:
            self.inline += 1

    @property
    def verdict(self) -> Verdict:
        """A value that a task would not get fails; what could not be read is inconclusive."""
        if any(problem not in UNMEASURED for problem in self.problems):
            return Verdict.FAILED
        return Verdict.INCONCLUSIVE if self.problems else Verdict.OK


def verdict(tally: Tally, answer: PulledAnswer) -> Verdict:
    """What the whole comes to: warnings where every value is there, and something about the way to it is not as it should be."""
    if tally.verdict is Verdict.OK and (tally.aliases or answer.warnings):
        return Verdict.WARNINGS
    return tally.verdict


def next_steps(tally: Tally, answer: PulledAnswer, query: PullQuery, contexts: str) -> Iterator[str]:
    """What to do about the problems; ``contexts`` are the options that name the contexts."""
    of_run = f"-d {shlex.quote(query.dag_id)} -r {shlex.quote(query.run_id)}{contexts}"
    if words.PATH_HANDED_OVER in tally.problems and answer.phase not in (Phase.DUAL_READ.value, Phase.OFFLOAD.value):
        settings = " and ".join(way_out.settings_lines(answer.phase, answer.base_path or None))
        yield f"to read what the objects hold, set {settings} in the environment of this command's context"
    if words.DANGLING in tally.problems:
        yield f"xcomctl refs --dangling {of_run}"
        yield "then clear the tasks that pushed what is missing, with everything downstream"
    if words.FOREIGN in tally.problems:
        yield "put back the base path that those values were written under: no context resolves them under another one"
    if words.UNREACHABLE in tally.problems:
        yield f"xcomctl preflight --only connection,store{contexts}"
    if words.UNREADABLE in tally.problems:
        yield f"xcomctl probe{contexts}"


def pull(
    fleet: Fleet,
    query: PullQuery,
    more: Mapping[str, Any],
    each: Callable[[PulledItem], None],
    waiting: Callable[[str], None],
) -> PulledAnswer:
    """Ask for the run's XComs; ``each`` gets every one as it comes. ``more`` are further parameters.

    Raises :class:`~xcomctl.deployment.agent_errors.AgentError`.
    """

    def tell(message: Mapping[str, Any]) -> None:
        if message.get("message"):
            done, total = message.get("done"), message.get("total")
            waiting(str(message["message"]) if total is None else f"{done:,} of {total:,} XComs")

    def ask(session: AgentSession) -> PulledAnswer:
        stream = session.stream(requests.PULL, {**query.to_json(), **more}, tell)
        for record in stream:
            each(PulledItem.from_json(record))
        return PulledAnswer.from_json(stream.result())

    return fleet.with_database(ask)
