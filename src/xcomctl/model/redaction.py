"""Takes secrets out of text and of JSON-like data before anything is printed, logged or journaled.

What is taken out: passwords in URLs of any scheme, ``AIRFLOW_CONN_…`` values, AWS access keys, JSON web tokens and
tokens with well-known prefixes, private key blocks, signatures in query strings, authorization headers, and the
values of names such as ``…password``, ``…secret``, ``…token``, ``…_key``. What stays: ``s3://conn_id@bucket/…``,
since user information without a password is a connection id there. It errs on the side of taking out too much.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from re import Pattern
from typing import Any

#: What stands in a secret's place.
REDACTED = "***"

#: Names that end like a secret's and hold none.
_HARMLESS_KEYS = (
    "bucket|cache|column|dest|dict|foreign|group|idempotency|index|map|object|partition|primary|public|return|s3|"
    "skipmixin|sort|source|task|unique|xcom"
)
_TELLING_NAME = (
    rf"[\w.\-]*?(?:pass(?:word|wd|phrase)|(?<![A-Za-z0-9])pass|[_.\-]pwd|secret|token|credentials?|access_?key_?id|api_?key"
    rf"|(?<![A-Za-z0-9])(?!(?:{_HARMLESS_KEYS})_key)[A-Za-z0-9]+[_\-]key|(?:fernet|ssh|signing|encryption)key|secretkey|accesskey|privatekey|accountkey|sharedaccesskey)"
)
_TELLING = re.compile(rf"(?i)(?:{_TELLING_NAME}|authorization|cookie|set-cookie|airflow_conn_\w+)")
_QUOTED = r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"

_SIGNED_QUERY = (
    "x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)|signature|sig|awsaccesskeyid"
    "|googleaccessid|key-pair-id"
)

#: What most of a million rows' texts are: one of a few ids and states, short and worth remembering, or a time, which is
#: no secret and never the same.
_SHORT = 64
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")

_RULES: tuple[tuple[Pattern[str], str], ...] = (
    # Whole blocks first.
    (
        re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL),
        rf"-----BEGIN \1-----{REDACTED}-----END \1-----",
    ),
    # A connection in the environment, whether a URI or JSON: all of it.
    (re.compile(rf"(?m)(\bAIRFLOW_CONN_\w+[\"']?\s*[=:]\s*)(?:{_QUOTED}|[^\r\n]+)"), rf"\1{REDACTED}"),
    # scheme://user:password@host. A password may hold anything but white space and quotes; the last @ ends it, but
    # only one before the next slash, unless the scheme is one of those whose passwords are pasted in unescaped.
    (
        re.compile(
            r"(?i)\b((?:postgres|postgresql|mysql|mssql|oracle|redis|rediss|amqp|amqps|mongodb|sqlite)(?:\+\w+)?"
            r"://[^\s:/?#@\"'<>]*:)[^\s\"'<>]{0,1024}@"
        ),
        rf"\1{REDACTED}@",
    ),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.\-]{0,40}://[^\s:/?#@\"'<>]*:)[^\s/\"'<>]{0,1024}@"), rf"\1{REDACTED}@"),
    # A token in place of a user, as Git hosts take it.
    (re.compile(r"(?i)\b(https?://)[^\s:/?#@\"'<>]+@"), rf"\1{REDACTED}@"),
    # ODBC. Elsewhere PWD is the working directory.
    (re.compile(r"(?i)(;\s*pwd\s*=)[^;\s\"']+"), rf"\1{REDACTED}"),
    # Signed URLs.
    (re.compile(rf"(?i)([?&;](?:amp;)?(?:{_SIGNED_QUERY})=)[^&\s\"'<>]+"), rf"\1{REDACTED}"),
    # Headers.
    (
        re.compile(
            r"(?i)(\b(?:proxy-)?authorization\\?[\"']?\s*[:=]\s*\\?[\"']?(?:(?:basic|bearer|token|digest|negotiate)\s+)?)"
            r"[^\r\n\"'\\]+"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(r"(?i)(\b(?:set-)?cookie\\?[\"']?\s*[:=]\s*\\?[\"']?)[^\r\n\"'\\]+"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\bbearer\s+)(?=\S*\d)[\w.~+/=\-]{16,}"), rf"\1{REDACTED}"),
    # Lines NAME=value of an environment: to the end of the line, since a bare value may hold blanks.
    (
        re.compile(rf"(?im)^([ \t]*(?:export[ \t]+)?{_TELLING_NAME}[ \t]*=[ \t]*)(?![ \t]*$)(?:{_QUOTED}|[^\r\n]+)"),
        rf"\1{REDACTED}",
    ),
    # name=value, name: value, "name": "value", --name value, wherever they stand.
    (
        re.compile(
            rf"(?i)(?<![\w.\-])(\\?[\"']?{_TELLING_NAME}\\?[\"']?\s*(?:=>|[=:])\s*)"
            rf"(?!{re.escape(REDACTED)})(?:{_QUOTED}|\\\"(?:[^\"\\]|\\(?!\"))*\\\"|[^\s,;&\"'\\}}\])]+)"
        ),
        rf"\1{REDACTED}",
    ),
    (re.compile(rf"(?i)((?<!\S)--{_TELLING_NAME}\s+)(?:{_QUOTED}|[^\s\-]\S*)"), rf"\1{REDACTED}"),
    # Tokens that give themselves away.
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"), REDACTED),
    (re.compile(r"(?<![\w\-])eyJ[\w\-]{5,}\.[\w\-]{5,}\.[\w\-]*"), REDACTED),
    (
        re.compile(
            r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w\-]{16,}|xox[abprs]-[\w\-]{10,}|ya29\.[\w\-]{10,})"
        ),
        REDACTED,
    ),
)


def redact(text: str) -> str:
    """The text without the secrets that it holds. Pure, idempotent, and never raises for any text."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether a value under that name (of a variable, a JSON field, a header) is a secret by its name alone."""
    return _TELLING.fullmatch(name) is not None


def redact_mapping(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without its secrets, at every depth: a copy of plain dicts and lists.

    A text or a number under a secret's name is replaced as a whole; every other text goes through :func:`redact`.
    ``None``, booleans and empty texts say nothing and stay.
    """
    return {shown: _redact_value(value, secret) for (shown, secret), value in _named(mapping)}


def _redact_value(value: Any, secret: bool) -> Any:
    if isinstance(value, Mapping):
        return {shown: _redact_value(entry, secret or by_name) for (shown, by_name), entry in _named(value)}
    if isinstance(value, (list, tuple)):
        return [_redact_value(entry, secret) for entry in value]
    if secret and not isinstance(value, bool) and value not in (None, ""):
        return REDACTED
    if not isinstance(value, str) or _TIME.fullmatch(value):
        return value
    return _short(value) if len(value) <= _SHORT else redact(value)


def _named(mapping: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, bool], Any]]:
    return ((_name(str(name)), value) for name, value in mapping.items())


@functools.lru_cache(maxsize=4096)
def _name(name: str) -> tuple[str, bool]:
    """A name as it is shown, and whether it says that its value is a secret."""
    return redact(name), is_secret_name(name)


@functools.lru_cache(maxsize=4096)
def _short(text: str) -> str:
    return redact(text)
