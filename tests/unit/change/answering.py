"""A fleet whose agents answer what they are told, request by request: the near end is real, the far end is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from tests.unit.change import samples
from xcomctl.assess.fleet import Fleet
from xcomctl.model import requests
from xcomctl.model.barrier_evidence import BarrierAnswer, InFlightAnswer, Job
from xcomctl.model.refs import AtRiskAnswer, RefTotals
from xcomctl.model.rehydrate import RehydrateAnswer
from xcomctl.model.requests import Record
from xcomctl.model.retrigger import SuspectsAnswer

BASE = samples.PATH
NOON = "2026-06-06T12:00:00.000000Z"

#: What becomes of a request: its answer with the items before it, or what is raised.
Reply = Record | tuple[Record, ...] | BaseException
Progress = Callable[[Mapping[str, Any]], None]


class Stream(Iterator[Any]):
    """Items, and the answer behind them."""

    def __init__(self, reply: Reply, progress: Progress | None) -> None:
        self._raises = reply if isinstance(reply, BaseException) else None
        replies = () if isinstance(reply, BaseException) else reply if isinstance(reply, tuple) else (reply,)
        self._items = [each.to_json() for each in replies[:-1]]
        self._answer = replies[-1].to_json() if replies else {}
        self._progress = progress

    def __next__(self) -> Any:
        if self._items:
            return self._items.pop(0)
        if self._raises is not None:
            if self._progress is not None:
                self._progress({"message": "", "done": 25})
            raise self._raises
        raise StopIteration

    def result(self) -> Any:
        return self._answer


class Answering:
    """Contexts by their names, each with what it resolves. ``asked`` is every request, in order.

    ``replies`` are by request; a list is one reply after the other, and its last for good.
    """

    def __init__(self, contexts: Mapping[str, Mapping[str, Any]], **replies: Reply | list[Reply]) -> None:
        self.contexts = [_Context(self, name, values) for name, values in contexts.items()]
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.replies: dict[str, Reply | list[Reply]] = {
            requests.REFERENCE_OBJECTS: RefTotals(BASE, references=3, reference_bytes=300),
            requests.AT_RISK: AtRiskAnswer(BASE, 0, 0, 0, 0),
            requests.SUSPECTS: SuspectsAnswer(BASE, ()),
            requests.REHYDRATE: RehydrateAnswer(BASE, True, 3, 3, 300),
            **replies,
        }

    @property
    def fleet(self) -> Fleet:
        return cast(Fleet, self)

    def each(self, ask: Callable[[Any], Any]) -> list[Any]:
        return [ask(context) for context in self.contexts]

    def with_database(self, ask: Callable[[Any], Any], *, heavy: bool = False) -> Any:
        return ask(self.contexts[0])

    def of(self, request: str) -> list[Mapping[str, Any]]:
        return [params for name, params in self.asked if name == request]

    def reply(self, request: str) -> Reply:
        found = self.replies[request]
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


class _Context:
    def __init__(self, fleet: Answering, name: str, values: Mapping[str, Any]) -> None:
        self._fleet, self.name = fleet, name
        self._answer = samples.answer(**values)

    @property
    def session(self) -> _Context:
        return self

    @property
    def reach(self) -> _Context:
        return self

    def request(self, request: str, params: Mapping[str, Any], progress: Progress | None = None) -> Any:
        self._fleet.asked.append((request, params))
        if request == requests.STATUS:
            return self._answer.to_json()
        if request == requests.BARRIER and (not params["database"] or request not in self._fleet.replies):
            found, known = self._answer.resolution, self._fleet.replies.get(request)
            processes = known.processes if isinstance(known, BarrierAnswer) else ()
            return BarrierAnswer(self._answer.airflow, "host", found.phase, found.reason, processes).to_json()
        reply = self._fleet.reply(request)
        if isinstance(reply, BaseException):
            raise reply
        return (reply[-1] if isinstance(reply, tuple) else reply).to_json()

    def stream(self, request: str, params: Mapping[str, Any], progress: Progress | None = None) -> Stream:
        self._fleet.asked.append((request, params))
        return Stream(self._fleet.reply(request), progress)


def stopped(ended: str = NOON) -> BarrierAnswer:
    """Nothing is up, and the last scheduler ended then."""
    job = Job("scheduler", "host", "2026-06-06T11:00:00Z", ended, ended)
    return BarrierAnswer(
        "3.3.2", "host", "dual-read", "", in_flight=InFlightAnswer("2026-06-06T13:00:00Z", 60.0, jobs=(job,))
    )
