"""A store that fails: an HTTP proxy in front of a real S3 server, whose GETs of objects go wrong on demand.

The ``Host`` of a request is passed on as the client sent it: it is signed, and the server holds the signature against what
it is given.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.loopback import LoopbackServer

#: 503 as S3 says it.
STATUS = "status"
#: The whole length is announced, and the connection ends half-way.
CUT = "cut"
#: Half of the object, announced as that; the ETag is that of the whole.
TRUNCATED = "truncated"
#: As many bytes as there are, and other ones; the ETag is that of the right ones.
GARBAGE = "garbage"
#: The right bytes, a sixteenth at a time.
SLOW = "slow"
#: The right bytes, without their length.
UNSIZED = "unsized"
#: 404 as S3 says it.
NOT_FOUND = "not_found"

_SAID = {
    STATUS: (503, "SlowDown", "Please reduce your request rate."),
    NOT_FOUND: (404, "NoSuchKey", "The specified key does not exist."),
}
_PAUSE_S = 0.02
#: Between two neighbours alone, or done by :mod:`http.server` already.
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "expect"})
#: A GET with one of these is about the object's bytes.
_OF_OBJECTS = frozenset({"x-id", "versionId", "partNumber"})


@dataclass
class Fault:
    """What happens to GETs of objects whose key holds ``key``: to the next ``times``, or to all. ``met`` counts them.

    Without ``checksums`` the answer has none but the ETag, as that of an older store or for an older client.
    """

    kind: str
    key: str
    times: int | None = None
    checksums: bool = True
    met: int = 0


class FaultyStore:
    """The proxy. ``asked`` are the methods and paths of all requests so far."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.endpoint = ""
        self.asked: list[tuple[str, str]] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    @contextmanager
    def failing(self, kind: str, key: str, times: int | None = None, *, checksums: bool = True) -> Iterator[Fault]:
        """GETs of such objects go wrong like this, as long as the block lasts."""
        fault = Fault(kind, key, times, checksums)
        with self._lock:
            self._faults.append(fault)
        try:
            yield fault
        finally:
            with self._lock:
                self._faults.remove(fault)

    def requests(self, key: str) -> list[str]:
        """The methods of all requests whose path holds this."""
        with self._lock:
            return [method for method, path in self.asked if key in path]

    def fault_for(self, method: str, target: str) -> Fault | None:
        """Note a request; what happens to it."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        bucket, _, key = path.lstrip("/").partition("/")
        of_object = method == "GET" and bool(bucket and key) and set(parse_qs(parts.query)) <= _OF_OBJECTS
        with self._lock:
            self.asked.append((method, path))
            for fault in self._faults:
                if of_object and fault.key in key and (fault.times is None or fault.met < fault.times):
                    fault.met += 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: FaultyStore

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client has gone
            self.close_connection = True

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.store.fault_for(self.command, self.path)
        if fault is not None and fault.kind in _SAID:
            status, code, message = _SAID[fault.kind]
            xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            self._answer(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(xml)))], xml, None)
            return
        upstream = http.client.HTTPConnection(*self.store.server, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _HOP:
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            self._answer(response.status, response.getheaders(), response.read(), fault)
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = relay

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, fault: Fault | None) -> None:
        kind = "" if fault is None else fault.kind
        dropped = {*_HOP, "content-length"} if self._has_body(status) else set(_HOP)
        self.send_response_only(status)
        for name, value in headers:
            checksum = name.lower().startswith("x-amz-checksum-")
            if name.lower() not in dropped and not (checksum and fault is not None and not fault.checksums):
                self.send_header(name, value)
        if kind == TRUNCATED:
            body = body[: len(body) // 2]
        elif kind == GARBAGE:
            body = bytes(byte ^ 1 for byte in body)
        if kind == UNSIZED:
            self.send_header("Transfer-Encoding", "chunked")
        elif self._has_body(status):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == CUT:
            self.close_connection = True
            body = body[: len(body) // 2]
        if kind == UNSIZED:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        step = -(-len(body) // 16) if kind == SLOW else len(body)
        for start in range(0, len(body), max(step, 1)):
            self.wfile.write(body[start : start + step])
            if kind == SLOW:
                time.sleep(_PAUSE_S)

    def _has_body(self, status: int) -> bool:
        return self.command != "HEAD" and status not in (204, 304)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def faulty_store(endpoint: str) -> Iterator[FaultyStore]:
    """A proxy in front of the S3 server at that endpoint, on a free loopback port."""
    parts = urlsplit(endpoint)
    assert parts.hostname is not None
    assert parts.port is not None
    store = FaultyStore((parts.hostname, parts.port))
    with LoopbackServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store})) as server:
        store.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        try:
            yield store
        finally:
            server.shutdown()
            serving.join()
