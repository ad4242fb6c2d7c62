"""The kinds of PATCH that kubectl and helm send."""

from __future__ import annotations

import copy
import json
from typing import Any

from tests.support.kube.kinds import Object

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

#: Lists that a strategic merge joins by this key of their entries.
_MERGE_KEYS = {"containers": "name", "initContainers": "name", "env": "name", "volumes": "name", "ports": "containerPort", "volumeMounts": "mountPath"}  # fmt: skip


def patched(thing: Object, how: str, body: bytes) -> Object:
    """The object with a patch of this media type. Raises ``ValueError`` for another one, :data:`APPLY` among them."""
    patch = json.loads(body)
    thing = copy.deepcopy(thing)
    if how == JSON_PATCH:
        for step in patch:
            _step(thing, step)
        return thing
    if how not in (MERGE, STRATEGIC):
        raise ValueError(how)
    _merge(thing, patch, by_key=how != MERGE)
    return thing


def applied(thing: Object, before: Object, now: Object) -> Object:
    """The object after a server-side apply: what is applied now wins, and what was before and is not any more goes.

    As if there were one manager only. Its content is JSON, although its media type says YAML.
    """
    thing = copy.deepcopy(thing)
    _forget(thing, before, now)
    _merge(thing, copy.deepcopy(now), by_key=True)
    return thing


def _forget(thing: Object, before: Object, now: Object) -> None:
    """Take out what was applied before and is not now."""
    for name, value in before.items():
        if name not in thing:
            continue
        if name not in now or now[name] is None:
            del thing[name]
        elif isinstance(value, dict) and isinstance(now[name], dict):
            _forget(thing[name], value, now[name])
        elif isinstance(value, list) and name in _MERGE_KEYS:
            key = _MERGE_KEYS[name]
            applied = {entry[key]: entry for entry in now[name]}
            for entry in value:
                there = next((each for each in thing[name] if each[key] == entry[key]), None)
                if there is not None and entry[key] in applied:
                    _forget(there, entry, applied[entry[key]])
                elif there is not None:
                    thing[name].remove(there)


def _merge(into: Object, patch: Object, *, by_key: bool) -> None:
    for name, value in patch.items():
        there = into.get(name)
        if name.startswith("$"):
            continue  # $setElementOrder and $retainKeys: order is no matter here
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(there, dict):
            _merge(there, value, by_key=by_key)
        elif by_key and isinstance(value, list) and isinstance(there, list) and name in _MERGE_KEYS:
            _merge_list(there, value, _MERGE_KEYS[name])
        else:
            into[name] = value


def _merge_list(there: list[Any], patch: list[Any], key: str) -> None:
    for entry in patch:
        same = next((each for each in there if each.get(key) == entry.get(key)), None)
        if entry.get("$patch") == "delete":
            there[:] = [each for each in there if each is not same]
        elif same is None:
            there.append(entry)
        else:
            _merge(same, entry, by_key=True)


def _step(thing: Any, step: Object) -> None:
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
    for part in way:
        thing = thing[int(part)] if isinstance(thing, list) else thing[part]
    if isinstance(thing, list):
        position = len(thing) if last == "-" else int(last)
        if step["op"] == "add":
            thing.insert(position, step["value"])
        elif step["op"] == "remove":
            del thing[position]
        else:
            thing[position] = step["value"]
    elif step["op"] == "remove":
        del thing[last]
    else:
        thing[last] = step["value"]
