"""What a stored string is to the object-storage backend: a reference, a foreign URL or a plain string.

The rules are those of ``XComObjectStorageBackend._get_full_path`` (common-io 1.11.0) over ``ObjectStoragePath`` of
Airflow 2.11.2 and 3.3.2, tried on both; where these two differ, it is said below. Layouts: ``get_unused_path`` of that
file, and ``XComCoordinate.build_path`` of the Task SDK 1.4.0b2 (Airflow 3.4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Optional
from urllib.parse import unquote, urlsplit


class Kind(str, Enum):
    """What a stored string is."""

    #: A URL under the base path.
    REFERENCE = "reference"
    #: ``scheme://…`` that is not under the base path: never resolved, handed over as it is.
    FOREIGN = "foreign"
    #: Anything else.
    PLAIN = "plain"


class Layout(str, Enum):
    """How the backend named the object."""

    #: ``<dag_id>/<run_id>/<task_id>/<uuid4>[.<suffix>]``: every write its own object (up to Airflow 3.3).
    UUID = "uuid"
    #: ``<dag_id>/<run_id>/<task_id>/ti-<ti id>/<quoted key>.json[.<suffix>]``: a re-push overwrites (from 3.4).
    TASK_INSTANCE = "ti"
    #: ``<dag_id>/<run_id>/<task_id>/write-<uuid>/<quoted key>.json[.<suffix>]`` (from 3.4).
    WRITE = "write"
    #: Under the base path and none of these: a task's own string (F7), or another tool's object.
    OTHER = "other"


@dataclass(frozen=True)
class Owner:
    """The row that holds a stored string: whose XCom it is."""

    dag_id: str
    run_id: str
    task_id: str


@dataclass(frozen=True)
class Reference:
    """A stored URL under the base path, taken apart.

    ``uri`` is the string as stored. ``object_uri`` is the URL that the backend opens for it: slashes that are doubled
    behind the base path are dropped. ``relative`` is its part below the base path. ``dag_id``, ``run_id`` and
    ``task_id`` are what the path names, ``None`` in the layout ``other``; in Airflow 3.4's layouts they may be cut
    short (1,024 bytes are the limit of a key), see :func:`is_alias`. A run id may hold slashes: it is what stands
    between the first and the last names. ``object_name`` is the last name. ``instance`` is the task instance's or the
    write's id and ``key`` the unquoted XCom key (a digest when it was too long) of Airflow 3.4's layouts.
    ``suffix`` is the file suffix that names the compression, without its dot, ``None`` for none.
    """

    uri: str
    object_uri: str
    relative: str
    layout: Layout
    object_name: str
    dag_id: Optional[str] = None
    run_id: Optional[str] = None
    task_id: Optional[str] = None
    instance: Optional[str] = None
    key: Optional[str] = None
    suffix: Optional[str] = None


@dataclass(frozen=True)
class Classified:
    """What a stored string is; ``reference`` is set exactly when the kind says so."""

    kind: Kind
    reference: Optional[Reference] = None


#: What the backend writes in place of an id that it was not given.
NO_DAG_ID = "NO_DAG_ID"
NO_RUN_ID = "NO_RUN_ID"
NO_TASK_ID = "NO_TASK_ID"

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID_NAME = re.compile(rf"({_UUID})(?:\.([A-Za-z0-9]+))?")
_INSTANCE_NAME = re.compile(rf"(ti|write)-({_UUID})")
_KEY_NAME = re.compile(r"(.+?)\.json(?:\.([A-Za-z0-9]+))?", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SLASHES = re.compile("/+")

#: ``_MAX_PATH_LENGTH`` of the backend and ``_MIN_READABLE_BYTES`` of the Task SDK, in bytes.
_MAX_PATH_BYTES = 1024
_MIN_READABLE_BYTES = 8
#: Ids are cut one character at a time, so a shortened path ends within one character (4 bytes) of the limit.
_LONGEST_CHARACTER = 4


def normalized_base(base_path: str) -> str:
    """A base path as the backend prints it: without slashes at its end, with one behind a bare bucket."""
    base = base_path.lstrip().rstrip("/")
    authority = base.partition("://")[2]
    return base if "/" in authority or not authority else base + "/"


def covers(base_path: str, other: str) -> bool:
    """Whether references under ``other`` resolve under ``base_path`` too: it is the same one, or lies above it (F3)."""
    return f"{normalized_base(other).rstrip('/')}/".startswith(f"{normalized_base(base_path).rstrip('/')}/")


def scheme_of(value: str) -> Optional[str]:
    """The scheme that the backend sees in a string, lower case, ``None`` for none.

    It needs no ``//``: to the backend ``git: fix the build`` is a URL, and on 3.x it is enough that this names a file
    system whose package is missing for the read to raise (F38; on 2.11.2 it does not).
    """
    try:
        return urlsplit(value).scheme or None
    except ValueError:
        return None


def classify(value: str, base_path: str) -> Classified:
    """What a stored string is under a base path. ``base_path`` is one that resolves (has a scheme).

    Scheme, connection id and bucket have to match letter by letter, and the folder name by name (``…/xcomx`` is not
    under ``…/xcom``). 3.3 also passes another connection id or ``s3a`` as "relative", but then opens a key that
    contains the whole URL, which no object has: handing the string over is what both lines come to, so it is foreign
    here. ``..`` is a name like any other, as in an object store. The base path itself counts as a reference of the
    layout ``other``.
    """
    base = normalized_base(base_path)
    prefix = base if base.endswith("/") else base + "/"
    if "://" in base:
        if value.rstrip("/") == base.rstrip("/"):
            return Classified(Kind.REFERENCE, Reference(value, base, "", Layout.OTHER, ""))
        if value.startswith(prefix):
            relative = value[len(prefix) :].lstrip("/")
            return Classified(Kind.REFERENCE, _take_apart(value, prefix, relative))
    if _SCHEME.match(value) and scheme_of(value) is not None:
        return Classified(Kind.FOREIGN)
    return Classified(Kind.PLAIN)


def _take_apart(uri: str, prefix: str, relative: str) -> Reference:
    object_uri = prefix + relative
    names = relative.split("/")
    last = names[-1]
    if len(names) >= 4:
        named = _UUID_NAME.fullmatch(last)
        if named is not None:
            return Reference(
                uri=uri,
                object_uri=object_uri,
                relative=relative,
                layout=Layout.UUID,
                object_name=last,
                dag_id=names[0],
                run_id="/".join(names[1:-2]),
                task_id=names[-2],
                suffix=named.group(2),
            )
    if len(names) >= 5:
        instance = _INSTANCE_NAME.fullmatch(names[-2])
        named = _KEY_NAME.fullmatch(last)
        if instance is not None and named is not None:
            return Reference(
                uri=uri,
                object_uri=object_uri,
                relative=relative,
                layout=Layout(instance.group(1)),
                object_name=last,
                dag_id=names[0],
                run_id="/".join(names[1:-3]),
                task_id=names[-3],
                instance=instance.group(2),
                key=unquote(named.group(1)),
                suffix=named.group(2),
            )
    return Reference(uri=uri, object_uri=object_uri, relative=relative, layout=Layout.OTHER, object_name=last)


def is_alias(reference: Reference, owner: Owner) -> bool:
    """Whether a row's reference lies where that row's own write would not have put it (DESIGN §4).

    That is a path string which a task passed on, or a string of its own making that happens to lie under the base
    path (layout ``other``): either way the object is not this row's to purge or to rewrite. ``NO_…_ID`` in the place
    of an id is the backend's default and no alias. Ids that Airflow 3.4 cut short are compared as far as they go,
    but only when the path has the length that makes it cut. A reference that another *map index* of the same task
    passed on cannot be told from the row's own.
    """
    if reference.layout is Layout.OTHER:
        return True
    tail = reference.object_name
    if reference.layout is not Layout.UUID:
        tail = f"{reference.layout.value}-{reference.instance}/{tail}"
    if any(reference.relative == f"{place}/{tail}" for place in _own_places(owner)):
        return False
    if reference.layout is Layout.UUID or not _may_be_cut(reference):
        return True
    pairs = (
        (reference.dag_id, owner.dag_id),
        (reference.run_id, owner.run_id),
        (reference.task_id, owner.task_id),
    )
    return not all(stored is not None and _is_cut_of(stored, whole) for stored, whole in pairs)


def escapes(reference: Reference) -> bool:
    """Whether the path leads, or might lead, out of the base path once a file system resolves it.

    The backend never writes such a path. Where the base is a folder, ``..`` in a stored string would name a file
    anywhere, so nothing of ours opens it, whatever the store is. A NUL ends a path for the operating system.
    """
    names = reference.relative.split("/")
    return "\x00" in reference.relative or any(name in ("", ".", "..") for name in names)


def might_escape(value: str, base_path: str) -> bool:
    """Whether a string that is no reference may be one to the backend all the same, and lead out of the base path.

    To ``is_relative_to`` of either line ``local:///base/…`` is under ``file:///base``, and on 3.3 any connection id and
    ``s3a://`` are; tabs and line breaks are dropped, slashes collapsed. The backend then opens the base path joined with
    the whole string, which no object has, unless the string has ``..`` in it. ``base_path`` may be one that is none to
    us: with ``file:/base`` the backend opens ``file:///base/../x``.
    """
    if scheme_of(value) is None:
        return False
    text = _SLASHES.sub("/", value.translate({9: None, 10: None, 13: None}))
    place = _SLASHES.sub("/", re.sub("^[^/]*:/*", "", base_path.strip()).rpartition("@")[2]).strip("/")
    dots = any(name in (".", "..") for name in text.split("/"))
    return bool(place) and place in text and (dots or "\x00" in text)


def _own_places(owner: Owner) -> Iterator[str]:
    for names in product((owner.dag_id, NO_DAG_ID), (owner.run_id, NO_RUN_ID), (owner.task_id, NO_TASK_ID)):
        yield "/".join(names)


def _may_be_cut(reference: Reference) -> bool:
    return len(reference.object_uri.encode()) > _MAX_PATH_BYTES - _LONGEST_CHARACTER


def _is_cut_of(stored: str, whole: str) -> bool:
    if stored == whole:
        return True
    return len(stored.encode()) >= _MIN_READABLE_BYTES and whole.startswith(stored)


def written_under(uri: str, owner: Owner) -> Optional[str]:
    """The base path under which a row's own value was written, judged by the tail of its URL; ``None`` for no such tail.

    For *foreign* URLs: what ends in a layout of the backend with the row's own ids was written by it, under another
    base path or another connection (F3). Any other URL is a value that a task made.
    """
    match = _SCHEME.match(uri)
    if match is None or scheme_of(uri) is None:
        return None
    for place in _own_places(owner):
        at = uri.rfind(f"/{place}/")
        if at > match.end():
            reference = classify(uri, uri[:at]).reference
            if reference is not None and not is_alias(reference, owner):
                return uri[:at]
    return None


def is_stray_path(value: str, owner: Owner) -> bool:
    """Whether a plain string is what a *misconfigured* writer left: a path without a scheme to a file of its own.

    With an empty or schemeless base path and a threshold of 0 or more the backend writes a large value into a local
    folder and stores ``[folder/]<dag_id>/<run_id>/<task_id>/<uuid4>``. No reader of any phase resolves that, so the
    value is lost to every other process (observed on both lines).
    """
    if scheme_of(value) is not None:
        return False
    folder, _, name = value.rpartition("/")
    if _UUID_NAME.fullmatch(name) is None:
        return False
    return any(folder == place or folder.endswith("/" + place) for place in _own_places(owner))
