"""What Loki's answers mean: what may be asked again, what has to be asked otherwise, and what nobody can help.

Loki tells its refusals as plain text; what stands in front of it may wrap them in JSON or answer with a page of its own.
The texts are those of ``pkg/util/validation``, ``pkg/querier/queryrange/limits.go`` and ``pkg/logqlmodel`` of Loki 2.9
to 3.6; a limit is known by its words, since its status differs with the way that it took (400, 422, 429, 500).
"""

from __future__ import annotations

import email.utils
import html
import json
import re
import time
from enum import Enum

from xcomctl.clients.airflow_api import without_login
from xcomctl.errors import UserError
from xcomctl.model.loki_query import duration_ns, marked
from xcomctl.model.redaction import redact
from xcomctl.model.verdicts import Verdict

_SHOWN = 400
_ADDRESS_HINT = (
    "give the URL of Loki (its gateway, query-frontend or querier) without /loki/api/v1, with the path that a proxy "
    "serves it under"
)
_LOGIN_HINT = "log in with LOKI_USERNAME and LOKI_PASSWORD, or with LOKI_BEARER_TOKEN"
_TENANT_HINT = "name the tenant: --org-id TENANT, LOKI_ORG_ID, or `tenant` in the deployment's `loki` table"


class LokiError(UserError):
    """Loki could not be asked, or refused; asking again in the same way will not help."""


class LokiUnreachable(LokiError):
    """Nobody answers, or nobody answers in a way that can be used, however often it is asked."""


class Why(Enum):
    """Why a request has to be asked otherwise."""

    TOO_LONG = "its time range is too long"
    TOO_MUCH = "it would read too much"
    TOO_OLD = "it is older than Loki looks back"
    ENTRIES = "it asks for too many lines at once"
    TOO_LARGE = "its answer is too large"
    SLOW = "it takes too long"
    MATCHERS = "it has too many matchers"


class Refused(Exception):
    """A request that has to be asked otherwise. ``bound`` is the limit that Loki told: nanoseconds, or lines."""

    def __init__(self, why: Why, said: str, bound: int | None = None) -> None:
        super().__init__(said)
        self.why = why
        self.said = said
        self.bound = bound


class Again(Exception):
    """A request that may be asked again. ``after_s`` is what the server asked to wait; ``broken``: the way there broke,
    or (``absent``) there was nobody at its end."""

    def __init__(self, said: str, after_s: float | None = None, *, broken: bool = False, absent: bool = False) -> None:
        super().__init__(said)
        self.absent = absent
        self.said = said
        self.after_s = after_s
        self.broken = broken


_TOO_LONG = re.compile(r"query time range exceeds the limit(?: \(query length: [^,]*, limit: ([^)\s]+)\))?")
_ENTRIES = re.compile(r"max entries limit per query exceeded(?:[^(]*\((\d+) > (\d+)\))?")
_OTHERWISE = (
    (re.compile(r"past now - max_query_lookback"), Why.TOO_OLD),
    (re.compile(r"max streams matchers per query exceeded"), Why.MATCHERS),
    (re.compile(r"(?:received|send) message larger than max"), Why.TOO_LARGE),
    (
        re.compile(
            r"would read too many bytes|too large to execute on a single querier|maximum (?:number )?of series"
            r"|hit the max number of (?:series|chunks)"
        ),
        Why.TOO_MUCH,
    ),
    (re.compile(r"context deadline exceeded|request timed out|query timed out"), Why.SLOW),
)
#: Gateway time-out, and Loki's own time-out and cancelled request.
_SLOW_STATUSES = (408, 499, 504)


def limit_told(text: str) -> Refused | None:
    """The limit that a text of Loki's tells of, if it does."""
    if match := _TOO_LONG.search(text):
        return Refused(Why.TOO_LONG, text, duration_ns(match[1]) if match[1] else None)
    if match := _ENTRIES.search(text):
        return Refused(Why.ENTRIES, text, int(match[2]) if match[2] else None)
    for pattern, why in _OTHERWISE:
        if pattern.search(text):
            return Refused(why, text)
    return None


def failure(
    status: int, headers: dict[str, str], body: str, *, shown: str, path: str, query: str, secrets: tuple[str, ...]
) -> Exception:
    """What an answer other than 200 means. ``headers`` are in lower case, ``shown`` is the address as it may be shown."""
    text = _cleaned(said(body), secrets)
    if 300 <= status < 400:
        where = _cleaned(without_login(re.split(r"[?#]", headers.get("location", ""))[0]), secrets)
        return LokiError(
            f"{shown} sends on to {where or 'another page'}: a login page stands in front of Loki, or it is elsewhere.",
            f"{_ADDRESS_HINT}; {_LOGIN_HINT}",
        )
    if status == 401 and "no org id" in body:
        return LokiError(f"Loki at {shown} has several tenants and was told none.", _TENANT_HINT)
    if status == 401:
        return LokiError(f"{shown} refused the login: 401 {text}".rstrip(), _LOGIN_HINT)
    if status == 403:
        return LokiError(
            f"{shown} does not let this login read here: 403 {text}".rstrip(), f"{_LOGIN_HINT}; {_TENANT_HINT}"
        )
    if status == 404:
        return LokiError(f"There is no Loki at {shown}: 404 for {path}.", _ADDRESS_HINT)
    # A syntax error quotes the query, in which any words may stand.
    if not text.startswith("parse error") and (told := limit_told(text)) is not None:
        return told
    if status in _SLOW_STATUSES:
        return Refused(Why.SLOW, f"{status} {text}".strip())
    if status == 429:
        return Again(f"Loki is busy (429 {text})", _after(headers.get("retry-after")))
    if status >= 500 and status not in (501, 505):
        return Again(f"Loki failed ({status} {text})", _after(headers.get("retry-after")))
    if status == 400 and query and body.lstrip()[:1] != "<":
        place = marked(query, text)
        return LokiError(
            f"Loki refused the query: {text}" + (f"\n{place}" if place else ""),
            "LogQL is described at https://grafana.com/docs/loki/latest/query/",
            Verdict.REFUSED,
        )
    return LokiError(f"Loki at {shown} refused {path}: {status} {text}".rstrip(), _ADDRESS_HINT)


def no_loki(body: str, content_type: str, *, shown: str, secrets: tuple[str, ...]) -> LokiError:
    """What a 200 that is no answer of Loki's means."""
    kind = "a web page" if "html" in content_type or body.lstrip()[:1] == "<" else "something else"
    text = _cleaned(said(body), secrets)
    return LokiError(
        f"What answers at {shown} is no Loki: it gave {kind}{f' ({text[:80]})' if text else ''}, not Loki's JSON.",
        f"{_ADDRESS_HINT}; where a login page stands in front: {_LOGIN_HINT}",
    )


def said(body: str) -> str:
    """An answer's words in one line: the message in its JSON, the title of its page, or its text."""
    text = body.strip()
    if text[:1] == "{":
        try:
            record = json.loads(text)
        except ValueError:
            record = {}
        text = next((str(record[key]) for key in ("message", "error") if record.get(key)), text)
    elif text[:1] == "<":
        title = re.search(r"(?is)<title[^>]*>(.*?)</title>", text)
        text = html.unescape(title[1]) if title else ""
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _cleaned(text: str, secrets: tuple[str, ...]) -> str:
    """Without secrets, whoever repeats them."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return redact(text)


def _after(value: str | None) -> float | None:
    """Seconds of a ``Retry-After``, which is a number or a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(at.timestamp() - time.time(), 0.0)
