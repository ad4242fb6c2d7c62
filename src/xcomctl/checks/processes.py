"""What /proc tells of the Airflow processes that run in this context: their settings are what counts, not ours (F41)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.model.settings import SETTINGS, ResolvedSetting, Setting

_PROC = Path("/proc")
#: A process reads ``airflow.cfg`` in its first seconds, and the first one of all writes it itself.
READS_FILE_WITHIN_S = 60.0
#: What starts or hosts tasks, or reads XComs: the component's name by what stands behind ``airflow``.
_COMPONENTS = ("scheduler", "triggerer", "dag-processor", "api-server", "webserver", "standalone", "celery worker",
               "edge worker", "kubernetes worker", "dags backfill", "backfill create")  # fmt: skip
_STARTED = re.compile(rf"(?:^|[/ ])airflow ({'|'.join(_COMPONENTS)})(?: |$)")
#: Titles that Airflow, gunicorn and Celery give their processes.
_TITLES = (
    (re.compile(r"^airflow (scheduler|triggerer|dag.processor|api.server|worker|executor)(?: --|$)"), r"\1"),
    (re.compile(r"gunicorn: (?:master|worker) \[airflow-(\w+)\]"), r"\1"),
    (re.compile(r"^\[celeryd: \S+?:MainProcess\]"), "celery worker"),
)
#: In a line of ``/proc/PID/maps``: where the library that is mapped was installed.
_PACKAGES = re.compile(r"^(?:\S+ +){5}(/.*?/(?:site|dist)-packages)/", re.MULTILINE)


@dataclass(frozen=True)
class AirflowProcess:
    """A process of an Airflow component.

    ``settings`` holds those of the four settings' variables that are in its environment, and no other variable;
    ``None`` when its environment cannot be read, since the process has written its title over it. ``started`` is in
    seconds since the epoch.
    """

    pid: int
    component: str
    started: float
    settings: Optional[Mapping[str, str]]

    def describe(self) -> str:
        """Component, pid and start for a sentence."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started))
        return f"{self.component} (pid {self.pid}, started {since})"


def texts(process: AirflowProcess, beneath: Mapping[str, ResolvedSetting]) -> Iterator[tuple[Setting, Optional[str]]]:
    """Each setting with the text that the process was started with: from its environment, else from what lies beneath.

    ``beneath`` is what resolves without variables, by short names. Nothing for a process whose environment is unknown.
    """
    if process.settings is not None:
        for setting in SETTINGS:
            value = process.settings.get(setting.env, beneath[setting.name].value)
            yield setting, None if value is None else str(value)


def may_have_read_another_file(process: AirflowProcess, changed: Optional[float]) -> bool:
    """Whether some setting of a process is not in its environment, and ``airflow.cfg`` was changed after it started.

    ``changed`` is the time of that change, in seconds since the epoch.
    """
    since = changed is not None and changed > process.started + READS_FILE_WITHIN_S
    return since and any(setting.env not in (process.settings or {}) for setting in SETTINGS)


@dataclass(frozen=True)
class _Seen:
    pid: int
    parent: int
    component: str
    environment: Optional[Mapping[str, str]]


def component_of(argv: list[str]) -> Optional[str]:
    """The Airflow component that a command line starts or that a title names, ``None`` for any other process."""
    line = " ".join(argv).strip()
    started = _STARTED.search(line)
    if started is not None and not line.startswith("airflow "):
        return started[1]
    for pattern, name in _TITLES:
        found = pattern.search(line)
        if found is not None:
            return found.expand(name).replace("_", "-")
    return started[1] if started is not None else None


def running(airflow_home: str, proc: Path = _PROC) -> tuple[AirflowProcess, ...]:
    """The Airflow processes of this context that say something of their own, in the order of their pids.

    Those of ``airflow_home`` in this mount namespace, without this process and those that it descends from. A process
    that was forked from another one of them has its settings and is left out, unless its own environment differs.

    Whose ``AIRFLOW_HOME`` cannot be read counts if it has libraries of this process' own site-packages in memory, which
    also takes its being the same user's (or this one's being root's): every other Airflow on the host would be noise.
    Two homes that share one installation cannot be told apart then, unless this is the sandbox of a rehearsal: all that
    runs there works in its folder.
    """
    sandbox = os.environ.get(SANDBOX_VARIABLE)
    ours = set(_lineage(os.getpid(), proc))
    installed = _installations(proc / "self")
    seen = {found.pid: found for found in _components(proc) if found.pid not in ours}
    processes = []
    for found in seen.values():
        above = next((seen[pid] for pid in _lineage(found.pid, proc)[1:] if pid in seen), None)
        if above is not None and (found.environment is None or found.environment == above.environment):
            continue
        if found.environment is None:
            if not installed & _installations(proc / str(found.pid)):
                continue
            if sandbox and not _works_in(proc / str(found.pid), Path(sandbox)):
                continue
        elif _home(found.environment) != Path(airflow_home).resolve():
            continue
        started = _started(found.pid, proc)
        if started is not None:
            settings = None if found.environment is None else _of_settings(found.environment)
            processes.append(AirflowProcess(found.pid, found.component, started, settings))
    return tuple(sorted(processes, key=lambda process: process.pid))


def _components(proc: Path) -> Iterator[_Seen]:
    here = _namespace(proc / "self")
    try:
        folders = [folder for folder in proc.iterdir() if folder.name.isdigit()]
    except OSError:  # no /proc on this system
        return
    for folder in folders:
        try:
            argv = (folder / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:  # it has ended meanwhile
            continue
        component = component_of(argv)
        if component is None:
            continue
        namespace = _namespace(folder)
        if namespace is not None and namespace != here:
            continue  # another container on this host
        parent = _stat(int(folder.name), proc)
        if parent is not None:
            yield _Seen(int(folder.name), int(parent[1]), component, _environment(folder))


def _environment(folder: Path) -> Optional[Mapping[str, str]]:
    """The environment that the process was started with, ``None`` when it cannot be known."""
    try:
        text = (folder / "environ").read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return None
    entries = text[:-1].split("\0") if text.endswith("\0") else text.split("\0")
    # A title that a process gives itself is written over the environment: what is left of it is no evidence.
    if not text or not all("=" in entry for entry in entries):
        return None
    return dict(entry.split("=", 1) for entry in entries)


def _of_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {setting.env: environment[setting.env] for setting in SETTINGS if setting.env in environment}


def _home(environment: Mapping[str, str]) -> Path:
    home = environment.get("AIRFLOW_HOME")
    return Path(home or Path(environment.get("HOME", "~")) / "airflow").expanduser().resolve()


def _installations(folder: Path) -> frozenset[str]:
    """The folders of packages whose libraries a process has in memory; none for another user's process."""
    try:
        maps = (folder / "maps").read_text(errors="replace")
    except OSError:
        return frozenset()
    return frozenset(_PACKAGES.findall(maps))


def _works_in(folder: Path, place: Path) -> bool:
    """Whether the working directory of a process is in that place; no for one that cannot be looked at."""
    try:
        cwd = (folder / "cwd").readlink()
    except OSError:
        return False
    return place in (cwd, *cwd.parents)


def _lineage(pid: int, proc: Path) -> list[int]:
    """The process and those that it descends from, the nearest first."""
    found = []
    while pid > 0 and pid not in found:
        found.append(pid)
        stat = _stat(pid, proc)
        pid = int(stat[1]) if stat is not None else 0
    return found


def _stat(pid: int, proc: Path) -> Optional[list[str]]:
    """The fields of ``/proc/PID/stat`` behind the command's name, which may hold anything: state, parent and so on."""
    try:
        return (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _started(pid: int, proc: Path) -> Optional[float]:
    """When a process was started, in seconds since the epoch."""
    stat = _stat(pid, proc)
    booted = re.search(r"^btime (\d+)$", (proc / "stat").read_text(), re.MULTILINE)
    if stat is None or booted is None:
        return None
    return int(booted[1]) + int(stat[19]) / os.sysconf("SC_CLK_TCK")


def _namespace(folder: Path) -> Optional[str]:
    try:
        return str((folder / "ns" / "mnt").readlink())
    except OSError:
        return None
