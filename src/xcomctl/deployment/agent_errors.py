"""What can go wrong with an agent, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xcomctl.errors import UserError
from xcomctl.model import requests
from xcomctl.model.verdicts import Verdict


class AgentError(UserError):
    """Something about an agent went wrong; ``message`` is one sentence, ``hint`` what mends it."""


class ReachFailed(AgentError):
    """The command that should lead into the context cannot be started on this machine."""


class NoStepPod(AgentError):
    """There is no pod for work that must not be done in a component's own (F43)."""


class NoPython(AgentError):
    """There is no Python at the far side."""


class PythonTooOld(AgentError):
    """The far side's Python is older than 3.9."""


class NoAirflow(AgentError):
    """The far side's Python has no Airflow, or one that does not import."""


class AirflowTooOld(AgentError):
    """The far side's Airflow is older than 2.9."""


class AgentDied(AgentError):
    """The far side ended amid the work. ``log`` holds its last log lines, redacted."""

    def __init__(self, message: str, hint: str = "", *, status: int | None, log: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint, log=log)
        self.status = status


class AgentTimeout(AgentError):
    """The far side did not answer in time; it has been ended. ``log`` holds its last log lines, redacted."""


class RequestFailed(AgentError):
    """The agent answered that it cannot. ``reason`` is one of :mod:`xcomctl.model.requests`'s.

    ``remote_traceback`` is set, and redacted, when the failure was unexpected. What is refused there is refused here.
    """

    def __init__(self, message: str, hint: str = "", *, reason: str, remote_traceback: str | None = None) -> None:
        super().__init__(message, hint, Verdict.REFUSED if reason == requests.REFUSED else Verdict.INCONCLUSIVE)
        self.reason = reason
        self.remote_traceback = remote_traceback


def error_of(message: Mapping[str, Any]) -> AgentError:
    """The error that an error frame stands for."""
    text, hint, reason = message["message"], message.get("hint", ""), message.get("reason", requests.UNEXPECTED)
    if reason == requests.NO_AIRFLOW:
        return NoAirflow(text, hint)
    if reason == requests.AIRFLOW_TOO_OLD:
        return AirflowTooOld(text, hint)
    return RequestFailed(text, hint, reason=reason, remote_traceback=message.get("traceback"))
