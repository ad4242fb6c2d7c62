"""A task as one more context of a pre-flight: which way leads to it, and which of the checks are for it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace

from xcomctl.assess import in_task
from xcomctl.assess.api_login import connect
from xcomctl.assess.preflight import Ask, UsageError
from xcomctl.clients.airflow_api import without_login
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.deployments import ApiEntry
from xcomctl.deployment.reach.interface import Reach
from xcomctl.model.preflight import IN_TASK, CatalogueEntry, ContextReport, PreflightOptions, category_of

#: How soon it is noticed that the run is to stop, and what an agent may take to end, and once more.
_LOOK_EVERY_S = 0.1
_END_GRACE_S = 2.5


def through_api(
    entry: ApiEntry, options: PreflightOptions, timeout_s: float, stop: threading.Event | None = None
) -> Ask:
    """Triggered and read through the REST API, with credentials from the environment.

    Once ``stop`` is set, what was asked is left alone: raises :class:`KeyboardInterrupt`.
    """
    url = without_login(entry.url)
    stopping = stop or threading.Event()

    def ask(waiting: Callable[[str], None]) -> ContextReport:
        waiting(f"the API at {url}")

        def work() -> ContextReport:
            with connect(entry) as api:
                way = in_task.RestWay(api)
                return in_task.run_in_task(way, options, timeout_s=timeout_s, progress=waiting, stop=stopping)

        # A request is left to its own time limit: nothing here depends on how it ends.
        return _unless_stopped(stopping, work, lambda thread: None)

    return ask


def through_context(
    reach: Reach, options: PreflightOptions, timeout_s: float, stop: threading.Event | None = None
) -> Ask:
    """Triggered and read by an agent in a context that has the metadata database.

    Once ``stop`` is set, the agent is ended: raises :class:`KeyboardInterrupt`.
    """
    stopping = stop or threading.Event()

    def ask(waiting: Callable[[str], None]) -> ContextReport:
        waiting(f"the agent in {reach.name}")
        session = AgentSession(reach)

        def work() -> ContextReport:
            with session:
                way = in_task.AgentWay(session, timeout_s)
                return in_task.run_in_task(way, options, timeout_s=timeout_s, progress=waiting, stop=stopping)

        def end(thread: threading.Thread) -> None:
            # Whoever waits for the agent then stops waiting, and closes the session.
            for number in (signal.SIGTERM, signal.SIGKILL):
                if session.pid is not None and thread.is_alive():
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(session.pid, number)
                thread.join(_END_GRACE_S)

        return _unless_stopped(stopping, work, end)

    return ask


def _unless_stopped(
    stop: threading.Event, work: Callable[[], ContextReport], end: Callable[[threading.Thread], None]
) -> ContextReport:
    """What ``work`` gives, from a thread of its own: what it waits in need not know of ``stop``.

    Once that is set, or on Ctrl-C: ``end`` gets the thread, then raises :class:`KeyboardInterrupt`.
    """
    outcome: Future[ContextReport] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, name="xcomctl-task", daemon=True)
    thread.start()
    try:
        while not wait([outcome], timeout=_LOOK_EVERY_S).done:
            if stop.is_set():
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        stop.set()
        end(thread)
        raise
    return outcome.result()


def split(
    options: PreflightOptions, entries: Sequence[CatalogueEntry]
) -> tuple[PreflightOptions | None, PreflightOptions]:
    """What to ask of the contexts that agents reach (``None`` for nothing), and what of the task.

    A name in ``--only`` that can run on one side alone is asked for there alone. Raises :class:`UsageError` when
    nothing is left for the task.
    """
    if not options.only:
        return options, options
    alone = {entry.id for entry in entries if entry.asked_by == IN_TASK}
    nowhere_else = {entry.id for entry in entries if not entry.in_task}
    outside = tuple(name for name in options.only if name not in alone)
    inside = tuple(
        name for name in options.only if name not in nowhere_else and not _all_in(name, entries, nowhere_else)
    )
    if not inside:
        raise UsageError(f"none of {', '.join(options.only)} runs in a task", "leave out --in-task")
    return (replace(options, only=outside) if outside else None), replace(options, only=inside)


def _all_in(name: str, entries: Sequence[CatalogueEntry], ids: set[str]) -> bool:
    """Whether the name is a category of which every check is among those ids."""
    category = category_of(name)
    return category is not None and all(entry.id in ids for entry in entries if entry.category == category)
