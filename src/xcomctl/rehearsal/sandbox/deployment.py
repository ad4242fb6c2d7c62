"""The sandbox as a whole: one folder, one database, one store, one Airflow, and the way to end all of it."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.rehearsal.environments import Environment
from xcomctl.rehearsal.sandbox import objectstore, postgres
from xcomctl.rehearsal.sandbox.airflow import Airflow
from xcomctl.rehearsal.sandbox.errors import SandboxError
from xcomctl.rehearsal.sandbox.objectstore import ObjectStore
from xcomctl.rehearsal.sandbox.ports import free_ports
from xcomctl.rehearsal.sandbox.postgres import Postgres
from xcomctl.rehearsal.sandbox.processes import Family, end_recorded, recorded

_PREFIX = "xcomctl-sandbox-"
_STATE = "sandbox.json"
_SCHEMA = "xcomctl.sandbox/1"

#: Characters that the path of TMPDIR may have: what is added to it must fit into the path of a Unix socket.
LONGEST_PARENT = 60

#: Free disk that a sandbox needs, in bytes: the database and its WAL, logs, and the objects of a few runs.
DISK_BYTES = 1_000_000_000


class Waiting(Protocol):
    """A step that tells what it waits for."""

    def waiting(self, what: str) -> None:
        """It now waits for ``what``."""


class Steps(Protocol):
    """Whoever shows or records the steps of a start."""

    def step(self, id: str, title: str) -> AbstractContextManager[Waiting]:
        """Run one step in a ``with`` block."""


@dataclass(frozen=True)
class SandboxReach(LocalReach):
    """A process that starts in the sandbox gets what the carrier says then; ``env`` is on top of it."""

    airflow: Airflow = field(kw_only=True)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment that replaces the desk's."""
        return {**self.airflow.environment(), **(self.env or {})}


@dataclass
class Sandbox:
    """A running sandbox. Use :meth:`start`, and :meth:`stop` whatever happened in between."""

    folder: Path
    environment: Environment
    family: Family
    ports: Mapping[str, int]
    store_kind: str
    airflow: Airflow
    database: Postgres | None = None
    store: ObjectStore | None = None
    peak_memory_bytes: int = 0

    @classmethod
    def create(cls, environment: Environment, store: str = "s3") -> Sandbox:
        """Make the folder and choose the ports; nothing runs yet. Raises :class:`SandboxError`."""
        parent = Path(tempfile.gettempdir())
        free = shutil.disk_usage(parent).free
        if free < DISK_BYTES:
            raise SandboxError(
                f"Not enough disk: {parent} has {free / 1e6:.0f} MB free, the sandbox needs {DISK_BYTES / 1e6:.0f} MB.",
                "Name a folder with more room: TMPDIR=/path xcomctl rehearse …",
            )
        if store == "s3" and len(str(parent)) > LONGEST_PARENT:
            raise SandboxError(
                f"The path {parent} is too long: the S3 server keeps sockets there, whose paths have 107 bytes at most.",
                "Name a shorter folder: TMPDIR=/tmp xcomctl rehearse …",
            )
        ports = free_ports(["postgres", "airflow", *(objectstore.PORTS if store == "s3" else ())])
        try:
            # Resolved: a process is told by the folder that it works in, which the kernel gives without links.
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
        except OSError as error:
            raise SandboxError(f"No folder for the sandbox could be made in {parent}: {error.strerror}.") from error
        try:
            # Traversable, since PostgreSQL may run as another user; what holds a secret is closed by itself.
            folder.chmod(0o711)
            family = Family(folder)
            airflow = Airflow(
                family=family,
                python=environment.python,
                version=environment.airflow,
                folder=folder / "airflow",
                port=ports["airflow"],
                carrier=folder / "airflow.env",
            )
            sandbox = cls(folder, environment, family, ports, store, airflow)
            sandbox._write_state(keep=False)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return sandbox

    def start(self, settings: Mapping[str, str], dags: Mapping[str, str], steps: Steps) -> None:
        """Start everything with these XCom settings and DAG files (name → source); wait until it is usable.

        Raises :class:`SandboxError` and its kin; call :meth:`stop` then too.
        """
        with steps.step("database", "Start PostgreSQL"):
            self.database = postgres.start(self.family, self.folder / "postgres", self.ports["postgres"])
        title = "Start the S3 server" if self.store_kind == "s3" else "Make a folder for objects"
        with steps.step("store", title):
            if self.store_kind == "s3":
                self.store = objectstore.start_s3(self.family, self.folder / "store", self.ports)
            else:
                self.store = objectstore.in_folder(self.folder / "store")
        with steps.step("airflow", f"Start Airflow {self.environment.airflow}") as step:
            self.airflow.write_carrier(self.database.url, settings)
            for name, source in dags.items():
                (self.airflow.folder / "dags" / name).write_text(source)
            step.waiting("the metadata database's schema")
            self.airflow.initialise()
            threading.Thread(target=self._watch_memory, name="xcomctl-memory", daemon=True).start()
            self.airflow.start(step.waiting)
            if self.store.connection is not None:
                self.airflow.api.create_connection(self.store.connection)
            for name in dags:
                self.airflow.wait_for_dag(Path(name).stem, step.waiting)

    def redeploy(self, settings: Mapping[str, str], waiting: Callable[[str], None]) -> float:
        """Edit the carrier and deploy it; the seconds without service."""
        self.configure(settings)
        return self.restart(waiting)

    def configure(self, settings: Mapping[str, str]) -> None:
        """Edit the carrier; nothing is deployed."""
        carrier = EnvFile.read(self.airflow.carrier)
        carrier.write(carrier.edit(settings))

    def restart(self, waiting: Callable[[str], None], but: Collection[str] = ()) -> float:
        """Restart every process of Airflow but these with what the carrier says, as a deploy does; the seconds without service."""
        began = time.monotonic()
        waiting("Airflow to stop")
        self.airflow.stop(but=but)
        self.airflow.start(waiting)
        return time.monotonic() - began

    def reach(self, overrides: Mapping[str, str] | None = None) -> SandboxReach:
        """The way into this Airflow's environment: the carrier as it stands whenever it is gone, ``overrides`` on top."""
        return SandboxReach(self.environment.python, overrides or {}, label="sandbox", airflow=self.airflow)

    def agent(self, overrides: Mapping[str, str] | None = None) -> AgentSession:
        """An agent there."""
        return AgentSession(self.reach(overrides))

    def keep(self) -> str:
        """Leave everything running; how to reach it and how to end it, as text."""
        self._write_state(keep=True)
        user, password = self.airflow.login
        assert self.database is not None and self.store is not None
        return "\n".join(
            [
                f"The sandbox stays up in {self.folder}",
                f"  UI        {self.airflow.url}   user {user}, password {password}",
                f"  database  {self.database.psql}",
                f"  bucket    {self.store.reach}",
                f"  settings  {self.airflow.carrier}",
                f"  stop it   xcomctl rehearse --stop {shlex.quote(str(self.folder))}",
            ]
        )

    def stop(self) -> None:
        """End every process and remove the folder. Safe to call at any point, and twice."""
        self.family.stop()
        _remove(self.folder, self.ports)

    def _watch_memory(self) -> None:
        while self.family.servers:
            self.peak_memory_bytes = max(self.peak_memory_bytes, self.family.memory_bytes())
            time.sleep(3)

    def _write_state(self, keep: bool) -> None:
        owner = psutil.Process()
        state = {
            "schema": _SCHEMA,
            "owner": owner.pid,
            "owner_started": owner.create_time(),
            "keep": keep,
            "ports": dict(self.ports),
        }
        (self.folder / _STATE).write_text(json.dumps(state))


def stop_sandbox(folder: Path, *, dry_run: bool = False) -> int:
    """End a sandbox that was kept, or whose rehearsal was killed; how many servers were ended, or would be.

    Raises :class:`SandboxError` for a folder that is not one of this user's, or whose rehearsal still runs.
    """
    folder = folder.resolve()
    state = _State.read(folder)
    if state is None:
        raise SandboxError(
            f"{folder} is not a sandbox of yours.", f"Sandboxes are in {tempfile.gettempdir()}/{_PREFIX}*"
        )
    if state.owned_by_a_running_rehearsal:
        raise SandboxError(
            f"The rehearsal of {folder} still runs, as process {state.owner}.", f"End it with: kill {state.owner}"
        )
    if dry_run:
        return len(recorded(folder))
    ended = end_recorded(folder)
    _remove(folder, state.ports)
    return ended


def abandoned() -> list[Path]:
    """This user's sandboxes whose rehearsal was killed: nobody will end them, unless ``rehearse --stop`` does."""
    found = []
    for folder in Path(tempfile.gettempdir()).resolve().glob(f"{_PREFIX}*"):
        state = _State.read(folder)
        if state is not None and not state.keep and not state.owned_by_a_running_rehearsal:
            found.append(folder)
    return found


@dataclass(frozen=True)
class _State:
    """What ``sandbox.json`` says: whose it is, whether it is to stay, its ports."""

    owner: int
    owner_started: float
    keep: bool
    ports: Mapping[str, int]

    @classmethod
    def read(cls, folder: Path) -> _State | None:
        """The state of a sandbox; ``None`` for whatever else the folder is, somebody else's sandbox included."""
        path = folder / _STATE
        try:
            if not folder.name.startswith(_PREFIX) or path.stat().st_uid != os.geteuid():
                return None
            record = json.loads(path.read_text())
            if record["schema"] != _SCHEMA:
                return None
            ports = {str(name): int(port) for name, port in record["ports"].items()}
            return cls(int(record["owner"]), float(record["owner_started"]), bool(record["keep"]), ports)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @property
    def owned_by_a_running_rehearsal(self) -> bool:
        """Whether somebody is there who will end it."""
        return not self.keep and _alive(self.owner, self.owner_started)


def _alive(pid: int, started: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started) < 0.5
    except psutil.NoSuchProcess:
        return False


def _remove(folder: Path, ports: Mapping[str, int]) -> None:
    for path in objectstore.sockets(ports):
        with contextlib.suppress(OSError):
            path.unlink()
    # A log that somebody still flushes can reappear between listing and rmdir: once more.
    for _ in range(3):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.3)
    raise SandboxError(f"{folder} could not be removed.", f"Remove it with: rm -rf {shlex.quote(str(folder))}")
