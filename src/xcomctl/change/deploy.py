"""From a carrier that was edited to contexts that resolve it: the person's own deploy, and a look at every context."""

from __future__ import annotations

import datetime
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xcomctl.assess.fleet import Context, Fleet
from xcomctl.change.agents import Agents
from xcomctl.deployment.agent_errors import AgentError
from xcomctl.deployment.kubectl import Forbidden
from xcomctl.deployment.rollouts import UNSEEN, rollouts
from xcomctl.errors import UserError
from xcomctl.model import requests
from xcomctl.model.barrier import HostingProcess
from xcomctl.model.barrier_evidence import BarrierAnswer, BarrierQuery
from xcomctl.model.journal_entry import parse_time
from xcomctl.model.phases import Phase
from xcomctl.model.redaction import redact
from xcomctl.model.requests import Resolution
from xcomctl.model.verdicts import Verdict

#: Seconds between two looks: each starts an agent in every context, which imports Airflow.
_POLL_S = 2.0


@dataclass(frozen=True)
class Confirmed:
    """One context, or (``is_context`` false) a workload whose rollout is not over. ``phase`` is what a process that starts
    there now resolves, ``None`` if there was no answer.

    ``problem`` is why the change has not arrived there, empty once it has. ``processes`` counts those that start or host
    tasks there.
    """

    context: str
    phase: str | None
    problem: str = ""
    processes: int = 0
    is_context: bool = True


class DeployFailed(UserError):
    """The deploy command did not end well; the carrier stays edited."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Verdict.FAILED)


def run(command: str) -> None:
    """Run the person's own deploy, its words taken apart as a shell does; what it prints goes to standard error.

    Raises :class:`DeployFailed`.
    """
    words = shlex.split(command)
    stdin = None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL
    sys.stderr.flush()
    try:
        status = subprocess.run(words, stdin=stdin, stdout=sys.stderr.fileno(), check=False).returncode
    except OSError as error:
        raise DeployFailed(
            f"the deploy cannot be started: {words[0]}: {error.strerror}", "--deploy 'COMMAND'"
        ) from None
    if status != 0:
        ended = f"exit status {status}" if status > 0 else f"signal {-status}"
        raise DeployFailed(
            f"the deploy failed ({ended}): {redact(command)}", "mend it, and call again: what is done stays done"
        )


def look(fleet: Fleet, target: Phase, since: datetime.datetime) -> list[Confirmed]:
    """Whether each context has the change, by what starts there next and by what runs there now (F41).

    ``since`` is when the carrier was edited: a process that hides what it started with has the change if it started later.
    """

    def one(context: Context) -> Confirmed:
        try:
            resolution = Resolution.from_json(context.session.request(requests.RESOLVE))
            query = BarrierQuery(database=False).to_json()
            seen = BarrierAnswer.from_json(context.session.request(requests.BARRIER, query))
        except AgentError as error:
            return Confirmed(context.name, None, redact(error.message))
        problem = _problem(resolution, seen.processes, target, since)
        return Confirmed(context.name, resolution.phase, problem, len(seen.processes))

    found = fleet.each(one)
    # The newest pod stands for its component: an old one beside it has not come to its end yet.
    under_way = rollouts([context.reach for context in fleet.contexts])
    return [*found, *(Confirmed(name, None, problem, is_context=False) for name, problem in under_way)]


def _problem(
    resolution: Resolution, processes: Sequence[HostingProcess], target: Phase, since: datetime.datetime
) -> str:
    if resolution.phase != target.value:
        return f"resolves {resolution.phase}: {resolution.reason}"
    if resolution.class_path is None:
        return f"XCom does not import: {redact(resolution.class_error or '')}"
    old = [each for each in processes if each.phase not in (None, target.value)]
    if old:
        return f"{old[0].describe()} still runs as {old[0].phase}: restart it"
    hidden = [
        each for each in processes if each.phase is None and (each.started is None or parse_time(each.started) < since)
    ]
    if hidden:
        return f"{hidden[0].describe()} started before the change and hides with what: restart it"
    return ""


def wait(
    agents: Agents, target: Phase, since: datetime.datetime, timeout_s: float, waiting: Callable[[str], None]
) -> list[Confirmed]:
    """Look again and again until every context has the change, or the time is over; what was seen last.

    Contexts that cannot be found for a moment, as amid a rollout, are looked for again. What RBAC hides does not show by
    waiting. Raises what finding them raises, at the end of the time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        is_late = time.monotonic() >= deadline
        try:
            seen = look(agents.anew(), target, since)
        except Forbidden:
            raise
        except UserError as error:
            if is_late:
                raise
            seen = [Confirmed("what there is", None, f"cannot be found: {redact(error.message)}")]
        missing = [each for each in seen if each.problem]
        if is_late or all(not each.is_context and each.problem.startswith(UNSEEN) for each in missing):
            return seen
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        waiting(f"{missing[0].context}, which {missing[0].problem}{more}")
        time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))
