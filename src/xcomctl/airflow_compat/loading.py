"""Finding and importing Airflow: its version without importing it, then the import with what each line needs."""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
import tempfile
from importlib import metadata
from types import ModuleType

from xcomctl.airflow_compat.errors import AirflowUnusable
from xcomctl.model import requests
from xcomctl.model.phases import Line

OLDEST = (2, 9)


@functools.cache
def version() -> str:
    """Airflow's version, from the installed packages' metadata: nothing is imported."""
    for package in ("apache-airflow-core", "apache-airflow"):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    raise AirflowUnusable(
        f"there is no Airflow in {sys.executable}",
        "name the Python that runs Airflow in this context: --python PATH",
        requests.NO_AIRFLOW,
    )


@functools.cache
def line() -> Line:
    """Airflow's line. Raises :class:`AirflowUnusable` for one older than 2.9, and for one that nobody knows yet."""
    match = re.match(r"(\d+)\.(\d+)", version())
    number = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
    if number < OLDEST:
        raise AirflowUnusable(
            f"Airflow {version()} is too old: its object-storage XCom backend came with 2.9",
            "xcomctl works with Airflow 2.9 to 2.11 and 3.0 to 3.3",
            requests.AIRFLOW_TOO_OLD,
        )
    if number[0] > 3:
        raise AirflowUnusable(f"xcomctl does not know Airflow {version()} yet", "xcomctl works with Airflow 2 and 3")
    return Line.AF2 if number[0] == 2 else Line.AF3


#: Whether this process is a task that Airflow started: then it is left as Airflow made it.
_in_task = False


def in_task() -> None:
    """This process is a task: do not present it as anything else, or the task's own view is lost."""
    global _in_task
    _in_task = True


@functools.cache
def airflow() -> ModuleType:
    """The ``airflow`` module, imported and initialised.

    On 3.x this process presents itself as a server, or connections in the metadata database would be invisible and
    the store would be spoken to with whatever credentials lie around (F39). On 2.x the providers' defaults are loaded,
    as every ``airflow`` command does.
    """
    if line() is Line.AF3 and not _in_task:
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    _have_a_temporary_folder()
    try:
        module = importlib.import_module("airflow")
        if line() is Line.AF2:
            manager = importlib.import_module("airflow.providers_manager").ProvidersManager()
            manager.initialize_providers_configuration()
    except Exception as error:
        raise AirflowUnusable(
            f"Airflow {version()} does not import: {type(error).__name__}: {error}",
            "does an airflow command start in this context?",
            requests.NO_AIRFLOW,
        ) from error
    return module


def _have_a_temporary_folder() -> None:
    """Where no disk can be written, some of what Airflow imports fails for merely asking where temporary files go."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        # In memory if there is such a place; else a name that fails where something is really written.
        tempfile.tempdir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"  # noqa: S108


def module(name: str) -> ModuleType:
    """A module of Airflow, after Airflow itself."""
    airflow()
    return importlib.import_module(name)


def providers() -> dict[str, str]:
    """The installed providers' versions by their names: ``common.io``, ``amazon`` and so on."""
    found = {}
    for distribution in metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith("apache-airflow-providers-"):
            found[name[len("apache-airflow-providers-") :].replace("-", ".")] = distribution.version
    return dict(sorted(found.items()))
