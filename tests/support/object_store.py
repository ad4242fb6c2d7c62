"""The S3 server of the walk, as whoever owns it sees it: buckets, their policies and rules, and what lies in them."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.walk import Walk
from xcomctl.rehearsal.sandbox import objectstore
from xcomctl.rehearsal.sandbox.ports import free_ports
from xcomctl.rehearsal.sandbox.processes import Family

#: boto3 is in Airflow's environment, not in ours: one process there answers every call.
_PROGRAM = """
import sys, json, boto3, botocore.exceptions
given = json.loads(sys.stdin.readline())
client = boto3.client("s3", **given)
for line in sys.stdin:
    method, arguments = json.loads(line)
    try:
        answer = getattr(client, method)(**arguments)
        answer.pop("ResponseMetadata", None)
    except botocore.exceptions.ClientError as error:
        answer = {"error": error.response["Error"]["Code"]}
    print(json.dumps(answer, default=str), flush=True)
"""


class Owner:
    """Calls of the S3 API with the sandbox's own identity, by botocore's names."""

    def __init__(self, process: subprocess.Popen[str], connection: Mapping[str, str]) -> None:
        self._process = process
        self.connection = connection
        self.endpoint = str(json.loads(connection["extra"])["endpoint_url"])

    def __call__(self, method: str, **arguments: Any) -> dict[str, Any]:
        """One call: its answer, or ``{"error": CODE}``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, arguments]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """The keys of what lies in a bucket (fewer than a thousand)."""
        answer = self("list_objects_v2", Bucket=bucket, Prefix=prefix)
        assert "error" not in answer, answer
        return [entry["Key"] for entry in answer.get("Contents", ())]

    @contextmanager
    def denied(self, bucket: str, *actions: str, below: str = "") -> Iterator[None]:
        """Some actions are refused to everybody, in a bucket or below a prefix of it."""
        place = f"arn:aws:s3:::{bucket}"
        resources = [f"{place}/{below}*"] if below else [place, f"{place}/*"]
        statement = {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": resources}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        assert self("put_bucket_policy", Bucket=bucket, Policy=json.dumps(policy)) == {}
        try:
            yield
        finally:
            assert self("delete_bucket_policy", Bucket=bucket) == {}

    @contextmanager
    def lifecycle(self, bucket: str, **rule: Any) -> Iterator[None]:
        """A bucket with one lifecycle rule."""
        configuration = {"Rules": [{"ID": "a-rule", "Status": "Enabled", **rule}]}
        answer = self("put_bucket_lifecycle_configuration", Bucket=bucket, LifecycleConfiguration=configuration)
        assert "error" not in answer, answer
        try:
            yield
        finally:
            assert self("delete_bucket_lifecycle", Bucket=bucket) == {}


@contextmanager
def owner(walk: Walk) -> Iterator[Owner]:
    """The owner of the walk's S3 server."""
    assert walk.sandbox.store is not None
    connection = walk.sandbox.store.connection
    assert connection is not None
    extra = json.loads(connection["extra"])
    credentials = {
        "aws_access_key_id": connection["login"],
        "aws_secret_access_key": connection["password"],
        "endpoint_url": extra["endpoint_url"],
        "region_name": extra["region_name"],
    }
    with subprocess.Popen(
        [str(walk.python), "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(credentials) + "\n")
        process.stdin.flush()
        try:
            yield Owner(process, connection)
        finally:
            process.stdin.close()


@contextmanager
def alone(folder: Path) -> Iterator[objectstore.ObjectStore]:
    """An S3 server without a sandbox around it, as long as the block lasts."""
    ports = free_ports(objectstore.PORTS)
    family = Family(folder)
    try:
        yield objectstore.start_s3(family, folder / "store", ports)
    finally:
        family.stop(grace_s=0.5)  # what it holds goes with it
        for path in objectstore.sockets(ports):
            path.unlink(missing_ok=True)


def reader(walk: Walk) -> dict[str, str]:
    """Login and password of the identity that may only read and list."""
    file = walk.sandbox.folder / "store" / objectstore.IDENTITIES
    (found,) = [each for each in json.loads(file.read_text())["identities"] if each["name"] == objectstore.READER]
    (keys,) = found["credentials"]
    return {"login": keys["accessKey"], "password": keys["secretKey"]}


#: What a gateway does with a request: pass it on, answer it with 403, or never answer it.
PASS, REFUSE, STALL = "pass", "refuse", "stall"
_REFUSAL = b"<Error><Code>AccessDenied</Code><Message>The gateway says no</Message></Error>"


class Gateway:
    """A gateway in front of the S3 server: the same requests and answers, unless ``rule`` says otherwise.

    ``rule`` is given a request's first line. The server's own policies cannot express everything that a store may do.
    """

    def __init__(self, listener: socket.socket, server: tuple[str, int]) -> None:
        self._listener = listener
        self._server = server
        self.endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.rule: Callable[[str], str] = lambda line: PASS

    @contextmanager
    def ruled(self, answer: str, *parts: str) -> Iterator[None]:
        """Requests whose first line holds all of these parts get this answer."""
        self.rule = lambda line: answer if all(part in line for part in parts) else PASS
        try:
            yield
        finally:
            self.rule = lambda line: PASS

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._server) as server, suppress(OSError):
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            while data := client.recv(1 << 16):
                # A client waits for its answer before it asks again, so that a request begins where a read does.
                line = data.split(b"\r\n", 1)[0].decode("latin-1")
                answer = self.rule(line) if line.endswith("HTTP/1.1") else PASS
                if answer == REFUSE:
                    head = f"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nContent-Length: {len(_REFUSAL)}\r\n"
                    client.sendall(head.encode() + b"Connection: close\r\n\r\n" + _REFUSAL)
                    return
                if answer == PASS:
                    server.sendall(data)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)


@contextmanager
def gateway(owned: Owner) -> Iterator[Gateway]:
    """A gateway in front of the owner's S3 server."""
    host, _, port = owned.endpoint.partition("://")[2].partition(":")
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        front = Gateway(listener, (host, int(port)))
        threading.Thread(target=front.serve, daemon=True).start()
        yield front
