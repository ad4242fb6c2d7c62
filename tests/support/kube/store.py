"""What etcd is to a cluster: the objects, their versions, and every change in its order."""

from __future__ import annotations

import asyncio
import copy
import datetime
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tests.support.kube import kinds
from tests.support.kube.kinds import Kind, Object

#: Version of the empty store: 0 means something else to clients.
_FIRST = 100

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


@dataclass(frozen=True)
class Change:
    """One change. ``thing`` is the object as it was then; nobody may change it."""

    version: int
    how: str
    kind: Kind
    thing: Object


def now() -> str:
    """This moment, as Kubernetes writes times: whole seconds."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class ObjectStore:
    """The objects of a cluster. Everything happens in one event loop, so nothing is locked."""

    def __init__(self) -> None:
        self._objects: dict[tuple[Kind, str, str], Object] = {}
        self._history: list[Change] = []
        self._watching: set[asyncio.Event] = set()
        #: Called with each change, at once.
        self.followers: list[Callable[[Change], None]] = []

    @property
    def version(self) -> int:
        """The version of the last change."""
        return len(self._history) + _FIRST

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """A copy of the object."""
        return copy.deepcopy(self._objects.get((kind, namespace, name)))

    def all(self, kind: Kind, namespace: str | None = None) -> list[Object]:
        """Copies of the objects of a kind, by name; of all namespaces for ``None``."""
        found = [
            thing for key, thing in self._objects.items() if key[0] == kind and namespace in (None, "", key[1])
        ]  # fmt: skip
        return copy.deepcopy(sorted(found, key=lambda each: (each["metadata"].get("namespace", ""), each["metadata"]["name"])))  # fmt: skip

    def put(self, thing: Object) -> Object:
        """Create or replace an object; what was stored. A new ``spec`` is a new generation. Defaults: where kubectl insists."""
        kind = kinds.of(thing)
        thing = copy.deepcopy(thing)
        if kind == kinds.STATEFUL_SET:
            thing["spec"].setdefault("updateStrategy", {"type": "RollingUpdate"})
        metadata = thing["metadata"]
        namespace = metadata.setdefault("namespace", "default") if kind.namespaced else ""
        key = (kind, namespace, metadata["name"])
        before = self._objects.get(key)
        if before is None:
            metadata.setdefault("uid", str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", now())
            metadata["generation"] = 1
        else:
            kept = before["metadata"]
            metadata.update({name: kept[name] for name in ("uid", "creationTimestamp", "generation")})
            if "status" in before:
                thing.setdefault("status", copy.deepcopy(before["status"]))
            if thing.get("spec") != before.get("spec"):
                metadata["generation"] += 1
            if thing == before:
                return copy.deepcopy(before)
        metadata["resourceVersion"] = str(self.version + 1)
        self._objects[key] = thing
        self._note(MODIFIED if before else ADDED, kind, thing)
        return copy.deepcopy(thing)

    def remove(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """Remove an object; what it was, ``None`` if it is not there."""
        thing = self._objects.pop((kind, namespace, name), None)
        if thing is not None:
            thing = copy.deepcopy(thing)
            thing["metadata"]["resourceVersion"] = str(self.version + 1)
            self._note(DELETED, kind, thing)
        return thing

    async def changes(self, since: int) -> AsyncIterator[Change]:
        """Every change after this version, and then those to come. Does not end."""
        position = max(0, since - _FIRST)
        news = asyncio.Event()
        self._watching.add(news)
        try:
            while True:
                news.clear()
                while position < len(self._history):
                    position += 1
                    yield self._history[position - 1]
                await news.wait()
        finally:
            self._watching.discard(news)

    def _note(self, how: str, kind: Kind, thing: Object) -> None:
        change = Change(self.version + 1, how, kind, copy.deepcopy(thing))
        self._history.append(change)
        for follow in self.followers:
            follow(change)
        for news in self._watching:
            news.set()
