"""The ways to clear task instances: an agent in a context, or Airflow's REST API."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Protocol

from xcomctl.clients.airflow_api import AirflowApi, ApiError, ApiSparesNothing
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.model import requests
from xcomctl.model.retrigger import SuspectRun
from xcomctl.model.retriggered import Cleared
from xcomctl.model.suspects import instance_name

#: The HTTP status with which the API spares what runs.
_CONFLICT = 409


class Way(Protocol):
    """A way to clear what has to run again in a run, whatever its state; a finished run is scheduled again."""

    @property
    def name(self) -> str:
        """What it is called in the journal, and for a person."""

    def clear(self, run: SuspectRun, kill: Collection[str]) -> Cleared:
        """Clear what has to run again, all of it or, where something runs that may not be killed, nothing.

        ``kill`` are tasks (``DAG.TASK``) that may be. Raises :class:`~xcomctl.errors.UserError`.
        """


class AgentWay:
    """In a context that has the metadata database, by Airflow's own function: one transaction for a run."""

    name = "a context"

    def __init__(self, session: AgentSession) -> None:
        self._session = session

    def clear(self, run: SuspectRun, kill: Collection[str]) -> Cleared:
        """See :class:`Way`."""
        killable = sorted({each.task_id for each in run.to_clear if f"{run.dag_id}.{each.task_id}" in kill})
        answer = requests.ClearAnswer.from_json(
            self._session.request(
                requests.CLEAR,
                {
                    "dag_id": run.dag_id,
                    "run_id": run.run_id,
                    "tasks": [[each.task_id, each.map_index] for each in run.to_clear],
                    "spare_running": True,
                    "kill": killable,
                },
            )
        )
        names = tuple(instance_name(each.task_id, each.map_index) for each in answer.cleared)
        return Cleared(names, answer.run_state, answer.running, answer.warnings)


class ApiWay:
    """Through the REST API. That of Airflow 2 knows no map indexes: every index of a mapped task runs again.

    An API spares either all that runs, or nothing; that of Airflow 2 and an early 3.x spare nothing. So ``otherwise`` is
    the way for a run of which a task may be killed, and, where the API spares nothing, for one in which one may still start.
    """

    name = "the REST API"

    def __init__(self, api: AirflowApi, otherwise: Way) -> None:
        self._api, self._otherwise = api, otherwise

    def clear(self, run: SuspectRun, kill: Collection[str]) -> Cleared:
        """See :class:`Way`."""
        chosen = run.to_clear
        if any(f"{run.dag_id}.{each.task_id}" in kill for each in chosen):
            return self._elsewhere(run, kill, "a task of this run may be killed, and the REST API would spare none")
        tasks = {each.task_id for each in chosen}
        places = {(each.task_id, each.map_index) for each in chosen}
        by_index = self._api.clears_map_indexes
        running = tuple(
            instance_name(each.task_id, each.map_index)
            for each in self._api.task_instances(run.dag_id, run.run_id)
            if each.state in ("running", "restarting")
            and ((each.task_id, each.map_index) in places if by_index else each.task_id in tasks)
        )
        if running:
            return Cleared((), None, running)
        try:
            cleared = self._api.clear(run.dag_id, run.run_id, sorted(places), spare_running=True)
        except ApiSparesNothing as error:
            if not self._api.run(run.dag_id, run.run_id).finished:
                return self._elsewhere(run, kill, error.message)
            cleared = self._api.clear(run.dag_id, run.run_id, sorted(places))  # nothing starts in a run that is over
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
            return Cleared((), None, (error.message,))
        warnings: tuple[str, ...] = ()
        if run.partly and not by_index:
            said = ", ".join(run.partly)
            warnings = (f"API v1 knows no map indexes: every index of {said} runs again",)
        names = tuple(instance_name(task_id, map_index) for task_id, map_index in cleared)
        return Cleared(names, self._api.run(run.dag_id, run.run_id).state, (), warnings)

    def _elsewhere(self, run: SuspectRun, kill: Collection[str], why: str) -> Cleared:
        cleared = self._otherwise.clear(run, kill)
        return replace(cleared, warnings=(f"{why}: through {self._otherwise.name} instead", *cleared.warnings))


#: What a person may ask for: through which of the two.
THROUGH = ("api", "context")


def way_for(
    runs: Iterable[SuspectRun], session: AgentSession, api: AirflowApi | None, through: str | None = None
) -> tuple[Way, str]:
    """The way to clear these runs, and what there is to say of it: the API where one is known, unless it would clear too much.

    ``through`` is one of :data:`THROUGH` where somebody asked for it.
    """
    partly = sorted({f"{run.dag_id}.{task_id}" for run in runs for task_id in run.partly})
    agent = AgentWay(session)
    if api is None or through == "context":
        return agent, ""
    if api.clears_map_indexes or not partly:
        return ApiWay(api, agent), ""
    said = f"API v1 knows no map indexes, and of {', '.join(partly)} only some have to run again"
    if through == "api":
        return ApiWay(api, agent), f"{said}: every index runs again"
    return agent, f"{said}: they are cleared in a context instead"
