"""One value above the threshold through the real backend: written, read back, purged."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from xcomctl.airflow_compat import xcom_class
from xcomctl.model import describe
from xcomctl.model.references import Owner
from xcomctl.model.requests import REFERENCE, CanaryAnswer
from xcomctl.references.scan import kind_of
from xcomctl.roundtrip import wire
from xcomctl.store.folders import missing_folders, remove_empty
from xcomctl.store.opened import Store, message_of
from xcomctl.store.versions import erase

#: The dag and task that the value pretends to come from; the object's path tells.
DAG_ID = "xcomctl_preflight"
TASK_ID = "offload"
KEY = "canary"
_RUN_ID = re.compile("canary-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

WRITE = "write"
READ = "read"
PURGE = "purge"


class _Failed(Exception):
    """A step did not do what it should."""


def value_of(threshold: int) -> dict[str, Any]:
    """A value whose JSON has one byte more than the threshold (or is as short as it can be): the same every time."""
    value: dict[str, Any] = {"from": "xcomctl preflight", "numbers": [1, 2.5, -3], "nothing": None, "filled": ""}
    value["filled"] = "x" * max(threshold + 1 - size_of(value), 0)
    return value


def size_of(value: Mapping[str, Any]) -> int:
    """The bytes of its JSON. The filling is counted, not copied: it may be as large as the container has memory for."""
    return len(json.dumps({**value, "filled": ""})) + len(value["filled"])


def is_value(got: Any, value: Mapping[str, Any]) -> bool:
    """Whether it is that value, in types too. Fillings are compared as they are, without a canonical form of them."""
    if type(got) is not dict or type(got.get("filled")) is not str or got["filled"] != value["filled"]:
        return False
    return describe.same({**got, "filled": ""}, {**value, "filled": ""})


def new_run_id() -> str:
    """The run that a value pretends to come from: one that nobody has used."""
    return f"canary-{uuid.uuid4()}"


def is_run_id(name: str) -> bool:
    """Whether it is one that :func:`new_run_id` makes: all that lies below it is removed."""
    return _RUN_ID.fullmatch(name) is not None


def folder_of(run_id: str) -> str:
    """Below the base path, the folder of everything that a run's value left."""
    if not is_run_id(run_id):
        raise ValueError(f"{run_id!r} is no run of a canary")
    return f"{DAG_ID}/{run_id}"


def remove(store: Store, run_id: str) -> Optional[str]:
    """Remove all that lies in a run's folder: the URI of what stays, or may stay, ``None`` for nothing."""
    folder = f"{store.root}/{folder_of(run_id)}"
    found = store.attempt(lambda: store.fs.find(folder))
    left = None if found.error is None or found.missing else store.uri(folder_of(run_id))
    for path in found.result or ():
        if store.attempt(lambda path=path: store.fs.rm_file(path)).error is not None:  # type: ignore[misc]
            left = store.uri(str(path)[len(store.root) :].lstrip("/"))
    if store.is_local:
        remove_empty(Path(each) for each in (f"{folder}/{TASK_ID}", folder, f"{store.root}/{DAG_ID}"))
    erase(store.fs, folder)
    return left


class Canary:
    """The value and what became of it so far."""

    def __init__(self, base_path: str, threshold: int, run_id: str) -> None:
        self._base_path = base_path
        self._value = value_of(threshold)
        self._owner = Owner(DAG_ID, run_id, TASK_ID)
        self._stored: Any = None
        self._reference: Optional[str] = None
        self._object_bytes: Optional[int] = None
        self._steps_ms: dict[str, float] = {}
        self._step = WRITE

    def play(self) -> CanaryAnswer:
        """Write, read and purge it; what the first step that failed said. Raises when the store cannot be opened."""
        xcom_class.resolved_class()
        store = Store(self._base_path)
        owner = self._owner
        folder = f"{store.root}/{owner.dag_id}/{owner.run_id}/{owner.task_id}"
        folders = missing_folders(Path(folder)) if store.is_local else []
        problem = ""
        try:
            self._write(store)
            self._read()
        except _Failed as error:
            problem = str(error)
        failed_at = self._step
        left_behind = None
        try:
            if self._reference is not None:
                self._purge(store)
        except _Failed as error:
            problem, failed_at = (problem, failed_at) if problem else (str(error), self._step)
        if self._reference is None or PURGE not in self._steps_ms:
            left_behind = remove(store, owner.run_id)  # a purge would not; the backend may have written and then failed
        else:
            erase(store.fs, folder)
        remove_empty(folders)
        return CanaryAnswer(
            reference=self._reference,
            value_bytes=size_of(self._value),
            object_bytes=self._object_bytes,
            steps_ms=self._steps_ms,
            problem=problem,
            step=failed_at if problem else "",
            left_behind=left_behind,
        )

    def _write(self, store: Store) -> None:
        owner = self._owner
        with self._timed(WRITE):
            self._stored = xcom_class.serialize(
                self._value, key=KEY, dag_id=owner.dag_id, run_id=owner.run_id, task_id=owner.task_id
            )
            text = wire.text_of(wire.encode(self._stored))
        if text is None:
            raise _Failed("the value stayed inline, although it is larger than the threshold")
        if kind_of(text, self._base_path, owner) != REFERENCE:
            raise _Failed(f"what was stored is {describe.excerpt(text)}, which is no reference under the base path")
        self._reference = text
        tried = store.attempt(lambda: store.fs.info(_path_in(store, text))["size"])
        if tried.error is not None:
            raise _Failed(f"the object is not where the reference says: {tried.message}")
        self._object_bytes = int(tried.result)

    def _read(self) -> None:
        with self._timed(READ):
            got = xcom_class.deserialize(self._stored)
        if got == self._reference:
            raise _Failed("the reader got the reference itself in place of the value")
        if not is_value(got, self._value):
            raise _Failed(f"what was read back is another value: {describe.excerpt(got)}")

    def _purge(self, store: Store) -> None:
        assert self._reference is not None
        path = _path_in(store, self._reference)
        with self._timed(PURGE):
            xcom_class.purge(self._reference)
        tried = store.attempt(lambda: store.fs.exists(path))
        if tried.error is not None:
            raise _Failed(f"whether the object is gone cannot be seen: {tried.message}")
        if tried.result:
            del self._steps_ms[PURGE]
            raise _Failed("the object is still there after the purge")

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        self._step = step
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            raise _Failed(message_of(error)) from error
        self._steps_ms[step] = round((time.monotonic() - started) * 1000, 1)


def _path_in(store: Store, uri: str) -> str:
    return f"{store.root}/{uri[len(store.base_path) :].lstrip('/')}"
