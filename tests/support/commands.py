"""Commands as they are typed: a real child process at the desk, beside the walk's Airflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.walk import Site, Walk

ROOT = Path(__file__).parents[2]
#: Every exit code that a command documents.
DOCUMENTED = {0, 2, 3, 4, 5, 6, 130}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def record(self) -> Any:
        """Its standard output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    def check(self, check_id: str) -> dict[str, Any]:
        """The check of that id in its JSON; the first of several contexts."""
        found = [each for each in self.record["checks"] if each["id"] == check_id]
        assert found, (check_id, [each["id"] for each in self.record["checks"]], self.err)
        return dict(found[0])

    def orderly(self) -> Done:
        """Itself, when it ended as commands do."""
        assert self.code in DOCUMENTED, (self.code, self.err)
        assert "Traceback" not in self.err and "unexpected error" not in self.err, self.err
        return self


@dataclass(frozen=True)
class Typed:
    """A command before it is run: its words, and the environment in which they are typed."""

    argv: Sequence[str]
    environment: Mapping[str, str]


def typed(
    site: Site,
    command: str,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    journal: Path | None = None,
    killed_after: int | str | None = None,
    fresh: bool = False,
) -> Typed:
    """``xcomctl COMMAND`` with the sandbox's Airflow as its one context; how :func:`xcomctl` says."""
    environment = site.sandbox.airflow.environment() if variables is None else {**site.env, **variables}
    module = ["xcomctl"] if killed_after is None else ["tests.support.killed", str(killed_after)]
    argv = [sys.executable, "-m", *module, command, *arguments]
    if not {"--via", "--python", "-D", "--api"} & set(arguments):
        argv += ["--python", str(site.python)]
        if site.warm is not None and not fresh:
            argv += ["--via", site.warm.prefix]
            environment = site.warm.environment(environment)
    environment.setdefault(
        "XDG_STATE_HOME", str(journal.parent if journal is not None else site.sandbox.folder / "state")
    )
    if journal is not None:
        argv += ["--journal", str(journal)]
    return Typed(argv, environment)


def run(command: Typed) -> Done:
    """Run it to its end."""
    done = subprocess.run(
        list(command.argv), env=dict(command.environment), capture_output=True, text=True, timeout=400, cwd=ROOT
    )
    return Done(done.returncode, done.stdout, done.stderr)


def xcomctl(
    site: Site,
    command: str,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    journal: Path | None = None,
    killed_after: int | str | None = None,
    fresh: bool = False,
) -> Done:
    """``xcomctl COMMAND`` with the sandbox's Airflow as its one context.

    ``variables`` are put on top of an environment that has none of the four settings; without them the sandbox's own
    environment is taken as it stands, whatever the phase of the walk. Airflow is loaded already in that context
    (:mod:`tests.support.warm`); a ``fresh`` one is started for this command, as it is for a person. ``killed_after``: the
    child is killed, with SIGKILL, by its journal: after so many entries, or as :mod:`tests.support.killed` says.
    """
    return run(
        typed(site, command, *arguments, variables=variables, journal=journal, killed_after=killed_after, fresh=fresh)
    )


def together(commands: Mapping[str, Callable[[], Done]]) -> dict[str, Done]:
    """Several commands, a few at a time: each waits for its context and the context for it. By their names."""
    with ThreadPoolExecutor(max_workers=3) as pool:
        futures = {name: pool.submit(command) for name, command in commands.items()}
        return {name: future.result() for name, future in futures.items()}


def api_options(site: Site) -> tuple[list[str], dict[str, str]]:
    """The options and variables that name the sandbox's REST API."""
    user, password = site.sandbox.airflow.login
    url = site.sandbox.airflow.url
    return ["--api", url, "--api-user", user], {"XCOMCTL_API_PASSWORD": password, "NO_PROXY": "127.0.0.1"}


def script(walk: Walk, name: str, arguments: Sequence[str], variables: Mapping[str, str]) -> Done:
    """One of the runbook's scripts, from a bare checkout, with the Python that runs Airflow."""
    done = subprocess.run(
        [str(walk.python), str(ROOT / "scripts" / name), *arguments],
        env={**walk.env, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        cwd=os.path.sep,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def unreachable(walk: Walk) -> dict[str, str]:
    """The store's connection in the environment, which is asked first: nobody listens there."""
    assert walk.sandbox.store is not None and walk.sandbox.store.connection is not None
    connection = walk.sandbox.store.connection
    extra = {
        **json.loads(connection["extra"]),
        "endpoint_url": "http://127.0.0.1:1",
        "config_kwargs": {"retries": {"max_attempts": 1}, "connect_timeout": 1},
    }
    record = {"conn_type": "aws", "login": connection["login"], "password": connection["password"], "extra": extra}
    return {f"AIRFLOW_CONN_{connection['connection_id'].upper()}": json.dumps(record)}
