"""Asks a store for single objects: one request each, counted. What is missing is told from what did not answer."""

from __future__ import annotations

import datetime
import errno
from dataclasses import dataclass
from typing import Any, Optional

from xcomctl.store.listing import StoreFailed, modified_of
from xcomctl.store.opened import Store, Tried

#: Below every base path, and never an object.
_NOTHING = "xcomctl-no-such-object"
#: What a file system says of a name that it cannot hold: too long, or what S3 calls a bad request.
_NO_NAME = (errno.EINVAL, errno.ENAMETOOLONG)


@dataclass(frozen=True)
class ObjectInfo:
    """An object's size in bytes, and when it was last written."""

    size: int
    modified: Optional[datetime.datetime]


class Lookup:
    """Objects below one base path. :attr:`requests` counts what was asked of the store."""

    def __init__(self, base_path: str) -> None:
        self._store = Store(base_path)
        self.requests = 0

    def info(self, relative: str) -> Optional[ObjectInfo]:
        """The object of that key below the base path, ``None`` when there is none or can be none.

        Raises :class:`StoreFailed`, with what the store said as its cause.
        """
        store = self._store
        tried = self._try(relative)
        if tried.missing or (_names_nothing(tried.error) and self._try(_NOTHING).missing):
            return None
        if tried.error is not None:
            raise StoreFailed(
                f"{store.uri(relative)} cannot be looked at: {tried.message}",
                "check the connection's endpoint and credentials, and the permission to read",
            ) from tried.error
        found: Optional[ObjectInfo] = tried.result
        return found

    def _try(self, relative: str) -> Tried:
        tried = self._store.attempt(lambda: self._head(f"{self._store.root}/{relative}"))
        self.requests += tried.requests if tried.requests is not None else 1
        return tried

    def _head(self, path: str) -> Optional[ObjectInfo]:
        if self._store.is_s3:
            # Not through info(): where there is no object it asks for a folder of that name too.
            bucket, key, _ = self._store.fs.split_path(path)
            answer: Any = self._store.s3("head_object", Bucket=bucket, Key=key)
            return ObjectInfo(int(answer["ContentLength"]), answer.get("LastModified"))
        entry = self._store.fs.info(path)
        if entry["type"] != "file":
            return None
        return ObjectInfo(int(entry["size"] or 0), modified_of(entry))


def _names_nothing(error: Optional[Exception]) -> bool:
    """Whether an error may be about the name alone: a stored text can hold what no object is called."""
    return isinstance(error, ValueError) or (isinstance(error, OSError) and error.errno in _NO_NAME)
