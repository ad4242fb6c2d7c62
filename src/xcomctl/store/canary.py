"""A small object below the base path: written, listed, looked at, read and removed, each permission by itself."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Callable, Optional

from xcomctl.store.folders import missing_folders, remove_empty
from xcomctl.store.opened import Store, Tried
from xcomctl.store.versions import erase

PUT = "put"
HEAD = "head"
GET = "get"
LIST = "list"
DELETE = "delete"

#: The folder of canaries below the base path. The backend's own objects lie four names and more below it, these two:
#: no reference can name one, and no dag id is needed to tell them apart.
FOLDER = "xcomctl-preflight"
_BODY = b"xcomctl preflight: safe to delete\n"


class Outcome(Enum):
    """What trying a permission came to."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"
    #: Without an object of ours, the store's answer says nothing about the permission.
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Step:
    """One permission. ``message`` is what the store said, or what was wrong with what it gave.

    ``tried`` is the request that told, ``None`` when nothing was asked.
    """

    outcome: Outcome
    tried: Optional[Tried] = None
    message: str = ""


class Canary:
    """One object and what could be done with it. ``current`` is the step that is being tried."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._folder = f"{store.root}/{FOLDER}"
        self._path = f"{self._folder}/{uuid.uuid4()}"
        self.uri = store.uri(self._path[len(store.root) + 1 :])
        self.steps: dict[str, Step] = {}
        self.current: Optional[str] = None
        self._written = False
        self._gone = False
        #: Why versions of the object stay in a bucket that keeps them, empty if none do.
        self.versions_left = ""

    @property
    def left_behind(self) -> bool:
        """Whether the object may still be there: it was (or is being) written, and is not known to be gone."""
        return (self._written or self.current == PUT) and not self._gone

    def play(self) -> None:
        """Try everything, and remove the object whatever else went wrong."""
        folders = missing_folders(Path(self._folder)) if self._store.is_local else []
        self._step(PUT, self._put)
        # Before those that depend on it: without it a store answers 403 for what is not there.
        self._step(LIST, self._list)
        self._step(HEAD, self._head)
        self._step(GET, self._get)
        self._step(DELETE, self._delete)
        remove_empty(folders)
        self.current = None
        if self._gone:
            self.versions_left = "the store stopped to answer"
            self.versions_left = erase(self._store.fs, self._path)

    def _step(self, name: str, work: Callable[[], Step]) -> None:
        self.current = name
        self.steps[name] = work()

    def _put(self) -> Step:
        def put() -> None:
            if self._store.is_local:
                self._store.fs.makedirs(self._folder, exist_ok=True)  # an object store has no folders to make
            self._store.fs.pipe_file(self._path, _BODY)

        tried = self._store.attempt(put)
        self._written = tried.error is None
        return _told(tried)

    def _list(self) -> Step:
        tried = self._store.attempt(lambda: self._store.fs.ls(self._folder, detail=False))
        if self._written:
            names = [str(name).rstrip("/").rpartition("/")[2] for name in tried.result or ()]
            if tried.error is None and self._path.rpartition("/")[2] not in names:
                return Step(Outcome.FAILED, tried, "the object that was just written is not in the listing")
            return _told(tried)
        # An empty prefix is no error of the permission.
        return Step(Outcome.ALLOWED, tried, "nothing there") if tried.missing else _told(tried)

    def _head(self) -> Step:
        if not self._written:
            return self._ask_for_nothing("head_object")
        tried = self._store.attempt(lambda: self._store.fs.info(self._path))
        if tried.error is None and tried.result.get("size") != len(_BODY):
            return Step(Outcome.FAILED, tried, f"{tried.result.get('size')} bytes, not {len(_BODY)}")
        return _told(tried)

    def _get(self) -> Step:
        if not self._written:
            return self._ask_for_nothing("get_object")
        tried = self._store.attempt(lambda: self._store.fs.cat_file(self._path))
        if tried.error is None and tried.result != _BODY:
            return Step(Outcome.FAILED, tried, "what was read is not what was written")
        return _told(tried)

    def _delete(self) -> Step:
        if not self._written:
            # S3 answers 204 for a key that is not there, if it may be deleted.
            return self._ask_for_nothing("delete_object")
        fs = self._store.fs
        tried = self._store.attempt(lambda: fs.rm_file(self._path))
        if tried.error is not None:
            # The permission is told. What follows is a purge's own way, which is another request on S3.
            self._store.attempt(lambda: fs.rm(self._path))
        again = self._store.attempt(lambda: fs.info(self._path))
        self._gone = again.missing or (tried.error is None and again.error is not None)
        if tried.error is None and not self._gone:
            return Step(Outcome.FAILED, tried, "the object is still there after its delete")
        return _told(tried)

    def _ask_for_nothing(self, method: str) -> Step:
        """Ask S3 for a key that is not there: 404 tells that it may be asked for."""
        store = self._store
        if not store.is_s3:
            return Step(Outcome.UNPROVEN, None, "there is no object to try it on")
        bucket, key, _ = store.fs.split_path(self._path)
        tried = store.attempt(lambda: store.s3(method, Bucket=bucket, Key=key))
        if tried.error is None or tried.missing:
            return Step(Outcome.ALLOWED, tried, "tried on a key that is not there")
        if tried.refused and method != "delete_object" and self.steps[LIST].outcome is not Outcome.ALLOWED:
            return Step(Outcome.UNPROVEN, tried, "without the permission to list, 403 also means 404")
        return _told(tried)


def _told(tried: Tried) -> Step:
    if tried.error is None:
        return Step(Outcome.ALLOWED, tried)
    return Step(Outcome.REFUSED if tried.refused else Outcome.FAILED, tried, tried.message)
