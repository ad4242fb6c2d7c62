"""What makes pods of Deployments and StatefulSets, rolls a new template out, and takes along what belonged to what is gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
from collections.abc import Callable

from tests.support.kube import kinds
from tests.support.kube.kinds import Kind, Object
from tests.support.kube.store import DELETED, Change, ObjectStore

_WORKLOADS = (kinds.DEPLOYMENT, kinds.STATEFUL_SET)
_HASH = "pod-template-hash"


class Controllers:
    """One look at a workload per change of it or of a pod of its; looking twice changes nothing.

    While ``held``, no pod is created or deleted: a rollout that does not get on.
    """

    def __init__(self, store: ObjectStore, delete_pod: Callable[[Object, float], None]) -> None:
        self._store, self._delete_pod = store, delete_pod
        self.held = False
        self._due = False
        store.followers.append(self._follow)

    def _follow(self, change: Change) -> None:
        if change.how == DELETED:
            asyncio.get_running_loop().call_soon(self._collect, change.thing)
        if change.kind in (*_WORKLOADS, kinds.POD):
            self.look_soon()

    def look_soon(self) -> None:
        """Look at every workload, once what goes on now is over."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._due = False
        for deployment in self._store.all(kinds.DEPLOYMENT):
            self._deployment(deployment)
        for stateful in self._store.all(kinds.STATEFUL_SET):
            self._stateful_set(stateful)

    def _collect(self, owner: Object) -> None:
        for kind in (kinds.REPLICA_SET, kinds.POD):
            for thing in self._store.all(kind, owner["metadata"].get("namespace")):
                if _owned(thing, owner):
                    self._remove(kind, thing)

    def _remove(self, kind: Kind, thing: Object) -> None:
        if kind == kinds.POD:
            self._delete_pod(thing, 1.0)
        else:
            self._store.remove(kind, thing["metadata"]["namespace"], thing["metadata"]["name"])

    def _deployment(self, thing: Object) -> None:
        """All new pods first, and the old ones go when the new ones are ready."""
        revision = _revision(thing)
        name = f"{thing['metadata']['name']}-{revision}"
        replicas = thing["spec"].get("replicas", 1)
        sets = [each for each in self._store.all(kinds.REPLICA_SET, thing["metadata"]["namespace"]) if _owned(each, thing)]  # fmt: skip
        owner = next((each for each in sets if each["metadata"]["name"] == name), None)
        if owner is None and not self.held:
            owner = self._store.put(_replica_set(thing, name, revision))
            sets.append(owner)
        pods = [pod for pod in self._store.all(kinds.POD, thing["metadata"]["namespace"]) if any(_owned(pod, each) for each in sets)]  # fmt: skip
        pods = [pod for pod in pods if pod.get("status", {}).get("phase") not in ("Failed", "Succeeded")]
        new = [pod for pod in pods if owner is not None and _owned(pod, owner) and not _leaving(pod)]
        old = [pod for pod in pods if owner is None or not _owned(pod, owner)]
        if not self.held and owner is not None:
            for _ in range(len(new), replicas):
                new.append(self._store.put(_pod(thing, owner, {"generateName": f"{name}-"}, revision)))
            for pod in new[replicas:]:
                self._delete_pod(pod, 1.0)
            if all(_ready(pod) for pod in new):
                for pod in old:
                    if not _leaving(pod):
                        self._delete_pod(pod, 1.0)
        self._tell(thing, pods, new[:replicas], replicas)

    def _stateful_set(self, thing: Object) -> None:
        """By their numbers, one after the other: the next one when all others are ready."""
        revision = _revision(thing)
        replicas = thing["spec"].get("replicas", 1)
        named = {pod["metadata"]["name"]: pod for pod in self._store.all(kinds.POD, thing["metadata"]["namespace"]) if _owned(pod, thing)}  # fmt: skip
        names = [f"{thing['metadata']['name']}-{number}" for number in range(replicas)]
        if not self.held:
            for name in names:
                if name not in named:
                    named[name] = self._store.put(_pod(thing, thing, {"name": name}, revision))
                elif _revision_of(named[name]) != revision and all(_ready(each) for each in named.values()):
                    self._delete_pod(named[name], 1.0)
                    break
            for name in named.keys() - set(names):
                self._delete_pod(named[name], 1.0)
        new = [pod for pod in named.values() if _revision_of(pod) == revision and not _leaving(pod)]
        is_over = len(new) == len(named) == replicas
        current = revision if is_over else thing.get("status", {}).get("currentRevision", revision)
        self._tell(thing, list(named.values()), new, replicas, currentRevision=current, updateRevision=revision)

    def _tell(self, thing: Object, pods: list[Object], new: list[Object], replicas: int, **more: str) -> None:
        ready = sum(_ready(pod) for pod in pods)
        thing["status"] = {
            "observedGeneration": thing["metadata"]["generation"],
            "replicas": len(pods),
            "updatedReplicas": len(new),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, replicas - ready),
            "conditions": [{"type": "Available", "status": "True" if ready >= replicas else "False"}],
            **more,
        }
        with contextlib.suppress(KeyError):
            self._store.put(thing)


def _revision(workload: Object) -> str:
    return hashlib.sha256(json.dumps(workload["spec"]["template"], sort_keys=True).encode()).hexdigest()[:10]


def _revision_of(pod: Object) -> str | None:
    found = pod["metadata"]["labels"].get(_HASH)
    return None if found is None else str(found)


def _replica_set(deployment: Object, name: str, revision: str) -> Object:
    metadata = {"name": name, "namespace": deployment["metadata"]["namespace"], "labels": {_HASH: revision}}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**metadata, "ownerReferences": [_reference(deployment)]},
        "spec": {"replicas": deployment["spec"].get("replicas", 1), "selector": deployment["spec"]["selector"]},
    }


def _pod(workload: Object, owner: Object, name: Object, revision: str) -> Object:
    template = json.loads(json.dumps(workload["spec"]["template"]))
    metadata = {**template.get("metadata", {}), **name, "namespace": workload["metadata"]["namespace"]}
    if "generateName" in metadata:
        metadata["name"] = metadata["generateName"] + secrets.token_hex(3)
    metadata["labels"] = {**metadata.get("labels", {}), _HASH: revision}
    metadata["ownerReferences"] = [_reference(owner)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _reference(owner: Object) -> Object:
    metadata = owner["metadata"]
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"], "controller": True}  # fmt: skip


def _owned(thing: Object, owner: Object) -> bool:
    return any(each["uid"] == owner["metadata"]["uid"] for each in thing["metadata"].get("ownerReferences", []))


def _leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return not _leaving(pod) and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
