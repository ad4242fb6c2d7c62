"""The Airflow that is rehearsed: an environment that exists, or one that uv builds for a version."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from xcomctl.errors import UserError
from xcomctl.model.verdicts import Verdict

#: The oldest Airflow that has the object-storage backend in a provider that works.
OLDEST = (2, 9)
#: What `rehearse` builds when nothing is said and no Airflow is installed beside xcomctl.
DEFAULT_VERSION = "3.3.2"

_INSPECT = """
import importlib.metadata as m, json, platform
names = ("apache-airflow", "apache-airflow-core", "apache-airflow-providers-common-io", "apache-airflow-providers-amazon",
    "s3fs", "fsspec", "universal-pathlib", "aiobotocore", "botocore", "sqlalchemy", "psycopg2-binary", "psycopg2", "asyncpg")
found = {}
for name in names:
    try: found[name] = m.version(name)
    except m.PackageNotFoundError: pass
print(json.dumps({"python": platform.python_version(), "packages": found}))
"""


class UnusableEnvironment(UserError):
    """The environment cannot be used or built."""


@dataclass(frozen=True)
class Environment:
    """A Python environment with an Airflow in it."""

    python: Path
    airflow: str
    python_version: str
    packages: dict[str, str]


def existing(path: Path, *, store: str) -> Environment:
    """The environment at ``path`` (its folder, or its Python). Raises :class:`UnusableEnvironment` if it will not do."""
    # Not resolved: the link inside a virtual environment is what makes it one.
    python = path.absolute() / "bin" / "python" if path.is_dir() else path.absolute()
    if not python.exists():
        raise UnusableEnvironment(f"There is no Python at {python}.", "Give the environment's folder, or its python.")
    try:
        done = subprocess.run(
            [str(python), "-c", _INSPECT],
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise UnusableEnvironment(f"{python} does not run as a Python.") from None
    packages = answer["packages"]
    version = packages.get("apache-airflow-core") or packages.get("apache-airflow")
    if version is None:
        raise UnusableEnvironment(f"No Airflow is installed in {python.parent.parent}.")
    if _release(version) < OLDEST:
        raise UnusableEnvironment(
            f"Airflow {version} is too old: the object-storage backend needs Airflow 2.9 or later.",
            verdict=Verdict.REFUSED,
        )
    needed = [
        "apache-airflow-providers-common-io",
        *(("s3fs", "apache-airflow-providers-amazon") if store == "s3" else ()),
    ]
    missing = [name for name in needed if name not in packages]
    if not {"psycopg2-binary", "psycopg2"} & packages.keys():
        missing.append("psycopg2-binary")
    if _release(version) >= (3, 0) and "asyncpg" not in packages:
        missing.append("asyncpg")
    if missing:
        raise UnusableEnvironment(
            f"{python.parent.parent} lacks {', '.join(missing)}, which the rehearsal needs.",
            f"uv pip install --python {python} {' '.join(missing)}",
        )
    return Environment(python, version, answer["python"], packages)


def beside_us() -> Path | None:
    """The environment that xcomctl itself is installed in, if it has an Airflow."""
    for name in ("apache-airflow-core", "apache-airflow"):
        with contextlib.suppress(PackageNotFoundError):
            distribution(name)
            return Path(sys.prefix)
    return None


def build(
    version: str,
    *,
    python: str | None,
    requirements: Path | None,
    store: str,
    waiting: Callable[[str], None],
) -> Environment:
    """Build, or take from the cache, an environment with this Airflow. Raises :class:`UnusableEnvironment`.

    ``python`` is anything that ``uv venv --python`` takes. ``requirements`` is a requirements file that is installed
    in the same resolution, so that its pins hold.
    """
    try:
        release = _release(version)
    except ValueError:
        raise UnusableEnvironment(f"{version!r} is not a version of Airflow.", verdict=Verdict.REFUSED) from None
    if release < OLDEST:
        raise UnusableEnvironment(
            f"Airflow {version} is too old: the object-storage backend needs Airflow 2.9 or later.",
            verdict=Verdict.REFUSED,
        )
    wanted = [f"apache-airflow=={version}", *_packages(release, store)]
    pinned = ""
    if requirements is not None:
        try:
            pinned = requirements.read_text()
        except OSError as error:
            raise UnusableEnvironment(f"{requirements} cannot be read: {error.strerror}.") from None
    uv = _uv()
    interpreter = python or sys.executable
    key = hashlib.sha256(json.dumps([wanted, pinned, interpreter, sys.platform]).encode()).hexdigest()[:12]
    folder = _cache() / f"airflow-{version}-{key}"
    complete = folder / ".complete"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Two rehearsals that want the same environment: the second waits for the first one's.
        with (folder.parent / f"{folder.name}.lock").open("w") as lock:
            waiting(f"another rehearsal that builds {folder.name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not complete.exists():
                waiting(f"uv to install Airflow {version}")
                shutil.rmtree(folder, ignore_errors=True)
                install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *wanted]
                if requirements is not None:
                    install += ["--requirements", str(requirements)]
                try:
                    _run([uv, "venv", "--quiet", "--python", interpreter, str(folder)])
                    _run(install)
                except BaseException:
                    shutil.rmtree(folder, ignore_errors=True)
                    raise
                complete.touch()
    except OSError as error:
        raise UnusableEnvironment(
            f"The environment could not be built in {folder.parent}: {error.strerror}.",
            "Name another folder with XDG_CACHE_HOME.",
        ) from error
    return existing(folder, store=store)


def _packages(release: tuple[int, ...], store: str) -> list[str]:
    packages = ["apache-airflow-providers-common-io", "psycopg2-binary"]
    if store == "s3":
        # Asked for by name, or the resolver goes back to an s3fs of 2021 that pins nothing.
        packages += ["apache-airflow-providers-amazon", "s3fs>=2025", "aiobotocore[boto3]"]
    if release >= (3, 0):
        packages.append("asyncpg")
    if release < (2, 11) or (3, 0) <= release < (3, 1, 1):
        # apache/airflow issue 56369: with universal-pathlib 0.3 these Airflows recurse without end.
        packages.append("universal-pathlib<0.3")
    if release < (2, 11):
        # Issue 55803: common-io 1.6.1 and 1.6.2 cannot be imported on Airflow 2.
        packages[0] += "!=1.6.1,!=1.6.2"
    return packages


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version; raises ``ValueError`` if it does not begin with two."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    if found is None:
        raise ValueError(version)
    return tuple(int(number) for number in found.groups(default="0"))


def _uv() -> str:
    try:
        from uv import find_uv_bin
    except ImportError:
        found = shutil.which("uv")
    else:
        found = find_uv_bin()
    if found is None:
        raise UnusableEnvironment(
            "uv, which builds the environment, is not installed.", "Install it with: pip install 'xcomctl[rehearse]'"
        )
    return found


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "xcomctl" / "environments"


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise UnusableEnvironment(
            f"uv could not build the environment: {' '.join(lines[-6:]) or f'exit status {done.returncode}'}",
            "Give versions that fit together with --requirements, or another --python.",
        )
