"""The contexts that a command is about: asked all at once, or the first one that has what is asked for."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from xcomctl.deployment.agent_errors import AgentError, NoAirflow, NoStepPod, RequestFailed
from xcomctl.deployment.agent_session import ABANDON_GRACE_S, CLOSE_GRACE_S, AgentSession
from xcomctl.deployment.reach.interface import Reach
from xcomctl.errors import UserError
from xcomctl.model import requests
from xcomctl.model.redaction import redact

#: Contexts that are asked at the same time.
_AT_ONCE = 8

_T = TypeVar("_T")


def apart(names: Sequence[str]) -> list[str]:
    """The names, told apart by a number where two are the same (as they may be without their secrets)."""
    return [
        f"{name} ({names[: index + 1].count(name)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def all_at_once(jobs: Sequence[Callable[[], _T]], give_up: Callable[[], None]) -> list[_T]:
    """What each job gives, in their order. When one raises, or on Ctrl-C, ``give_up`` has the others come to an end."""
    if len(jobs) == 1:
        return [jobs[0]()]
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="xcomctl-context") as pool:
        futures = [pool.submit(job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            give_up()
            raise


def told(waiting: Callable[[str], None]) -> Callable[[Mapping[str, Any]], None]:
    """What to do with an agent's signs of life: say them as what is waited for."""

    def tell(message: Mapping[str, Any]) -> None:
        done = message.get("done")
        if message.get("message"):
            waiting(str(message["message"]) if done is None else f"{message['message']}: {done:,} so far")

    return tell


class Context:
    """One context by its name, and the agent in it, which is started when it is first asked."""

    def __init__(self, name: str, reach: Reach, log: Callable[[str], None] | None) -> None:
        self.name, self.reach = name, reach
        self._session = AgentSession(reach, log=log)
        self._started = False
        self._failure: AgentError | None = None

    @property
    def session(self) -> AgentSession:
        """The agent's session. Raises :class:`AgentError` where none can be started: the same one each time."""
        if self._failure is not None:
            raise self._failure
        if not self._started:
            try:
                self._session.start()
            except AgentError as error:
                self._failure = error
                raise
            self._started = True
        return self._session

    def abandon(self) -> None:
        """Have whoever waits for this context, in another thread, stop waiting."""
        self._session.abandon()

    def close(self, grace: float) -> None:
        """End the agent."""
        self._session.close(grace)


class Fleet:
    """All contexts of a command. A context manager: at its end every agent is ended.

    ``log`` gets what the contexts log: the context's name and a line. There is at least one reach.
    """

    def __init__(self, reaches: Sequence[Reach], log: Callable[[str, str], None]) -> None:
        names = apart([redact(reach.name) for reach in reaches])
        self._log = log
        self.contexts = [
            Context(name, reach, functools.partial(log, name)) for name, reach in zip(names, reaches, strict=True)
        ]
        #: Where heavy work for a context is done, once there was some; and what has to be ended then.
        self._heavy: dict[str, Context] = {}
        self._beside = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.ExitStack() as closing:
            closing.enter_context(self._beside)
            for context in dict.fromkeys((*self.contexts, *self._heavy.values())):
                closing.callback(context.close, CLOSE_GRACE_S if kind is None else ABANDON_GRACE_S)

    def each(self, ask: Callable[[Context], _T]) -> list[_T]:
        """What ``ask`` makes of every context, all at once, in their order. It handles :class:`AgentError` itself."""
        return all_at_once([functools.partial(ask, context) for context in self.contexts], self._give_up)

    def with_database(self, ask: Callable[[AgentSession], _T], *, heavy: bool = False) -> _T:
        """What ``ask`` makes of the first context that has the metadata database and answers.

        What is ``heavy`` is done beside a context that is a pod, in one of its own (F43); without that it is not done, and
        :class:`NoStepPod` is raised. The next one is asked where one has none (3.x workers), has no Airflow, or no agent
        can be started. Raises the first context's :class:`AgentError` when none is left.
        """
        first: UserError | None = None
        for context in self.contexts:
            there = context
            if heavy:
                try:
                    there = self._for_heavy_work(context)
                except AgentError as error:
                    raise NoStepPod(error.message, error.hint) from error
            try:
                session = there.session
            except AgentError as error:
                first = first or error
                continue
            try:
                return ask(session)
            except NoAirflow as error:
                first = first or error
            except RequestFailed as error:
                if error.reason != requests.NO_DATABASE:
                    raise
                first = first or error
        assert first is not None
        raise first

    def _for_heavy_work(self, context: Context) -> Context:
        from xcomctl.deployment.step_pod import beside

        if context.name not in self._heavy:
            reach = self._beside.enter_context(beside(context.reach))
            there = (
                context
                if reach is context.reach
                else Context(reach.name, reach, functools.partial(self._log, reach.name))
            )
            self._heavy[context.name] = there
        return self._heavy[context.name]

    def _give_up(self) -> None:
        for context in self.contexts:
            context.abandon()
