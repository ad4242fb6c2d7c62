"""Queries that are ready made: what an XCom backend's troubles look like in the logs, by name.

Their regular expressions are RE2's, which Loki uses: no look-around, no back-references, no large repeats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

#: What xcomctl's own tasks print, which is data.
_OWN = '!= "xcomctl-answer: " != "xcomctl-probe: "'
#: What Airflow shows of a returned value: data too, in which any word may stand.
_RETURNED = '!= "Returned value was: "'

#: A word that says that something is wrong, and no part of an id (``check_error``, ``dag_id=error-handler``); what errors are
#: called, in front of their message, as an argument or at the end.
_WORD = r"(?:^|[^\w.=/-])(?:error|exception|traceback|denied|not found|no such)(?:[^\w=/-]|$)"
_CLASS = r"""(?-i:[A-Z][A-Za-z0-9]*(?:Error|Exception|Denied|NotFound))(?:[:('"\\]|\s*$)"""
_WRONG = rf"(?:{_WORD}|{_CLASS})"
#: Frames of tracebacks: as Python prints them, and as structlog's JSON has them, where a line's own ``filename`` has no folder.
_FRAME = r"""(?:file \\?"|"filename": ?"[^"]*/)[^"]*"""
_FROM_MAPPING = "xcomformappingnotpushed|unmappablexcom"
#: What Airflow says where all is well: that a key that was pulled is not there, which gives None; that values are pushed;
#: and requests that were answered, which name the dag and the task.
_ANSWERED = r"[1-4]\d\d"
_HARMLESS = (
    r"(?i)(?:(?:^|[^:\s]\s+)(?:\x1b\[[\d;]*m)*xcom not found(?:\s*$|\s+[\[\w\x1b]|\x1b)"
    r'|"event": ?"(?:xcom not found|pushing xcom|clearing xcom[^"]*|no xcom value found[^"]*)"'
    r"|(?:^|[^:\s]\s+)(?:\x1b\[[\d;]*m)*(?:pushing xcom|clearing xcom with key|no xcom value found; defaulting to none)\b"
    rf'|\\?"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) \S*xcom\S* HTTP/[\d.]+\\?" {_ANSWERED}\b'
    rf'|HTTP Request: [A-Z]+ \S*xcom\S* \\?"HTTP/[\d.]+ {_ANSWERED}\b)'
)

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: The URL of a store: whatever its scheme is, but not ``http`` or ``https``; RE2 cannot say that more shortly.
_ANY_BASE = r"""(?:^|\\[nrt]|[^a-z0-9+.\\-])(?:[a-gi-z][a-z0-9+.-]*|h(?:[a-su-z0-9+.-][a-z0-9+.-]*)?)://[^\s'"/]+/"""
#: Dag, run and task below the base path (which may be folders itself), and what the backend calls its objects.
_OF_BACKEND = rf"""(?:[^/\s'"]+/){{3,20}}(?:{_UUID}|(?:ti|write)-{_UUID}/[^/\s]+\.json)"""

#: What can only be about a store of objects: boto3's operations on them, codes that no other service has, frames of the clients.
_OF_A_STORE = (
    r"an error occurred \([^)]*\) when calling the (?:\w*(?:Object|Bucket|MultipartUpload)\w*|UploadPart(?:Copy)?) "
    r"|\bNoSuch(?:Bucket|Key|Upload)\b|\bAllAccessDisabled\b"
    r"|\bspecified (?:bucket|key|blob|container) does not exist|ErrorCode: ?(?:Container|Blob)\w+"
    r"|(?-i:gcsfs\.retry\.HttpError|storage\.(?:objects|buckets)\.\w+ access)"
    r"|" + _FRAME + r"/(?:s3fs|gcsfs|adlfs|google/cloud/storage|azure/storage/blob)/"
)
#: What says that a line is about one.
_NEAR = (
    r"(?:\bs3\b|\b(?:s3[an]?|gc?s|abfss?|adl|az|wasbs?)://|s3fs|gcsfs|adlfs|storage\.googleapis\.com|\bblob\b"
    r"|\bbuckets?\b|objectstorage%s)"
)
#: What goes wrong at any service.
_OF_ANY = (
    r"(?:(?:^|[^\w.])(?:AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|RequestTimeTooSkewed"
    r"|SlowDown|MissingContentMD5)\b"
    r"|\b(?:(?:No|Partial)CredentialsError|CredentialRetrievalError|EndpointConnectionError|ConnectionClosedError"
    r"|ConnectTimeoutError|ReadTimeoutError|HTTPClientError)\b"
    r"|botocore\.exceptions\.|google\.(?:auth|api_core|cloud)\.[a-z._]*exceptions\.|azure\.core\.exceptions\.)"
)


@dataclass(frozen=True)
class Preset:
    """A query by name. ``what`` says what its lines tell; ``query`` makes it for a selector and a base path (or none)."""

    name: str
    what: str
    query: Callable[[str, str | None], str]


def _xcom_errors(selector: str, base_path: str | None) -> str:
    about = f"(?:xcom|objectstorage{_or_below(base_path)})"
    wanted = rf"(?is)airflowconfigexception|{_FROM_MAPPING}|{_FRAME}xcom|{about}.*{_WRONG}|{_WRONG}.*{about}"
    return f"{selector} |~ {quoted(wanted)} !~ {quoted(_HARMLESS)} {_RETURNED} {_OWN}"


def _path_handed_over(selector: str, base_path: str | None) -> str:
    base = _escaped(base_path.rstrip("/") + "/") if base_path else _ANY_BASE
    return f"{selector} |~ {quoted(base + _OF_BACKEND)} {_OWN}"


def _store_errors(selector: str, base_path: str | None) -> str:
    near = _NEAR % _or_below(base_path)
    return f"{selector} |~ {quoted(rf'(?is){_OF_A_STORE}|{near}.*{_OF_ANY}|{_OF_ANY}.*{near}')} {_OWN}"


def _or_below(base_path: str | None) -> str:
    """The base path as its clients name it: the bucket and the folders, without scheme and connection."""
    below = (base_path or "").partition("://")[2].rpartition("@")[2].strip("/")
    return f"|{_escaped(below)}" if below else ""


def _escaped(text: str) -> str:
    """The text as it is, in a regular expression: what RE2 takes for an operator is escaped, and nothing else."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", text)


PRESETS = (
    Preset("xcom-errors", "an XCom that could not be stored or read", _xcom_errors),
    Preset("path-handed-over", "a path as the backend writes it, where data was expected", _path_handed_over),
    Preset("store-errors", "the object store refused, or was not reached", _store_errors),
)


def preset(name: str, namespace: str, base_path: str | None) -> str:
    """The query of that name for a namespace. Raises ``KeyError`` for a name that there is not."""
    found = {each.name: each for each in PRESETS}[name]
    return found.query(f"{{namespace={quoted(namespace)}}}", base_path)


def quoted(text: str) -> str:
    """A string of LogQL: between backticks, where nothing has to be escaped, if it looks strange otherwise."""
    plain = "\\" not in text and '"' not in text and text.isprintable()
    return json.dumps(text, ensure_ascii=False) if plain or "`" in text or "\r" in text else f"`{text}`"
