"""The REST side of the API server: objects are listed, watched, read, created, patched, replaced and deleted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Mapping

from aiohttp import web

from tests.support.kube import answers, kinds, patches, protobuf, selectors
from tests.support.kube.access import Attempt
from tests.support.kube.kinds import Kind, Object
from tests.support.kube.store import ADDED, ObjectStore

_READS = frozenset({"GET", "HEAD"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}


class Resources:
    """The handlers. ``delete_pod`` ends a pod's processes first, with a grace in seconds, and removes it then."""

    def __init__(self, store: ObjectStore, delete_pod: Callable[[Object, float], None]) -> None:
        self._store, self._delete_pod = store, delete_pod
        #: What server-side apply was last sent, by the path of the object.
        self._applied: dict[str, Object] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Serve them."""
        for root in ("/api/{version}", "/apis/{group}/{version}"):
            for base in (f"{root}/namespaces/{{namespace}}/{{plural}}", f"{root}/{{plural}}"):
                router.add_get(base, self._collection)
                router.add_post(base, self._create)
                router.add_route("*", f"{base}/{{name}}", self._item)
            router.add_route("*", f"{root}/namespaces/{{namespace}}/{{plural}}/{{name}}/scale", self._scale)

    async def _collection(self, request: web.Request) -> web.StreamResponse:
        kind = kind_of(request)
        if kind is None:
            return answers.unknown()
        chosen = _chosen(request, kind)
        if request.query.get("watch") in ("true", "1"):
            return await self._watch(request, kind, chosen)
        found = [thing for thing in self._store.all(kind) if chosen(thing)]
        if "as=Table" in request.headers.get("Accept", ""):
            return answers.table(kind, found, self._store.version)
        size, start = int(request.query.get("limit") or 0), int(request.query.get("continue") or 0)
        page = found[start : start + size] if size else found
        metadata = {"resourceVersion": str(self._store.version)}
        if size and start + size < len(found):
            metadata["continue"] = str(start + size)
        return web.json_response(
            {"kind": f"{kind.name}List", "apiVersion": kind.api_version, "metadata": metadata, "items": page}
        )

    async def _watch(self, request: web.Request, kind: Kind, chosen: Callable[[Object], bool]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)

        async def send(how: str, thing: Object) -> None:
            await response.write(json.dumps({"type": how, "object": thing}).encode() + b"\n")

        since = int(request.query.get("resourceVersion") or 0)
        initial = request.query.get("sendInitialEvents") in ("true", "1")
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(float(request.query.get("timeoutSeconds") or 3600)):
                if initial or since == 0:
                    since = self._store.version
                    for thing in self._store.all(kind):
                        if chosen(thing):
                            await send(ADDED, thing)
                if initial:
                    marked = {"resourceVersion": str(since), "annotations": {"k8s.io/initial-events-end": "true"}}
                    await send("BOOKMARK", {"kind": kind.name, "apiVersion": kind.api_version, "metadata": marked})
                async for change in self._store.changes(since):
                    if change.kind == kind and chosen(change.thing):
                        await send(change.how, change.thing)
        return response

    async def _create(self, request: web.Request) -> web.StreamResponse:
        kind = kind_of(request)
        if kind is None:
            return answers.unknown()
        thing: Object = {**await body_of(request), "kind": kind.name, "apiVersion": kind.api_version}
        metadata = thing["metadata"]
        if kind.namespaced:
            metadata["namespace"] = request.match_info["namespace"]
            if self._store.get(kinds.NAMESPACE, "", metadata["namespace"]) is None:
                return answers.not_found(kinds.NAMESPACE, metadata["namespace"])
        if "name" not in metadata:
            metadata["name"] = metadata["generateName"] + secrets.token_hex(3)
        if self._store.get(kind, metadata.get("namespace", ""), metadata["name"]):
            return answers.failure(409, "AlreadyExists", f'{kind.plural} "{metadata["name"]}" already exists')
        if request.query.get("dryRun"):
            return web.json_response(thing, status=201)
        return web.json_response(self._store.put(thing), status=201)

    async def _item(self, request: web.Request) -> web.StreamResponse:
        kind = kind_of(request)
        if kind is None:
            return answers.unknown()
        namespace, name = request.match_info.get("namespace", ""), request.match_info["name"]
        thing = self._store.get(kind, namespace, name)
        applied = request.method == "PATCH" and request.content_type == patches.APPLY
        if thing is None and not applied:
            return answers.not_found(kind, name)
        if request.method == "DELETE":
            assert thing is not None
            return await self._delete(request, kind, thing)
        if request.method in ("PUT", "PATCH"):
            return await self._change(request, kind, thing)
        if "as=Table" in request.headers.get("Accept", ""):
            return answers.table(kind, [thing] if thing else [], self._store.version)
        return web.json_response(thing)

    async def _change(self, request: web.Request, kind: Kind, before: Object | None) -> web.StreamResponse:
        if request.method == "PUT":
            thing = await body_of(request)
        else:
            nothing = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": {}}
            if request.content_type == patches.APPLY:
                thing = self._apply(before or nothing, request.path, json.loads(await request.read()), request.query)
            else:
                thing = patches.patched(before or nothing, request.content_type, await request.read())
        thing["metadata"]["name"] = request.match_info["name"]
        if kind.namespaced:
            thing["metadata"]["namespace"] = request.match_info["namespace"]
        if not request.query.get("dryRun"):
            thing = self._store.put(thing)
        return web.json_response(thing, status=200 if before else 201)

    def _apply(self, there: Object, where: str, now: Object, query: Mapping[str, str]) -> Object:
        thing = patches.applied(there, self._applied.get(where, {}) if there["metadata"] else {}, now)
        if not query.get("dryRun"):
            self._applied[where] = now
        return thing

    async def _delete(self, request: web.Request, kind: Kind, thing: Object) -> web.StreamResponse:
        metadata = thing["metadata"]
        options = json.loads(await request.read() or b"{}")
        if kind == kinds.POD:
            grace = options.get("gracePeriodSeconds", thing["spec"].get("terminationGracePeriodSeconds", 30))
            self._delete_pod(thing, float(grace))
            return web.json_response(self._store.get(kind, metadata["namespace"], metadata["name"]) or thing)
        self._store.remove(kind, metadata.get("namespace", ""), metadata["name"])
        details = {"name": metadata["name"], "kind": kind.plural, "uid": metadata["uid"]}
        return web.json_response(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    async def _scale(self, request: web.Request) -> web.StreamResponse:
        kind, place = kind_of(request), request.match_info
        thing = self._store.get(kind, place["namespace"], place["name"]) if kind else None
        if kind is None or thing is None:
            return answers.unknown()
        if request.method not in _READS:
            change = await request.json()
            thing["spec"]["replicas"] = change["spec"]["replicas"]
            thing = self._store.put(thing)
        replicas = {"replicas": thing["spec"].get("replicas", 1)}
        return web.json_response(
            {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": thing["metadata"], "spec": replicas, "status": replicas}
        )  # fmt: skip


async def body_of(request: web.Request) -> Object:
    """The object in a request."""
    body = await request.read()
    found: Object = protobuf.decoded(body) if request.content_type == protobuf.MEDIA_TYPE else json.loads(body)
    return found


def kind_of(request: web.Request) -> Kind | None:
    """The kind that a path is about."""
    place = request.match_info
    return kinds.by_plural(place.get("group", ""), place.get("version", ""), place.get("plural", "pods"))


def attempt_of(request: web.Request) -> Attempt | None:
    """What a request wants to do; ``None`` for what everybody may (discovery, asking for one's rights)."""
    place = request.match_info
    if "version" not in place or not ("plural" in place or "name" in place):
        return None
    verb = _VERBS[request.method]
    if verb == "get" and "name" not in place:
        verb = "watch" if request.query.get("watch") in ("true", "1") else "list"
    resource = place.get("plural", "pods")
    route = request.match_info.route.resource
    last = route.canonical.rpartition("/")[2] if route is not None else ""
    if not last.startswith("{"):
        resource = resource if last == resource else f"{resource}/{last}"
    return Attempt(verb, place.get("group", ""), resource, place.get("namespace", ""), place.get("name", ""))


def _chosen(request: web.Request, kind: Kind) -> Callable[[Object], bool]:
    by_label, by_field = selectors.labels(request.query.get("labelSelector")), selectors.fields(request.query.get("fieldSelector"))  # fmt: skip
    namespace = request.match_info.get("namespace", "")

    def chosen(thing: Object) -> bool:
        here = not namespace or thing["metadata"].get("namespace") == namespace
        return here and by_label(thing) and by_field(thing)

    return chosen
