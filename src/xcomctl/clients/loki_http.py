"""One Loki over HTTP: who we are, asking again with patience, and the bounds on what an answer may hold."""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.clients.airflow_api import without_login
from xcomctl.clients.loki_address import Address, Login, is_loopback
from xcomctl.clients.loki_answers import Again, LokiError, LokiUnreachable, Refused, Why, failure, no_loki
from xcomctl.model.redaction import redact

if TYPE_CHECKING:
    import httpx

#: How often one request is asked before we give up; with :data:`_FIRST_S` doubled each time, about a minute.
ATTEMPTS = 8
_ATTEMPTS_ABSENT = 3
#: Read time-outs in a row after which the way to Loki may be what hangs.
_SILENT_TIMES = 2
_FIRST_S = 0.5
_LONGEST_S = 20.0
#: More than a server that is well asks for.
_LONGEST_ASKED_S = 120.0
_CONNECT_S = 10.0
#: What one answer may weigh. A page is asked for with fewer lines when it is heavier, so that memory stays bounded.
PAGE_BYTES = 32 * 1024 * 1024
_ERROR_BYTES = 64 * 1024


class LokiHttp:
    """Requests to one Loki. ``say`` takes sentences for the person who waits; ``pause`` waits some seconds."""

    def __init__(
        self,
        address: Address,
        login: Login,
        *,
        say: Callable[[str], None],
        timeout_s: float,
        pause: Callable[[float], None] = time.sleep,
        attempts: int = ATTEMPTS,
    ) -> None:
        self._address = address
        self._say = say
        self._timeout_s = timeout_s
        self._pause = pause
        self.attempts = attempts
        #: Whether anybody ever answered.
        self.met = False
        self._silent = 0
        self._secrets = login.secrets
        self._headers = {
            **login.headers(),
            # Labels of the stream, structured metadata and what a parser made are told apart (Loki 3; older ones mix them).
            "X-Loki-Response-Encoding-Flags": "categorize-labels",
            # An answer out of the results cache may be older than the lines that are looked for.
            "Cache-Control": "no-cache",
            "User-Agent": "xcomctl",
        }
        self._tls = _tls_context(login.ca_file)
        self._client: httpx.Client | None = None
        self._client_is_near: bool | None = None
        #: Requests that were sent.
        self.requests = 0

    @property
    def shown(self) -> str:
        """The address as it may be shown."""
        return without_login(self._address.url).rstrip("/")

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def get(
        self, path: str, params: Sequence[tuple[str, str]], *, divisible: bool = False, attempts: int | None = None
    ) -> Any:
        """The JSON of an answer; asked again while that may help, up to ``attempts`` times where that is fewer.

        Raises :class:`Refused` for what has to be asked otherwise, where ``divisible`` requests may be refused for being
        slow, too; :class:`LokiUnreachable` when we give up; :class:`LokiError` for everything that is final.
        """
        tried = 0
        while True:
            try:
                return self._once(path, params)
            except Refused as refused:
                if divisible or refused.why is not Why.SLOW:
                    raise
                again = Again(refused.said)
            except Again as error:
                again = error
            tried += 1
            # Where nobody ever answered, the address is wrong more often than somebody is about to come.
            most = min(self.attempts, attempts or self.attempts)
            if again.absent and not self.met:
                most = min(most, _ATTEMPTS_ABSENT)
            if tried >= most:
                raise LokiUnreachable(
                    f"Loki at {self.shown} gave no answer, asked {tried} times: {again.said}.",
                    "check that it is up, and what its own log says of it",
                )
            renewed = again.broken and self._address.renew()
            if renewed:
                self._say(f"{again.said}: the way to Loki was made anew, asking again ({tried} of {most})")
                if tried == 1:
                    continue
            self.wait(tried, again.said, again.after_s, most)

    def wait(self, tried: int, said: str, after_s: float | None = None, most: int | None = None) -> None:
        """Wait before asking again: twice as long each time, give or take, so that many who wait do not come at once."""
        pause_s = min(_FIRST_S * 2 ** (tried - 1), _LONGEST_S) * random.uniform(0.5, 1.0)
        if after_s is not None:
            pause_s = min(after_s, _LONGEST_ASKED_S) + pause_s * 0.2
        self._say(f"{said}: asking again in {pause_s:.1f} s ({tried} of {most or self.attempts})")
        self._pause(pause_s)

    def _once(self, path: str, params: Sequence[tuple[str, str]]) -> Any:
        import httpx

        self.requests += 1
        url = f"{self._address.url.rstrip('/')}{path}"
        try:
            # What is a URL's own login is sent by httpx, unless there is another.
            with self._clients().stream("GET", url, params=list(params)) as response:
                body = self._read(response)
        except httpx.ReadTimeout:
            self._heard_nothing()
            raise Refused(Why.SLOW, f"Loki gave no answer within {self._timeout_s:g} s") from None
        except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
            raise self._broken(error) from None
        self.met, self._silent = True, 0
        text_type = response.headers.get("content-type", "").lower()
        if response.status_code != 200:
            query = next((value for name, value in params if name == "query"), "")
            raise failure(
                response.status_code, {name.lower(): value for name, value in response.headers.items()},
                body.decode("utf-8", "replace"), shown=self.shown, path=path, query=query, secrets=self._secrets,
            )  # fmt: skip
        try:
            record = json.loads(body)
        except ValueError:
            # No length was told, so that nobody else noticed.
            if not body or ("json" in text_type and body.lstrip()[:1] == b"{"):
                raise Again("Loki's answer was cut", broken=True) from None
            record = None
        if not isinstance(record, dict) or (record.get("status") != "success" and "limits" not in record):
            start = bytes(body[:_ERROR_BYTES]).decode("utf-8", "replace")
            raise no_loki(start, text_type, shown=self.shown, secrets=self._secrets)
        return record

    def _heard_nothing(self) -> None:
        """A slow query is silent, and so is a port-forward whose pod has gone: after the second time the way is made anew."""
        self._silent += 1
        if self._silent < _SILENT_TIMES:
            return
        self._silent = 0
        if self._address.renew():
            self._say("Loki is silent: the way to it was made anew")

    def _read(self, response: httpx.Response) -> bytearray:
        most = PAGE_BYTES if response.status_code == 200 else _ERROR_BYTES
        body = bytearray()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > most:
                if response.status_code == 200:
                    raise Refused(Why.TOO_LARGE, f"an answer was larger than {most // 1024**2} MiB")
                break
        return body

    def _broken(self, error: Exception) -> Exception:
        import httpx

        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return LokiError(
                    f"The certificate of {self.shown} cannot be trusted: {cause.verify_message}.",
                    "give its CA: --ca-cert FILE, LOKI_CA_CERT_PATH, or `ca_file` in the deployment's `loki` table",
                )
            cause = cause.__cause__ or cause.__context__
        said = redact(str(error)) or type(error).__name__
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return Again(f"Loki cannot be reached ({said})", broken=True, absent=True)
        return Again(f"The connection to Loki broke ({said})", broken=True)

    def _clients(self) -> httpx.Client:
        """A client that heeds the environment's proxies, unless Loki is on this machine, as behind a port-forward."""
        import httpx

        url = self._address.url
        near = is_loopback(url)
        if self._client is not None and self._client_is_near is near:
            return self._client
        self.close()
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise LokiError(f"{self.shown!r} is no URL of a Loki.", "give it as http://HOST:PORT or https://HOST")
        try:
            self._client = httpx.Client(
                headers=self._headers,
                timeout=httpx.Timeout(self._timeout_s, connect=min(_CONNECT_S, self._timeout_s)),
                trust_env=not near,
                verify=self._trusted(plain=near and parsed.scheme == "http"),
                auth=_keeping if "Authorization" in self._headers else None,
            )
        except (ValueError, ImportError, httpx.InvalidURL, OSError):  # its words may hold a proxy's password
            raise LokiError(
                "The environment's settings for proxies or certificates cannot be used.",
                "look at HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY and SSL_CERT_FILE",
            ) from None
        self._client_is_near = near
        return self._client

    def _trusted(self, *, plain: bool) -> ssl.SSLContext | bool:
        """Whom to trust. Where TLS is not spoken at all, nobody: reading the CAs of the world takes longer than a query."""
        if plain:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return True if self._tls is None else self._tls


def _tls_context(ca_file: Path | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise LokiError(
            f"The CA file {ca_file} cannot be used: {error.strerror or error}.",
            "give a file of certificates in PEM",
        ) from None


def _keeping(request: httpx.Request) -> httpx.Request:
    """Authentication that leaves our own header alone: httpx would put the login of a URL or of a .netrc in its place."""
    return request
