"""Deploys of the sandbox: a person's own one as a command, and what is known of the last one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from tests.support.walk import Site, sql
from xcomctl.model.journal_entry import parse_time, timestamp
from xcomctl.rehearsal.sandbox import deploys
from xcomctl.rehearsal.sandbox.deployment import Sandbox


@contextmanager
def deploying(sandbox: Sandbox) -> Iterator[str]:
    """A command that restarts Airflow with what the carrier says then, as long as the block lasts.

    One deploy runs at a time, and to its end, whoever asked for it has died."""
    with deploys.deploying(sandbox.folder, lambda: restart(sandbox)) as command:
        yield command


def restart(sandbox: Sandbox) -> None:
    """Have every process that has to do with tasks what the carrier says. The web server of 2.x has not, and takes longest."""
    sandbox.restart(lambda what: None, but=("webserver",))


def reading(carrier: Path) -> str:
    """A prefix (``--via``) whose program has the variables that the carrier holds when it starts."""
    return shlex.join(["sh", "-c", f'set -a; . {shlex.quote(str(carrier))}; exec "$@"', "sh"])


def rolled_out(site: Site) -> str:
    """Just before the processes started that run now. Those of before have ended by then."""
    ((started,),) = sql(
        site,
        "SELECT to_char(max(start_date) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM job "
        "WHERE job_type = 'SchedulerJob'",
    )
    return timestamp(parse_time(started) - timedelta(seconds=40))
