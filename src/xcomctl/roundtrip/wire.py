"""A stored form on its way through JSON: 2.x's bytes as base64, 3.x's JSON value as it is."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from xcomctl.airflow_compat.errors import AirflowUnusable


def encode(stored: Any) -> dict[str, Any]:
    """For the wire. Raises ``TypeError`` or ``ValueError`` for what no JSON column takes, as the push would."""
    if isinstance(stored, (bytes, bytearray, memoryview)):
        return {"base64": base64.b64encode(bytes(stored)).decode("ascii")}
    return {"json": json.loads(json.dumps(stored, allow_nan=False))}


def decode(stored: Mapping[str, Any]) -> Any:
    """The inverse of :func:`encode`."""
    if isinstance(stored, Mapping):
        if "json" in stored:
            return stored["json"]
        if isinstance(stored.get("base64"), str):
            try:
                return base64.b64decode(stored["base64"], validate=True)
            except (binascii.Error, ValueError) as error:
                raise AirflowUnusable(f"a stored form is no base64: {error}") from error
    raise AirflowUnusable('a stored form is {"base64": …} or {"json": …}')


def text_of(stored: Mapping[str, Any]) -> Any:
    """The string that a stored form holds, ``None`` if it is not one."""
    plain = decode(stored)
    if isinstance(plain, bytes):
        try:
            plain = json.loads(plain)
        except ValueError:
            return None
    return plain if isinstance(plain, str) else None
