"""The person's own deploy, and whether a context has the change: by what starts there next, and by what runs there."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from xcomctl.assess.fleet import Fleet
from xcomctl.change import deploy
from xcomctl.change.deploy import DeployFailed, look, run
from xcomctl.deployment.agent_errors import AgentDied
from xcomctl.deployment.kubectl import Forbidden
from xcomctl.errors import UserError
from xcomctl.model import requests
from xcomctl.model.barrier import HostingProcess
from xcomctl.model.barrier_evidence import BarrierAnswer
from xcomctl.model.journal_entry import timestamp
from xcomctl.model.phases import OBJECT_STORAGE_BACKEND, Phase
from xcomctl.model.requests import Resolution, ResolvedSetting
from xcomctl.model.verdicts import Verdict

EDITED = datetime(2026, 6, 6, 12, tzinfo=UTC)
SETTING = ResolvedSetting("x", "airflow.cfg")
THERE = Resolution(SETTING, SETTING, SETTING, SETTING, OBJECT_STORAGE_BACKEND, None, "dual-read", "why")
SCHEDULER = HostingProcess("scheduler", "host", 7, timestamp(EDITED + timedelta(minutes=1)), "dual-read")


class Session:
    """Answers as one context would."""

    def __init__(self, resolution: Resolution | None, *processes: HostingProcess) -> None:
        self._resolution, self._processes = resolution, processes

    def request(self, name: str, params: Any = None) -> dict[str, Any]:
        if self._resolution is None:
            raise AgentDied("it ended", status=1)
        if name == requests.RESOLVE:
            return self._resolution.to_json()
        return BarrierAnswer("3.3.2", "host", self._resolution.phase, "", tuple(self._processes)).to_json()


class OneContext:
    """A fleet of one."""

    name = "scheduler"

    def __init__(self, session: Session) -> None:
        self.session = session
        self.contexts = [self]

    @property
    def reach(self) -> Any:
        return None

    def each(self, ask: Any) -> list[Any]:
        return [ask(self)]


def problem(resolution: Resolution | None, *processes: HostingProcess) -> str:
    fleet = cast(Fleet, OneContext(Session(resolution, *processes)))
    (found,) = look(fleet, Phase.DUAL_READ, EDITED)
    assert (found.phase is None) == (resolution is None)
    return found.problem


@pytest.mark.parametrize(
    ("resolution", "processes", "said"),
    [
        (THERE, (), ""),
        (THERE, (SCHEDULER,), ""),
        (replace(THERE, phase="offload"), (), "resolves offload: why"),
        (replace(THERE, class_path=None, class_error="ImportError: no"), (), "XCom does not import: ImportError: no"),
        (THERE, (SCHEDULER, replace(SCHEDULER, phase="offload", pid=8)), "scheduler on host (pid 8) still runs as offload"),
        # One that hides what it started with, as those of 2.x do, counts by when it did.
        (THERE, (replace(SCHEDULER, phase=None),), ""),
        (THERE, (replace(SCHEDULER, phase=None, started=timestamp(EDITED - timedelta(minutes=1))),), "before the change"),
        (THERE, (replace(SCHEDULER, phase=None, started=None),), "before the change"),
        (None, (), "it ended"),
    ],
)  # fmt: skip
def test_a_context_has_the_change_once_nothing_there_is_older(
    resolution: Resolution | None, processes: tuple[HostingProcess, ...], said: str
) -> None:
    found = problem(resolution, *processes)
    assert said in found and bool(found) == bool(said)


def test_the_deploy_is_run_as_a_shell_would_take_it_apart_and_its_output_is_no_data(
    capfd: pytest.CaptureFixture[str],
) -> None:
    run(shlex.join([sys.executable, "-c", "import sys; print('said', sys.argv[1:])", "two words"]))
    seen = capfd.readouterr()
    assert "said ['two words']" in seen.err and seen.out == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'exit 7'", "exit status 7"),
        ("sh -c 'kill -9 $$'", "signal 9"),
        ("/no/such/deploy --now", "No such file"),
    ],
)
def test_a_deploy_that_fails_is_a_failure(command: str, said: str) -> None:
    with pytest.raises(DeployFailed) as failed:
        deploy.run(command)
    assert said in failed.value.message and failed.value.verdict is Verdict.FAILED


class Found:
    """Agents of contexts that cannot be found at first."""

    def __init__(self, *errors: UserError) -> None:
        self.errors = list(errors)

    def anew(self) -> Any:
        if self.errors:
            raise self.errors.pop(0)
        return OneContext(Session(THERE))


def test_what_cannot_be_found_for_a_moment_is_waited_for_and_what_is_forbidden_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deploy, "_POLL_S", 0)
    waited: list[str] = []
    agents = Found(UserError("there are no pods"), UserError("the server timed out"))
    (seen,) = deploy.wait(cast(Any, agents), Phase.DUAL_READ, EDITED, 60, waited.append)
    assert not seen.problem and [said.split(": ")[1].split(",")[0] for said in waited] == ["there are no pods", "the server timed out"]  # fmt: skip
    with pytest.raises(UserError, match="there are no pods"):
        deploy.wait(cast(Any, Found(UserError("there are no pods"))), Phase.DUAL_READ, EDITED, 0, waited.append)
    with pytest.raises(Forbidden):
        deploy.wait(cast(Any, Found(Forbidden("no", "", "list", "pods"))), Phase.DUAL_READ, EDITED, 60, waited.append)
