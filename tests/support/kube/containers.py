"""What a container sees: its image, which is an environment on this machine, and its variables."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.kube import kinds
from tests.support.kube.kinds import Object
from tests.support.kube.store import ObjectStore

_REFERENCE = re.compile(r"\$\((\w+)\)")


@dataclass(frozen=True)
class Image:
    """What stands for an image: the variables that it sets. Its ``PATH`` leads to its programs.

    ``isolated``: what runs in it sees no other processes, as in a container (Linux; each exec sees its own alone).
    Without an entrypoint a container of it idles, as the pause image does, unless its own ``command`` says otherwise.
    """

    variables: Mapping[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/bin"})
    entrypoint: tuple[str, ...] = ()
    isolated: bool = False


class ConfigError(Exception):
    """A variable comes from something that is not there; kubelet's own word is CreateContainerConfigError."""


def command(image: Image, container: Object) -> list[str]:
    """What runs in it; nothing for one that idles."""
    start = container.get("command") or list(image.entrypoint)
    return [*start, *container.get("args", [])] if start else []


def variables(store: ObjectStore, image: Image, pod: Object, container: Object) -> dict[str, str]:
    """The environment: the image's, then ``envFrom``, then ``env``. Raises :class:`ConfigError`."""
    namespace = pod["metadata"]["namespace"]
    found = {**image.variables, "HOSTNAME": pod["metadata"]["name"]}
    for source in container.get("envFrom", []):
        for name, value in _data(store, namespace, source, "Ref").items():
            found[source.get("prefix", "") + name] = value
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            referred = _value(store, pod, entry["valueFrom"])
            if referred is not None:
                found[entry["name"]] = referred
        else:
            found[entry["name"]] = _REFERENCE.sub(lambda match: found.get(match[1], match[0]), entry.get("value") or "")
    return found


def _value(store: ObjectStore, pod: Object, source: Mapping[str, Any]) -> str | None:
    if "fieldRef" in source:
        there: Any = {**pod, "status": {"podIP": "127.0.0.1", **pod.get("status", {})}}
        for name in source["fieldRef"]["fieldPath"].split("."):
            there = there.get(name, "")
        return str(there)
    data = _data(store, pod["metadata"]["namespace"], source, "KeyRef")
    reference = next((source[kind] for kind in ("configMapKeyRef", "secretKeyRef") if kind in source), None)
    if reference is None:
        raise ConfigError(f"not served here: valueFrom {', '.join(source)}")
    if reference["key"] in data:
        return data[reference["key"]]
    if reference.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {reference['key']} in {reference['name']}")


def _data(store: ObjectStore, namespace: str, source: Mapping[str, Any], suffix: str) -> dict[str, str]:
    """The text of a ConfigMap or a Secret that is referred to; nothing where it may be missing, and is."""
    for kind, word in ((kinds.CONFIG_MAP, "configMap"), (kinds.SECRET, "secret")):
        reference = source.get(word + suffix)
        if reference is None:
            continue
        thing = store.get(kind, namespace, reference["name"])
        if thing is not None:
            data = thing.get("data") or {}
            if kind == kinds.SECRET:
                return {name: base64.b64decode(value).decode() for name, value in data.items()}
            return dict(data)
        if not reference.get("optional"):
            raise ConfigError(f'{kind.name.lower()} "{reference["name"]}" not found')
    return {}
