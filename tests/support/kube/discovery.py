"""How clients find out what there is: versions, groups, resources, and the little of OpenAPI that kubectl asks for."""

from __future__ import annotations

from aiohttp import web

from tests.support.kube import answers
from tests.support.kube.kinds import KINDS, Kind

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_GROUPS = tuple(dict.fromkeys((kind.group, kind.version) for kind in KINDS))


def add_routes(router: web.UrlDispatcher) -> None:
    """Serve it."""
    router.add_get("/version", _version)
    router.add_get("/api", _core)
    router.add_get("/apis", _groups)
    router.add_get("/api/{version}", _resources)
    router.add_get("/apis/{group}/{version}", _resources)
    router.add_get("/openapi/v3", _openapi)
    router.add_get("/openapi/v3/{path:.*}", _openapi_of)


async def _version(request: web.Request) -> web.Response:
    return web.json_response({"major": "1", "minor": "35", "gitVersion": "v1.35.0", "platform": "linux/amd64"})


async def _core(request: web.Request) -> web.Response:
    return web.json_response({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})


async def _groups(request: web.Request) -> web.Response:
    def of(group: str, version: str) -> dict[str, object]:
        this = {"groupVersion": f"{group}/{version}", "version": version}
        return {"name": group, "versions": [this], "preferredVersion": this}

    found = [of(group, version) for group, version in _GROUPS if group]
    return web.json_response({"kind": "APIGroupList", "apiVersion": "v1", "groups": found})


async def _resources(request: web.Request) -> web.Response:
    group, version = request.match_info.get("group", ""), request.match_info["version"]
    found = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    if not found:
        return answers.unknown()
    resources = [
        {"name": kind.plural, "singularName": kind.name.lower(), "namespaced": kind.namespaced, "kind": kind.name, "verbs": _VERBS, "shortNames": list(kind.short)}
        for kind in found
    ]  # fmt: skip
    return web.json_response(
        {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": found[0].api_version, "resources": resources}
    )


def _openapi_path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


async def _openapi(request: web.Request) -> web.Response:
    paths = [_openapi_path(group, version) for group, version in _GROUPS]
    return web.json_response({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}})


async def _openapi_of(request: web.Request) -> web.Response:
    """Says that fields are validated here, so that kubectl does not want to do it by the whole schema."""
    wanted = request.match_info["path"]
    found = [kind for kind in KINDS if _openapi_path(kind.group, kind.version) == wanted]
    return web.json_response(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.35.0"},
            "paths": {f"/{wanted}/{kind.plural}/{{name}}": {"patch": _patch_of(kind)} for kind in found},
        }
    )


def _patch_of(kind: Kind) -> dict[str, object]:
    named = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("fieldValidation", "dryRun")]
    this = {"group": kind.group, "version": kind.version, "kind": kind.name}
    return {"parameters": named, "x-kubernetes-group-version-kind": this, "responses": {}}
