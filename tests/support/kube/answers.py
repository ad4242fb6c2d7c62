"""The forms of the API server's answers."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from aiohttp import web

from tests.support.kube.kinds import Kind, Object


def failure(code: int, reason: str, message: str) -> web.Response:
    """A ``Status`` that says why not."""
    said = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}  # fmt: skip
    return web.json_response(said, status=code)


def not_found(kind: Kind, name: str) -> web.Response:
    """404, for one object."""
    within = f".{kind.group}" if kind.group else ""
    return failure(404, "NotFound", f'{kind.plural}{within} "{name}" not found')


def unknown() -> web.Response:
    """404, for a kind."""
    return failure(404, "NotFound", "the server could not find the requested resource")


def table(kind: Kind, things: Sequence[Object], version: int) -> web.Response:
    """What ``kubectl get`` prints without ``-o``."""
    columns = ("Name", "Ready", "Status", "Restarts", "Age") if kind.name == "Pod" else ("Name", "Age")
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name in columns
    ]
    rows = [
        {
            "cells": _pod(thing) if kind.name == "Pod" else [thing["metadata"]["name"], _age(thing)],
            "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": thing["metadata"]},
        }
        for thing in things
    ]
    return web.json_response(
        {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {"resourceVersion": str(version)},
            "columnDefinitions": definitions,
            "rows": rows,
        }
    )


def _pod(thing: Object) -> list[object]:
    status = thing.get("status", {})
    containers = status.get("containerStatuses", [])
    waiting = [each["state"]["waiting"]["reason"] for each in containers if "waiting" in each.get("state", {})]
    shown = "Terminating" if "deletionTimestamp" in thing["metadata"] else (waiting or [status.get("reason") or status.get("phase", "")])[0]  # fmt: skip
    ready = sum(each["ready"] for each in containers)
    restarts = sum(each["restartCount"] for each in containers)
    return [thing["metadata"]["name"], f"{ready}/{len(thing['spec']['containers'])}", shown, restarts, _age(thing)]


def _age(thing: Object) -> str:
    created = datetime.datetime.fromisoformat(thing["metadata"]["creationTimestamp"])
    return f"{(datetime.datetime.now(datetime.UTC) - created).seconds}s"
