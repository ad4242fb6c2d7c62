"""The folder below the base path in which a round trip may write, and its removal."""

from __future__ import annotations

import contextlib
import re
import uuid

from xcomctl.airflow_compat.paths import object_path
from xcomctl.store.listing import Listing
from xcomctl.store.versions import erase

#: What its name begins with. It stands where a DAG's id does, so the objects of a round trip are those of this "DAG".
PREFIX = "xcomctl_preflight_"
_NAME = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")


def new_folder() -> str:
    """A name that nobody has used."""
    return f"{PREFIX}{uuid.uuid4().hex}"


def is_folder(name: str) -> bool:
    """Whether a name is one that :func:`new_folder` makes: what is removed with everything in it has to be ours."""
    return _NAME.fullmatch(name) is not None


def remove(base_path: str, folder: str) -> tuple[str, ...]:
    """Remove the folder and all that it holds; the URIs of what is there nevertheless.

    Whatever the store or the way to it raises is raised.
    """
    if not is_folder(folder):
        raise ValueError(f"{folder!r} is no folder of a round trip")
    path = object_path(f"{base_path.rstrip('/')}/{folder}")
    path.fs.invalidate_cache()
    with contextlib.suppress(FileNotFoundError):  # nothing was written
        path.fs.rm(path.path, recursive=True)
        erase(path.fs, str(path.path))
    return tuple(found.uri for found in Listing(base_path, folder))
