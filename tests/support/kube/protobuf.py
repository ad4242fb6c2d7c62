"""The bodies that typed clients send as protobuf: kubectl its SelfSubjectAccessReviews, helm its Secrets.

An object comes in an envelope, ``runtime.Unknown``, behind four magic bytes. The numbers are those of Kubernetes'
``generated.proto`` files.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.support.kube.kinds import Object

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_METADATA = {1: "name", 2: "generateName", 3: "namespace"}
_LABELS, _ANNOTATIONS = 11, 12
_ATTRIBUTES = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}


def decoded(body: bytes) -> Object:
    """The object. Raises ``ValueError`` for a kind that no test needed yet."""
    if not body.startswith(_MAGIC):
        raise ValueError("no protobuf of Kubernetes")
    envelope = dict(_fields(body[len(_MAGIC) :]))
    meta = dict(_fields(envelope[1]))
    kind, message = meta[2].decode(), envelope[2]
    thing: Object = {"apiVersion": meta[1].decode(), "kind": kind}
    if kind == "SelfSubjectAccessReview":
        spec = dict(_fields(dict(_fields(message))[2]))
        return {**thing, "spec": {"resourceAttributes": _texts(spec.get(1, b""), _ATTRIBUTES)}}
    thing["metadata"] = _metadata(dict(_fields(message))[1])
    if kind == "Secret":
        data = {name: base64.b64encode(value).decode() for name, value in _map(message, 2).items()}
        return {**thing, "data": data, "type": dict(_fields(message)).get(3, b"Opaque").decode()}
    if kind == "ConfigMap":
        return {**thing, "data": {name: value.decode() for name, value in _map(message, 2).items()}}
    if kind == "Namespace":
        return thing
    raise ValueError(f"a {kind} as protobuf")


def _metadata(message: bytes) -> Object:
    found: Object = {name: value for name, value in _texts(message, _METADATA).items() if value}
    for number, name in ((_LABELS, "labels"), (_ANNOTATIONS, "annotations")):
        if pairs := _map(message, number):
            found[name] = {key: value.decode() for key, value in pairs.items()}
    return found


def _texts(message: bytes, names: dict[int, str]) -> dict[str, str]:
    return {names[number]: value.decode() for number, value in _fields(message) if number in names}


def _map(message: bytes, number: int) -> dict[str, bytes]:
    pairs = [dict(_fields(value)) for field, value in _fields(message) if field == number]
    return {pair[1].decode(): pair.get(2, b"") for pair in pairs}


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message by number; numbers among them are skipped."""
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(data):
        tag = varint()
        length = varint()
        if tag & 7 == 2:
            yield tag >> 3, data[position : position + length]
            position += length
        elif tag & 7 != 0:
            raise ValueError(f"a wire type {tag & 7}")
