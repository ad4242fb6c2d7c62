"""Contexts asked at once, and the first one that can answer: with real agents in Pythons that have no Airflow."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from xcomctl.assess.fleet import Fleet, all_at_once, apart
from xcomctl.deployment.agent_errors import AgentError, NoAirflow, RequestFailed
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.command import CommandReach
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model import requests

HERE = LocalReach(Path(sys.executable), label="here")
NOWHERE = CommandReach.parse("false", label="nowhere")


def nothing(context: str, line: str) -> None:
    pass


def test_names_are_told_apart():
    assert apart(["a", "b", "a"]) == ["a (1)", "b", "a (2)"]


def test_every_context_is_asked_and_answers_for_itself():
    def ask(context):
        try:
            return context.session.request(requests.PREFLIGHT_LIST)["checks"][0]["id"]
        except AgentError as error:
            return type(error).__name__

    with Fleet([HERE, NOWHERE, HERE], nothing) as fleet:
        assert [context.name for context in fleet.contexts] == ["here (1)", "nowhere", "here (2)"]
        first, lost, last = fleet.each(ask)
        assert first == last and lost in ("AgentDied", "NoPython")
        assert fleet.each(ask) == [first, lost, last]  # the sessions are still there, the failure is too


def test_the_first_that_can_answer_does():
    asked: list[str] = []

    def ask(session: AgentSession) -> str:
        asked.append(session.reach.name)
        if len(asked) == 1:
            raise RequestFailed("none here", reason=requests.NO_DATABASE)
        return "answer"

    with Fleet([HERE, NOWHERE, HERE], nothing) as fleet:
        assert fleet.with_database(ask) == "answer"
    assert len(asked) == 2


def test_where_none_can_answer_the_first_says_why():
    with Fleet([HERE, NOWHERE], nothing) as fleet, pytest.raises(NoAirflow):
        fleet.with_database(lambda session: session.request(requests.IDENTIFY))
    with Fleet([HERE], nothing) as fleet, pytest.raises(RequestFailed, match="broken"):
        fleet.with_database(lambda session: (_ for _ in ()).throw(RequestFailed("broken", reason=requests.USER_ERROR)))


def test_when_one_fails_the_others_are_given_up():
    given_up = threading.Event()

    def wait() -> None:
        assert given_up.wait(10)

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        all_at_once([fail, wait], given_up.set)
