"""Airflow as processes: LocalExecutor, one ``.env`` carrier, health by heartbeat. Both lines."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from xcomctl.clients.airflow_api import AirflowApi, ApiError
from xcomctl.deployment.carriers.env_file import EnvFile
from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.rehearsal.sandbox.errors import SandboxError
from xcomctl.rehearsal.sandbox.processes import Family, Server, stop_all, tail

HOLD_POOL = "xcomctl_hold"
#: The pool of a second hold point, for a run that is held longer.
SECOND_HOLD_POOL = "xcomctl_second_hold"
PARALLELISM = 4
#: A machine that runs a whole Airflow on two cores may keep its API waiting; one that is gone refuses at once.
API_TIMEOUT_S = 120.0
_USER = "admin"

# What a user's shell may carry over into the sandbox. Nothing else does: an ambient AWS_* or AIRFLOW__* variable
# would make the sandbox succeed, or fail, for reasons that are not in its carrier.
_INHERITED = ("LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "LD_LIBRARY_PATH")


@dataclass
class Airflow:
    """One Airflow of the sandbox: its environment, its services, its API."""

    family: Family
    python: Path
    version: str
    folder: Path
    port: int
    carrier: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    services: dict[str, Server] = field(default_factory=dict)
    _api: AirflowApi | None = None
    _last_answer: str = ""

    @property
    def major(self) -> int:
        """2 or 3."""
        return int(self.version.split(".")[0])

    @property
    def url(self) -> str:
        """The UI; the REST API is below it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def login(self) -> tuple[str, str]:
        """User name and password of the UI and the REST API."""
        return _USER, self.password

    @property
    def api(self) -> AirflowApi:
        """The REST API."""
        if self._api is None:
            # On loopback: a proxy of the user's is for elsewhere.
            self._api = AirflowApi(
                self.url,
                major=self.major,
                username=_USER,
                password=self.password,
                timeout_s=API_TIMEOUT_S,
                use_proxy=False,
            )
        return self._api

    def write_carrier(self, database_url: str, settings: Mapping[str, str]) -> None:
        """Write the ``.env`` from which every process of this Airflow gets its configuration."""
        self.folder.mkdir()
        (self.folder / "dags").mkdir()
        self.carrier.touch(mode=0o600)
        self.carrier.write_text("# The settings of this throwaway Airflow. Every process reads them when it starts.\n")
        carrier = EnvFile.read(self.carrier)
        carrier.write(carrier.edit({**self._configuration(database_url), **settings}))

    def environment(self) -> dict[str, str]:
        """The environment of a process that starts now: the carrier as it stands, and little else."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            **inherited,
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "SCARF_ANALYTICS": "false",
            "XCOMCTL_HOLD_POOL": HOLD_POOL,
            "XCOMCTL_SECOND_HOLD_POOL": SECOND_HOLD_POOL,
            SANDBOX_VARIABLE: str(self.family.folder),
            **EnvFile.read(self.carrier).variables(),
        }

    def initialise(self) -> None:
        """Create the metadata database's schema and, on Airflow 2, the user. Raises :class:`SandboxError`."""
        self._cli("db", "migrate")
        if self.major < 3:
            names = ["--firstname", "x", "--lastname", "x", "--email", "admin@localhost"]
            # With =: a password may begin with a dash.
            self._cli("users", "create", "-u", _USER, f"--password={self.password}", "-r", "Admin", *names)

    def start(self, waiting: Callable[[str], None]) -> float:
        """Start every service that is not up and wait until each has a fresh heartbeat; the seconds that took."""
        began = time.monotonic()
        since = datetime.now(UTC)
        env = self.environment()
        for name, arguments in self._services().items():
            if name not in self.services:
                server = Server(f"Airflow's {name}", self._airflow(*arguments), env, self.folder / f"{name}.log", self.folder)  # fmt: skip
                self.services[name] = self.family.start(server)
        self.family.wait_until(
            lambda: self._healthy(since, waiting),
            "Airflow to be up",
            timeout_s=240,
            poll_s=0.5,
            hint=lambda: self._last_answer,
        )
        return time.monotonic() - began

    def stop(self, grace_s: float = 20.0, but: Collection[str] = ()) -> None:
        """End every service but these, all at once; what is left after ``grace_s`` seconds is killed."""
        stop_all([server for name, server in self.services.items() if name not in but], grace_s)
        self.services = {name: server for name, server in self.services.items() if name in but}

    def wait_for_dag(self, dag_id: str, waiting: Callable[[str], None]) -> None:
        """Wait until the DAG is parsed. Raises :class:`SandboxError` with Airflow's import error."""

        def parsed() -> bool:
            errors = self.api.import_errors()
            if errors:
                raise SandboxError("Airflow cannot import the reference DAG.", log=tuple(errors[0].splitlines()[-10:]))
            return self.api.dag(dag_id) is not None

        self.family.wait_until(parsed, f"{dag_id} to be parsed", timeout_s=120, waiting=waiting, poll_s=0.5)

    def _healthy(self, since: datetime, waiting: Callable[[str], None]) -> bool:
        try:
            health = self.api.health()
        except ApiError as error:
            self._last_answer = str(error)
            waiting("Airflow's web server to answer" if self.major < 3 else "Airflow's API server to answer")
            return False
        for component in ("scheduler", "triggerer", *(("dag_processor",) if self.major >= 3 else ())):
            heartbeat = (health.get(component) or {}).get(f"latest_{component}_heartbeat")
            if heartbeat is None or datetime.fromisoformat(heartbeat.replace("Z", "+00:00")) < since:
                waiting(f"the first heartbeat of the {component.replace('_', '-')}")
                return False
        return True

    def _services(self) -> dict[str, list[str]]:
        # Logs are read from files: no log server, which would listen on all interfaces.
        scheduler, triggerer = ["scheduler", "--skip-serve-logs"], ["triggerer", "--skip-serve-logs"]
        if self.major >= 3:
            server = ["api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
            return {
                "api-server": server,
                "scheduler": scheduler,
                "dag-processor": ["dag-processor"],
                "triggerer": triggerer,
            }
        server = ["webserver", "--hostname", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        return {"webserver": server, "scheduler": scheduler, "triggerer": triggerer}

    def _configuration(self, database_url: str) -> dict[str, str]:
        driver_url = database_url.replace("postgresql://", "postgresql+psycopg2://", 1)
        common = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": driver_url,
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.folder / "logs"),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        if self.major < 3:
            return {
                **common,
                "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.basic_auth",
                "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
                "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "10",
                "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
                "AIRFLOW__WEBSERVER__SECRET_KEY": secrets.token_urlsafe(24),
                "AIRFLOW__WEBSERVER__WARN_DEPLOYMENT_EXPOSURE": "False",
            }
        passwords = self.folder / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({_USER: self.password}))
        return {
            **common,
            # One secret for all: without it each process makes up its own, and no task may talk to the API server.
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(24),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{_USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }

    def _airflow(self, *arguments: str) -> list[str]:
        return [str(self.python), "-m", "airflow", *arguments]

    def _cli(self, *arguments: str) -> None:
        log = self.folder / "cli.log"
        with log.open("ab") as output:
            done = subprocess.run(
                self._airflow(*arguments),
                env=self.environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if done.returncode != 0:
            command = " ".join(arguments[:2])
            raise SandboxError(f"`airflow {command}` failed (exit status {done.returncode}).", log=tail(log))
