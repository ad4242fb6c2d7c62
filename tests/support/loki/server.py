"""The HTTP API of the fake Loki. Texts and statuses are those of ``pkg/loghttp``, ``pkg/querier`` and ``pkg/util`` of Loki."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.loki.answers import Said, go_duration, prometheus_duration, streams_of
from tests.support.loki.logql import ParseError, Query, parse
from tests.support.loki.rules import HOUR_NS, Fault, Rules
from tests.support.loki.store import Streams
from tests.support.loopback import LoopbackServer

API = "/loki/api/v1"
QUERY_RANGE = f"{API}/query_range"


class FakeLoki:
    """The server; ``asked`` are the paths and parameters of all requests so far."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.url = ""
        self.port = 0
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.ended = threading.Event()
        self._faults: list[Fault] = []
        self._tenants: dict[str, Streams] = {}
        self._lock = threading.Lock()

    def tenant(self, name: str = "fake") -> Streams:
        """The streams of a tenant; without tenants, everything belongs to ``fake``, as in Loki."""
        with self._lock:
            return self._tenants.setdefault(name, Streams())

    def push(self, labels: Mapping[str, str], entries: Iterable[tuple[int, str]], **metadata: str) -> None:
        """Take lines of a stream."""
        self.tenant().push(labels, entries, metadata)

    def clear(self) -> None:
        """Forget everything that was pushed."""
        with self._lock:
            self._tenants.clear()

    @contextmanager
    def failing(self, fault: Fault) -> Iterator[Fault]:
        """Requests go wrong like this, as long as the block lasts."""
        with self._lock:
            self._faults.append(fault)
        try:
            yield fault
        finally:
            with self._lock:
                self._faults.remove(fault)

    def queries(self) -> list[dict[str, str]]:
        """The parameters of all range queries so far."""
        with self._lock:
            return [params for path, params in self.asked if path.endswith("/query_range")]

    def note(self, path: str, params: dict[str, str], headers: dict[str, str]) -> Fault | None:
        """Note a request; what goes wrong with it."""
        with self._lock:
            self.asked.append((path, params))
            self.headers.append(headers)
            return next((fault for fault in self._faults if fault.strikes(path)), None)

    def answer(self, path: str, params: dict[str, str], headers: Mapping[str, str]) -> Said:
        """What Loki says to a request."""
        rules = self.rules
        if not path.startswith(rules.prefix):
            return Said(404, "404 page not found\n")
        path = path[len(rules.prefix) :]
        if path == "/ready":
            return Said(200, "ready\n")
        if (refused := self._refused(headers)) is not None:
            return refused
        name = headers.get("x-scope-orgid", "") if rules.tenants else "fake"
        if not name:
            return Said(401, "no org id\n")
        streams = self.tenant(name)
        try:
            if path == f"{API}/drilldown-limits" and rules.publishes_limits:
                return Said(200, json.dumps({"limits": self._limits(), "version": "3.5.0"}), "application/json")
            if path == QUERY_RANGE:
                return self._query_range(streams, params, headers, len(self.asked))
            start_ns, end_ns = self._range(params, 6 * HOUR_NS)
            start_ns = self._looked_back(start_ns)
            if path == f"{API}/labels":
                found = streams.matching(self._selected(params.get("query")), start_ns, end_ns)
                return _data(sorted({name for stream in found for name in stream.labels}))
            if path.startswith(f"{API}/label/") and path.endswith("/values"):
                label = unquote(path.removeprefix(f"{API}/label/").removesuffix("/values"))
                found = streams.matching(self._selected(params.get("query")), start_ns, end_ns)
                return _data(sorted({stream.labels[label] for stream in found if label in stream.labels}))
            if path == f"{API}/series":
                selector = params.get("match[]") or params.get("match")
                found = streams.matching(self._selected(selector), start_ns, end_ns)
                hidden = rules.hidden.items()
                return _data([dict(each.labels) for each in found if not hidden or not hidden <= each.labels.items()])
        except ParseError as error:
            return Said(400, str(error))
        except _Refusal as error:
            return Said(error.status, str(error))
        return Said(404, "404 page not found\n")

    def _refused(self, headers: Mapping[str, str]) -> Said | None:
        given, rules = headers.get("authorization", ""), self.rules
        basic = rules.login and f"Basic {base64.b64encode(':'.join(rules.login).encode()).decode()}"
        if (basic and given != basic) or (rules.token and given != f"Bearer {rules.token}"):
            return Said(401, "<html><head><title>401 Authorization Required</title></head></html>", "text/html")
        return None

    def _limits(self) -> dict[str, Any]:
        return {
            "max_entries_limit_per_query": self.rules.max_entries,
            "max_query_length": prometheus_duration(self.rules.max_query_length_ns),
            "max_query_lookback": prometheus_duration(self.rules.max_query_lookback_ns),
        }

    def _selected(self, text: str | None) -> Any:
        return (lambda labels: True) if text is None else parse(text).matches

    def _range(self, params: Mapping[str, str], default_ns: int) -> tuple[int, int]:
        end_ns = _moment(params.get("end"), time.time_ns())
        start_ns = _moment(params.get("start"), end_ns - default_ns)
        longest = self.rules.max_query_length_ns
        if end_ns < start_ns:
            raise _Refusal(400, "end timestamp must not be before or equal to start time")
        # The front-end compares milliseconds.
        length_ns = (end_ns // 1_000_000 - start_ns // 1_000_000) * 1_000_000
        if longest and length_ns > longest:
            raise _Refusal(
                400,
                f"the query time range exceeds the limit (query length: {go_duration(length_ns)}, "
                f"limit: {prometheus_duration(longest)})",
            )
        return start_ns, end_ns

    def _looked_back(self, start_ns: int) -> int:
        """What is older is left out, without a word."""
        lookback_ns = self.rules.max_query_lookback_ns
        return max(start_ns, time.time_ns() - lookback_ns) if lookback_ns else start_ns

    def _query_range(self, streams: Streams, params: dict[str, str], headers: Mapping[str, str], number: int) -> Said:
        rules = self.rules
        limit_text, direction = params.get("limit", "100"), params.get("direction", "backward").upper()
        if not limit_text.isdigit():
            raise _Refusal(400, f'strconv.Atoi: parsing "{limit_text}": invalid syntax')
        limit = int(limit_text)
        if limit <= 0:
            raise _Refusal(400, "limit must be a positive value")
        if direction not in ("FORWARD", "BACKWARD"):
            raise _Refusal(400, f"invalid direction '{direction.lower()}'")
        query: Query = parse(params.get("query", ""))
        if query.metric:
            return _data({"resultType": "matrix", "result": [], "stats": {}})
        start_ns, end_ns = self._range(params, HOUR_NS)
        if rules.max_entries and limit > rules.max_entries:
            raise _Refusal(
                400,
                "max entries limit per query exceeded, limit > max_entries_limit_per_query "
                f"({limit} > {rules.max_entries})",
            )
        start_ns = self._looked_back(start_ns)
        size = streams.size(query, start_ns, end_ns) if rules.max_query_chars or rules.slow_chars else 0
        if rules.max_query_chars and size > rules.max_query_chars:
            raise _Refusal(
                400,
                f"the query would read too many bytes (query: {size}B, limit: {rules.max_query_chars}B); consider adding "
                "more specific stream selectors or reduce the time range of the query",
            )
        if rules.slow_chars and size > rules.slow_chars:
            raise _Refusal(504, "request timed out, decrease the duration of the request or add more label matchers")
        salt = str(number) if rules.shuffles else ""
        chosen = streams.select(query, start_ns, end_ns, limit, backward=direction == "BACKWARD", salt=salt)
        categorized = rules.categorizes and "categorize-labels" in headers.get("x-loki-response-encoding-flags", "")
        said = _data({"resultType": "streams", "result": streams_of(chosen, categorized), "stats": {}})
        if rules.max_answer_chars and len(said.body) > rules.max_answer_chars:
            raise _Refusal(
                500,
                "rpc error: code = ResourceExhausted desc = grpc: received message larger than max "
                f"({len(said.body)} vs. {rules.max_answer_chars})",
            )
        return said


class _Refusal(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _data(data: Any) -> Said:
    return Said(200, json.dumps({"status": "success", "data": data}), "application/json; charset=UTF-8")


def _moment(text: str | None, default: int) -> int:
    """Seconds with a fraction, seconds (up to ten digits), nanoseconds, or RFC 3339: as Loki tells them apart."""
    if not text:
        return default
    if text.lstrip("-").isdigit():
        return int(text) * (1_000_000_000 if len(text) <= 10 else 1)
    try:
        return round(float(text) * 1000) * 1_000_000
    except ValueError:
        pass
    try:
        return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1_000_000) * 1000
    except ValueError:
        raise _Refusal(
            400, f'could not parse time: parsing time "{text}" as "2006-01-02T15:04:05.999999999Z07:00"'
        ) from None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body: a small answer would wait for the client's delayed acknowledgement
    loki: FakeLoki

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # the client has gone
            self.close_connection = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        params = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = self.loki.note(parts.path, params, headers) or Fault()
        if fault.late_s:
            self.loki.ended.wait(fault.late_s)
        if fault.dropped:
            self.close_connection = True
            return
        if fault.status:
            said = Said(fault.status, fault.body, fault.headers.get("Content-Type", "text/plain; charset=utf-8"))
        else:
            said = self.loki.answer(parts.path, params, headers)
        body = said.body.encode("utf-8")
        self.send_response_only(said.status)
        self.send_header("Content-Type", said.content_type)
        for name, value in fault.headers.items():
            if name != "Content-Type":
                self.send_header(name, value)
        if fault.unsized:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault.cut or fault.unsized:
            self.close_connection = True
        self.wfile.write(body[: len(body) // 2] if fault.cut else body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@contextmanager
def fake_loki(rules: Rules | None = None, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[FakeLoki]:
    """A Loki on a loopback port, a free one unless told."""
    loki = FakeLoki(rules or Rules())
    with LoopbackServer(("127.0.0.1", port), type("Handler", (_Handler,), {"loki": loki})) as server:
        loki.port = server.server_address[1]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        loki.url = f"http{'s' if tls else ''}://127.0.0.1:{loki.port}{loki.rules.prefix}"
        serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        try:
            yield loki
        finally:
            loki.ended.set()
            server.shutdown()
            serving.join()
