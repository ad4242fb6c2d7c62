"""The task as a context of a pre-flight: what is shown of the way there, and that Ctrl-C does not wait for it."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xcomctl.assess import in_task, task_context
from xcomctl.assess.in_task import Progressed
from xcomctl.assess.preflight import Ask
from xcomctl.assess.task_context import through_api, through_context
from xcomctl.deployment.deployments import ApiEntry
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.errors import UserError
from xcomctl.model.preflight import PreflightOptions

#: What a run may take to end once it is to stop: its agent's end included, a request's time limit not.
SOON_S = 10.0
SECRET = "hunter2-token"


@pytest.fixture
def silent() -> Iterator[str]:
    """Where somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_TOKEN", "t")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def entry(url: str, token_env: str | None = "THE_TOKEN") -> ApiEntry:
    return ApiEntry(url, token_env=token_env)


def stopped_after(ask: Ask, stop: threading.Event, when: Callable[[], bool]) -> float:
    """Seconds between stop and end."""
    ended: list[float] = []

    def run() -> None:
        with pytest.raises(KeyboardInterrupt):
            ask(lambda text: None)
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + SOON_S
    while not when() and time.monotonic() < deadline:
        time.sleep(0.02)
    before = time.monotonic()
    stop.set()
    thread.join(3 * SOON_S)
    assert ended
    return ended[0] - before


def test_a_request_that_is_not_answered_does_not_hold_up_the_end(silent: str) -> None:
    stop = threading.Event()
    ask = through_api(entry(f"http://{silent}"), PreflightOptions(), 300.0, stop)
    since = time.monotonic()
    assert stopped_after(ask, stop, lambda: time.monotonic() - since > 0.3) < 2.0


def test_ctrl_c_itself_ends_it_where_nobody_sets_the_event(silent: str) -> None:
    """As in a main thread that asks the task alone."""
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    before = time.monotonic()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        through_api(entry(f"http://{silent}"), PreflightOptions(), 300.0)(lambda text: None)
    assert time.monotonic() - before < 3.0


def test_an_agent_that_waits_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits in: the agent here is busy with what no safe point interrupts."""
    pids: list[int] = []

    class Stuck:
        def __init__(self, session: object, timeout_s: float) -> None:
            self.session = session

        def trigger(self, run_id: str, conf: object) -> str:
            pids.append(self.session.pid)
            os.kill(self.session.pid, signal.SIGSTOP)
            self.session.request("preflight_list")
            raise AssertionError("a stopped agent answered")

    monkeypatch.setattr(in_task, "AgentWay", Stuck)
    stop = threading.Event()
    reach = LocalReach(Path(sys.executable), label="here")
    assert stopped_after(through_context(reach, PreflightOptions(), 300.0, stop), stop, lambda: bool(pids)) < SOON_S
    (pid,) = pids
    assert not Path(f"/proc/{pid}").exists()
    assert not [each for each in threading.enumerate() if each.name == "xcomctl-task" and each.is_alive()]


def test_the_wait_for_a_task_ends_with_the_event(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    class Queued:
        def __init__(self, session: object, timeout_s: float) -> None: ...

        def trigger(self, run_id: str, conf: object) -> str:
            return ""

        def progress(self, run_id: str) -> Progressed:
            seen.append(run_id)
            return Progressed("queued", None)

    monkeypatch.setattr(in_task, "AgentWay", Queued)
    monkeypatch.setattr(in_task, "_POLL_S", 60.0)
    stop = threading.Event()
    reach = LocalReach(Path(sys.executable), label="here")
    assert stopped_after(through_context(reach, PreflightOptions(), 300.0, stop), stop, lambda: bool(seen)) < SOON_S
    assert len(seen) == 1


def test_what_goes_wrong_comes_out_of_the_thread() -> None:
    with pytest.raises(LookupError, match="no such thing"):
        task_context._unless_stopped(threading.Event(), _raise, lambda thread: None)


def _raise() -> None:
    raise LookupError("no such thing")


def test_the_url_is_shown_without_its_login(silent: str) -> None:
    said: list[str] = []
    with pytest.raises(UserError, match="no login for the API at") as caught:
        through_api(entry(f"http://{SECRET}@{silent}", token_env=None), PreflightOptions(), 1.0)(said.append)
    assert said == [f"the API at http://{silent}"]
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"
