"""A MariaDB of a test's own, over a socket. Debian's, or whatever the machine has: nothing of it comes with the locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xcomctl.rehearsal.sandbox.processes import Family, Server

INSTALL = "apt-get install -y --no-install-recommends mariadb-server"
_PROGRAMS = ("mariadbd", "mariadb-install-db")
#: Where a server is that is not in everybody's path.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def missing() -> list[str]:
    """The programs that :func:`running` needs and that are not there."""
    return [program for program in _PROGRAMS if shutil.which(program, path=_PATH) is None]


@contextmanager
def running() -> Iterator[str]:
    """What comes behind the driver in the SQLAlchemy URL of an empty database: ``//root@localhost/airflow?unix_socket=…``."""
    with tempfile.TemporaryDirectory(prefix="xcomctl-mariadb-") as name:
        folder = Path(name).resolve()
        data, socket = folder / "data", folder / "socket"
        user = ["--user=root"] if os.geteuid() == 0 else []
        environment = {"PATH": _PATH, "HOME": str(folder), "TMPDIR": str(folder)}
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", *user, f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        program = shutil.which("mariadbd", path=_PATH)
        assert program is not None
        argv = [
            program, "--no-defaults", *user, f"--datadir={data}", f"--socket={socket}", "--skip-networking",
            f"--pid-file={folder / 'pid'}", "--innodb-flush-log-at-trx-commit=0",
        ]  # fmt: skip
        family = Family(folder)
        try:
            family.start(Server("MariaDB", argv, environment, folder / "log", folder))
            family.wait_until(lambda: _created(socket), "MariaDB", timeout_s=60, poll_s=0.1)
            yield f"//root@localhost/airflow?unix_socket={socket}"
        finally:
            family.stop()


def _created(socket: Path) -> bool:
    """Whether it answers and has the database."""
    import pymysql

    try:
        connection = pymysql.connect(unix_socket=str(socket), user="root")
    except pymysql.err.OperationalError:
        return False
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS airflow CHARACTER SET utf8mb4")
    return True
