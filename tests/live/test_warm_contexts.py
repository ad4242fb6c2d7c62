"""Contexts in which Airflow is loaded already: what a command gets there is what it gets in one that it started."""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.preflight import offload
from tests.support.walk import Walk
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.interface import Reach
from xcomctl.model import requests
from xcomctl.model.settings import THRESHOLD

#: What a program sees of its process, and whether it is one in which Airflow was loaded before.
SEEN = """
import json, os, sys
print(json.dumps({"argv": sys.argv, "cwd": os.getcwd(), "environment": dict(os.environ), "name": __name__,
                  "loaded": "airflow" in sys.modules, "read": sys.stdin.read()}))
print("beside", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture(scope="module")
def environment(walk: Walk) -> Mapping[str, str]:
    return {**walk.env, **offload(walk)}


def run(reach: Reach, folder: Path, *arguments: str, **variables: str) -> tuple[dict[str, Any], int, str]:
    """What the program saw there, how it ended, and what it said on standard error."""
    done = subprocess.run(
        reach.argv(["-c", SEEN, *arguments]), env={**(reach.environment or {}), **variables}, cwd=folder,
        input="given", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return json.loads(done.stdout), done.returncode, done.stderr


def test_a_program_is_where_it_would_be(walk: Walk, environment: Mapping[str, str], tmp_path: Path) -> None:
    own = {"AIRFLOW_CONN_OF_THIS_ONE": "aws://"}
    fresh = run(walk.reach(environment), tmp_path, "an argument", **own)
    warm = run(walk.warm.reach(environment), tmp_path, "an argument", **own)
    assert (fresh[0].pop("loaded"), warm[0].pop("loaded")) == (False, True)
    for each in (fresh, warm):  # which of them a shell that is in between adds
        each[0]["environment"] = {name: each[0]["environment"].get(name) for name in (*environment, *own)}
    assert warm == fresh
    assert (fresh[0]["cwd"], fresh[0]["environment"]) == (str(tmp_path), {**environment, **own})
    assert "AIRFLOW_CONN_OF_THIS_ONE" not in run(walk.warm.reach(environment), tmp_path)[0]["environment"]


def test_what_a_carrier_says_when_it_is_called_is_what_is_loaded(
    walk: Walk, environment: Mapping[str, str], tmp_path: Path
) -> None:
    carrier = tmp_path / "airflow.env"
    prefix, door = walk.warm.carried(carrier)
    with socket.socket(socket.AF_UNIX) as killed:  # before it could ask
        killed.connect(*door.values())
    for threshold in ("1", "2"):
        carrier.write_text(f"{THRESHOLD.env}={threshold}\n")
        done = subprocess.run(
            [*shlex.split(prefix), "python", "-c", SEEN], env={**environment, **door}, cwd=tmp_path,
            input="given", capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        seen = json.loads(done.stdout)
        assert (seen["loaded"], seen["environment"][THRESHOLD.env], done.returncode) == (True, threshold, 7)


def test_an_agent_answers_what_one_answers_that_was_started(walk: Walk, environment: Mapping[str, str]) -> None:
    def answers(reach: Reach) -> tuple[Any, ...]:
        with AgentSession(reach) as agent:
            asked = agent.request(requests.RESOLVE), agent.request(requests.REFERENCES, {"base_path": walk.base_path})
            return agent.hello["python"], agent.hello["executable"], *asked

    with ThreadPoolExecutor(3) as pool:
        fresh, *warm = pool.map(answers, [walk.reach(environment), *[walk.warm.reach(environment)] * 2])
    assert warm == [fresh, fresh]


def test_one_whose_program_dies_says_so(walk: Walk, environment: Mapping[str, str]) -> None:
    reach = walk.warm.reach(environment)
    for code, status in (("import os; os.kill(os.getpid(), 9)", 137), ("raise RuntimeError('why')", 1)):
        done = subprocess.run(
            reach.argv(["-c", code]), env=dict(reach.environment or {}), capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
    assert "RuntimeError: why" in done.stderr


def test_settings_of_another_kind_are_another_context(walk: Walk, environment: Mapping[str, str]) -> None:
    places = {
        json.dumps(variables): walk.warm.environment({**walk.env, **variables})["XCOMCTL_TESTS_LOADED"]
        for variables in ({}, offload(walk), {**offload(walk), "AIRFLOW_CONN_X": "aws://"})
    }
    assert len(set(places.values())) == 2
