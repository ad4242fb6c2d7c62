"""Pausing DAGs and putting them back as they were: through the REST API, or through Airflow's functions in a context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from xcomctl.assess.fleet import Fleet
from xcomctl.clients.airflow_api import AirflowApi
from xcomctl.model import requests
from xcomctl.model.pauses import PausesAnswer, PausesQuery


class PauseWay(Protocol):
    """A way to see and to set which DAGs are paused. Each method raises :class:`~xcomctl.errors.UserError`."""

    def states(self) -> dict[str, bool]:
        """Whether each active DAG is paused, by id."""

    def set(self, dag_ids: Iterable[str], paused: bool) -> tuple[str, ...]:
        """Make these DAGs that; those that are not there any more."""


class ApiPauses:
    """Through the REST API, as whoever is logged in there."""

    def __init__(self, api: AirflowApi) -> None:
        self._api = api

    def states(self) -> dict[str, bool]:
        """See :class:`PauseWay`."""
        return self._api.pauses()

    def set(self, dag_ids: Iterable[str], paused: bool) -> tuple[str, ...]:
        """See :class:`PauseWay`."""
        return tuple(dag_id for dag_id in dag_ids if not self._api.set_paused(dag_id, paused))


class AgentPauses:
    """Through an agent in the first context that has the metadata database."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def states(self) -> dict[str, bool]:
        """See :class:`PauseWay`."""
        return dict(self._ask(PausesQuery()).states)

    def set(self, dag_ids: Iterable[str], paused: bool) -> tuple[str, ...]:
        """See :class:`PauseWay`."""
        return self._ask(PausesQuery(tuple(dag_ids), paused)).missing

    def backfills(self) -> tuple[str, ...]:
        """The DAGs of which a 2.x backfill is under way, which ignores that they are paused."""
        return self._ask(PausesQuery()).backfills

    def _ask(self, query: PausesQuery) -> PausesAnswer:
        return self._fleet.with_database(
            lambda session: PausesAnswer.from_json(session.request(requests.PAUSES, query.to_json()))
        )


@dataclass(frozen=True)
class Restored:
    """How DAGs were put back.

    ``unpaused`` were unpaused now. ``unpaused_before`` somebody else had unpaused meanwhile, ``gone`` have lost their file.
    ``unpaused_by_others`` were paused at the beginning and are not any more: that is somebody's wish, and stays.
    """

    unpaused: tuple[str, ...] = ()
    unpaused_before: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    unpaused_by_others: tuple[str, ...] = ()


def to_restore(
    paused_by_us: Iterable[str],
    paused_at_first: Iterable[str],
    now: Mapping[str, bool],
    unpaused_by_us: Iterable[str] = (),
) -> Restored:
    """What has to be unpaused so that DAGs are as they were, and what somebody else did to them meanwhile. Pure.

    ``unpaused_by_us`` are those that an earlier call, which was killed, may have unpaused already.
    """
    ours, done = sorted(set(paused_by_us)), set(unpaused_by_us)
    return Restored(
        unpaused=tuple(name for name in ours if now.get(name) is True),
        unpaused_before=tuple(name for name in ours if now.get(name) is False and name not in done),
        gone=tuple(name for name in ours if name not in now),
        unpaused_by_others=tuple(sorted(name for name in set(paused_at_first) if now.get(name) is False)),
    )
