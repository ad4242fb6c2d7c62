"""Where Loki is reached, and who asks."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from xcomctl.clients.loki_answers import LokiError


class Address(Protocol):
    """Where Loki is reached. ``url`` may be another one after :meth:`renew`."""

    @property
    def url(self) -> str:
        """The base of it, without a slash at the end; it may have a path."""

    def renew(self) -> bool:
        """The connection broke. ``True`` if the way there was made anew, ``False`` if the same URL may just be asked again.

        Raises :class:`~xcomctl.errors.UserError` if there is no way any more.
        """


@dataclass(frozen=True)
class FixedAddress:
    """A URL that was given, and that nobody can make anew."""

    url: str

    def renew(self) -> bool:
        """Ask again."""
        return False


@dataclass(frozen=True)
class Login:
    """Who asks: a tenant (or several, ``a|b``), and basic or bearer authentication. ``ca_file`` holds the server's CA."""

    tenant: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown."""
        return tuple(secret for secret in (self.password, self.token) if secret)

    def headers(self) -> dict[str, str]:
        """The headers that say it. Raises :class:`LokiError` for what no header can hold, without showing it."""
        sent = {"X-Scope-OrgID": self.tenant or ""}
        if self.token:
            sent["Authorization"] = f"Bearer {self.token.strip()}"
        elif self.username or self.password:
            # UTF-8, as browsers and Go send it; httpx's own would do, but a token has to be checked all the same.
            both = f"{self.username or ''}:{self.password or ''}".encode()
            sent["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
        for name, value in sent.items():
            if not value.isascii() or not value.isprintable():
                what = "The tenant" if name == "X-Scope-OrgID" else "The bearer token"
                raise LokiError(
                    f"{what} has a line break, or a character that no HTTP header can hold.",
                    "check LOKI_ORG_ID" if name == "X-Scope-OrgID" else "check LOKI_BEARER_TOKEN and its file",
                )
        return {name: value for name, value in sent.items() if value}


def is_loopback(url: str) -> bool:
    """Whether a URL is of this machine, as a port-forward's is."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
